"""What answers on the site's network, against what is planned there. Looks only.

Asked are the planned addresses of the site's two subnets and every other address of the internal one. A
machine that answers at a host's address with another SSH host key than the known one is another machine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from xjops.adapters import probing
from xjops.adapters.probing import Answer, Bounds
from xjops.adapters.ssh import known_hosts
from xjops.checks.result import Status
from xjops.core.errors import NotRunError
from xjops.site.addresses import Claim, address_plan, neighbours, placeholder
from xjops.site.model import Site
from xjops.site.planned import Finding
from xjops.site.words import span

SSH = 22
SWEEP_LIMIT = 1024  # addresses; a larger internal subnet is not searched for what is not planned


@dataclass(frozen=True)
class Seen:
    """One address: who is planned there ("" for nobody), what it answered, and whether that is right.

    `key` is "" where no host key was asked for, else: as known, unknown, another, none.
    """

    address: IPv4Address
    owner: str
    status: Status
    text: str
    echo: bool | None = None
    port: str | None = None
    key: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/reference/addresses.md)."""
        return {**asdict(self), "address": str(self.address), "status": self.status.value}


@dataclass(frozen=True)
class Probe:
    """What was seen of every planned address, of the others that answer, and what could not be looked at."""

    planned: tuple[Seen, ...]
    unplanned: tuple[Seen, ...]
    findings: tuple[Finding, ...]


def probe(site: Site, *, seconds: float = probing.ANSWER_SECONDS) -> Probe:
    """Ask the network. Raises `NotRunError` where nothing may or can be asked."""
    bounds = _bounds(site)
    claims = [
        claim for claim in (*address_plan(site), *neighbours(site)) if _within(claim.address, bounds.networks)
    ]
    hosts = {host.address: host for host in site.hosts}
    ports = {claim.address: SSH for claim in claims} | {
        address: host.port for address, host in hosts.items() if _within(address, bounds.networks)
    }
    internal = site.network.internal.subnet
    searched = internal in bounds.networks and internal.num_addresses <= SWEEP_LIMIT
    others = [address for address in internal.hosts() if address not in ports] if searched else []
    answers = probing.sweep({**ports, **dict.fromkeys(others, SSH)}, bounds, seconds=seconds)
    if not any(answer.way for answer in answers.values()):
        raise NotRunError(
            f"this machine has no way to {', '.join(map(str, bounds.networks))}: nothing was asked",
            mend="xjops lab up" if bounds.local else "run it on the control node",
        )
    open_ = {address: ports.get(address, SSH) for address, answer in answers.items() if answer.port == "open"}
    known = _known(site)
    kinds = {address: {key.split()[0] for key in known.get(address, ())} for address in open_}
    keys = probing.host_keys(open_, kinds, bounds)
    names = {key: address for address, all_ in known.items() for key in all_}
    owners = {address: host.name for address, host in hosts.items()}
    judge = _Judge(answers, keys, known, {key: owners.get(at, str(at)) for key, at in names.items()})
    planned = tuple(judge.planned(claim, claim.address in hosts) for claim in claims)
    return Probe(
        planned,
        tuple(judge.unplanned(address) for address in others if answers[address].there),
        tuple(_findings(site, bounds, planned, searched)),
    )


def _bounds(site: Site) -> Bounds:
    """The site's own subnets, without documentation ranges: whoever has those really is somebody else."""
    subnets = [site.network.internal.subnet, site.network.public.subnet]
    own = tuple(subnet for subnet in subnets if not placeholder(subnet.network_address))
    if not own:
        raise NotRunError(
            f"the subnets of {site.name} are documentation ranges: nothing was asked",
            mend="write the assigned ones into hosts.yml and group_vars/all/site.yml",
        )
    return Bounds(own, local=site.site.kind == "lab")


def _within(address: IPv4Address, networks: Collection[IPv4Network]) -> bool:
    return any(address in network for network in networks)


def _known(site: Site) -> dict[IPv4Address, list[str]]:
    """The keys of the site's known_hosts by host address."""
    file = known_hosts(site)
    found: dict[IPv4Address, list[str]] = {}
    lines = file.read_text().splitlines() if file.is_file() else []
    for host in site.hosts:
        names = {str(host.address), f"[{host.address}]:{host.port}"}
        for line in lines:
            first, _, key = line.partition(" ")
            if not line.startswith("#") and names & set(first.split(",")):
                found.setdefault(host.address, []).append(" ".join(key.split()[:2]))
    return found


@dataclass(frozen=True)
class _Judge:
    """Says of each address whether it answers as planned."""

    answers: dict[IPv4Address, Answer]
    keys: dict[IPv4Address, str | None]
    known: dict[IPv4Address, list[str]]
    owners: dict[str, str]  # by host key

    def planned(self, claim: Claim, is_host: bool) -> Seen:
        answer = self.answers[claim.address]
        if not answer.there:
            way = "does not answer" if answer.way else "no way there: not asked"
            status = Status.WARN if answer.way else Status.NOT_RUN
            return Seen(claim.address, claim.owner, status, way, answer.echo, answer.port)
        key, text, status = "", "answers", Status.PASS
        if is_host:
            key, text, status = self._key(claim.address)
        return Seen(claim.address, claim.owner, status, text, answer.echo, answer.port, key)

    def _key(self, address: IPv4Address) -> tuple[str, str, Status]:
        known, key = self.known.get(address, []), self.keys.get(address)
        if key is None:
            return "none", "answers, but proves no SSH host key", Status.WARN
        if not known:
            return "unknown", "answers, its host key is not known yet", Status.WARN
        if key in known:
            return "as known", "answers with its own host key", Status.PASS
        who = f"that of {self.owners[key]}" if key in self.owners else "not the known one"
        return "another", f"another machine answers: its host key is {who}", Status.FAIL

    def unplanned(self, address: IPv4Address) -> Seen:
        answer, key = self.answers[address], self.keys.get(address)
        who = f" with the host key of {self.owners[key]}" if key in self.owners else ""
        return Seen(
            address, "", Status.WARN, f"answers{who}, but is not planned", answer.echo, answer.port,
            "another" if who else "",
        )  # fmt: skip


def _findings(site: Site, bounds: Bounds, planned: tuple[Seen, ...], searched: bool) -> Iterator[Finding]:
    """What the look did not reach."""
    internal = site.network.internal.subnet
    if not searched:
        large = internal in bounds.networks
        why = f"more than {SWEEP_LIMIT} addresses" if large else "a documentation range"
        yield Finding(
            subject="unplanned addresses", status="not-run", text=f"{internal} was not searched: {why}"
        )
    asked = {seen.address for seen in planned}
    left = [claim.owner for claim in address_plan(site) if claim.address not in asked]
    if left:
        text = f"not asked, for they are outside the site's own subnets: {span(left)}"
        yield Finding(subject="addresses elsewhere", status="not-run", text=text)
    if planned and all(seen.echo is None for seen in planned):
        text = "no ICMP could be sent (root or net.ipv4.ping_group_range is needed); TCP only"
        yield Finding(subject="echo", status="not-run", text=text)
