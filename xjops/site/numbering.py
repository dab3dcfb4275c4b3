"""The address plan as people read it: who has which address, what is wrong with it, what is still free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network

from pydantic import BaseModel, ConfigDict, Field

from xjops.site.addresses import (
    Addressed,
    Claim,
    Flaw,
    Side,
    address_plan,
    flaws,
    internal_need,
    internal_required,
    neighbours,
    overlapping,
    placeholder,
    usable,
)
from xjops.site.model import Network, Site
from xjops.site.planned import Finding, placeholders


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Range(_Model):
    """Addresses in a row, both ends included."""

    first: IPv4Address
    last: IPv4Address

    @property
    def count(self) -> int:
        """How many they are."""
        return int(self.last) - int(self.first) + 1

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first} to {self.last}"


class Row(_Model):
    """One planned address."""

    address: IPv4Address
    owner: str = Field(description="Who claims it.")
    side: Side = Field(description="internal or public.")
    host: str | None = Field(default=None, description="The host whose own address it is.")
    placeholder: bool = Field(default=False, description="Of a documentation range: not assigned yet.")
    flaws: tuple[str, ...] = Field(default=(), description="What is wrong with it; empty when nothing is.")


class Extent(_Model):
    """One side of the plan. `free` are addresses that nothing of the site has."""

    subnet: IPv4Network
    gateway: IPv4Address
    usable: int = Field(description="Addresses that could be given: of the subnet, or the assigned ones.")
    claimed: int = Field(description="Addresses the site has use for (internal: its gateway included).")
    minimum: int = Field(description="What the ministry asks to prepare.")
    required: int = Field(description="The minimum, or what is claimed where that is more.")
    free: tuple[Range, ...]
    reserved: tuple[str, ...] = Field(default=(), description="Not free, though no host has them.")


class Numbering(_Model):
    """The plan of a site, or of what can be read of one that has mistakes."""

    rows: tuple[Row, ...]
    internal: Extent
    public: Extent
    overlapping: bool = Field(description="Whether the two subnets share addresses.")


def number(site: Addressed, network: Network, minimum: Mapping[str, int]) -> Numbering:
    """The plan of `site`; `minimum` says how many `internal` and `public` addresses are to be prepared."""
    wrong: dict[Claim, list[str]] = {}
    for flaw in flaws(site):
        wrong.setdefault(flaw.claim, []).append(_word(flaw))
    rows = tuple(
        Row(
            address=claim.address,
            owner=claim.owner,
            side=claim.side,
            host=claim.host if claim.side == "internal" else None,
            placeholder=placeholder(claim.address),
            flaws=tuple(wrong.get(claim, ())),
        )
        for claim in sorted(address_plan(site), key=lambda item: (item.side, item.address))
    )
    return Numbering(
        rows=rows,
        internal=_internal(site, network, minimum["internal"]),
        public=_public(site, network, minimum["public"]),
        overlapping=overlapping(site),
    )


def _word(flaw: Flaw) -> str:
    if flaw.other is not None:
        return f"also of {flaw.other.owner}"
    if flaw.kind == "outside":
        return f"outside {flaw.subnet}"
    return f"network or broadcast address of {flaw.subnet}"


def _internal(site: Addressed, network: Network, minimum: int) -> Extent:
    subnet = network.internal.subnet
    reserved = tuple(neighbours(site))
    taken = {claim.address for claim in (*address_plan(site), *reserved)}
    return Extent(
        subnet=subnet,
        gateway=network.internal.gateway,
        usable=usable(subnet),
        claimed=internal_need(site),
        minimum=minimum,
        required=internal_required(site, minimum),
        free=tuple(_gaps(subnet, taken)),
        reserved=tuple(f"{claim.address} {claim.owner}" for claim in reserved),
    )


def _public(site: Addressed, network: Network, minimum: int) -> Extent:
    """Public addresses are given to the site one by one: what is free is what is assigned and not used."""
    used = {
        claim.address
        for claim in address_plan(site)
        if claim.side == "public" and claim.address != network.public.gateway
    }
    free = sorted(set(network.public_addresses) - used)
    return Extent(
        subnet=network.public.subnet,
        gateway=network.public.gateway,
        usable=len(set(network.public_addresses)),
        claimed=len(used),
        minimum=minimum,
        required=max(minimum, len(used)),
        free=tuple(_runs(free)),
    )


def _gaps(subnet: IPv4Network, taken: Iterable[IPv4Address]) -> Iterator[Range]:
    """What lies between the taken addresses, without the subnet's own two; as quick for a /8 as for a /24."""
    edge = 1 if subnet.prefixlen < 31 else 0
    start, end = int(subnet.network_address) + edge, int(subnet.broadcast_address) - edge
    for number_ in sorted(int(address) for address in set(taken) if address in subnet):
        if start < number_:
            yield Range(first=IPv4Address(start), last=IPv4Address(min(number_ - 1, end)))
        start = max(start, number_ + 1)
    if start <= end:
        yield Range(first=IPv4Address(start), last=IPv4Address(end))


def _runs(addresses: Iterable[IPv4Address]) -> Iterator[Range]:
    """Ascending addresses as ranges."""
    found: list[Range] = []
    for address in addresses:
        if found and int(found[-1].last) + 1 == int(address):
            found[-1] = Range(first=found[-1].first, last=address)
        else:
            found.append(Range(first=address, last=address))
    yield from found


def findings(site: Site, plan: Numbering) -> Iterator[Finding]:
    """Whether a valid site's plan has room for what is required, and is not made of place holders."""
    internal, public = plan.internal, plan.public
    short = internal.usable < internal.required
    yield Finding(
        subject="internal addresses",
        status="fail" if short else "pass",
        text=f"{internal.usable} in {internal.subnet}, {_required(internal)}",
        mend="plan a larger network.internal.subnet in group_vars/all/site.yml" if short else "",
    )
    short = public.usable < public.required
    yield Finding(
        subject="public addresses",
        status="warn" if short else "pass",
        text=f"{public.usable} assigned, {_required(public)}",
        mend="ask for them, then network.public_addresses in group_vars/all/site.yml" if short else "",
    )
    if site.site.kind == "production":
        yield from placeholders(site)


def _required(extent: Extent) -> str:
    return f"{extent.required} required ({extent.minimum} at least, {extent.claimed} in use)"
