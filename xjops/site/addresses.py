"""The address plan: every address that a site claims, by whom, on which side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Literal, Protocol

from xjops.site.problems import Loc

if TYPE_CHECKING:
    from xjops.site.model import Balancer, Database, Host, Network, Storage, VCenter

Side = Literal["internal", "public"]

# RFC 5737: for documentation, never routed. In a production site they mark what is not assigned yet.
PLACEHOLDERS = tuple(IPv4Network(text) for text in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"))


class Addressed(Protocol):
    """What the plan is made from: a `Site`, or the parts of one that are right so far."""

    @property
    def hosts(self) -> tuple[Host, ...]: ...
    @property
    def network(self) -> Network | None: ...
    @property
    def vcenter(self) -> VCenter | None: ...
    @property
    def database(self) -> Database | None: ...
    @property
    def storage(self) -> Storage | None: ...
    @property
    def balancer(self) -> Balancer | None: ...


@dataclass(frozen=True)
class Claim:
    """One address and who claims it.

    `host` is set when the claim stands in a host's variables, and `loc` is then relative to them.
    `inside`: it must lie in the subnet of its side (an appliance such as a filer need not).
    """

    address: IPv4Address
    owner: str
    side: Side
    loc: Loc
    host: str | None = None
    inside: bool = True


@dataclass(frozen=True)
class Flaw:
    """What is wrong with a claim.

    `duplicate`: `other` claims the address, too; `outside`: not in the subnet of its side; `reserved`: the
    subnet's own network or broadcast address.
    """

    claim: Claim
    kind: Literal["duplicate", "outside", "reserved"]
    other: Claim | None = None
    subnet: IPv4Network | None = None


def address_plan(site: Addressed) -> tuple[Claim, ...]:
    """Every claim of `site`, gateways first, in the inventory's order.

    An address that only refers to a host of the site (the storage's export by the storage
    server's address, the public address of a software balancer) is no second claim.
    """
    return (*_network(site), *_hosts(site.hosts), *_database(site), *_appliances(site))


def internal_need(site: Addressed) -> int:
    """How many addresses of the internal subnet the site claims, its gateway included."""
    return sum(claim.side == "internal" and claim.inside for claim in address_plan(site))


def internal_required(site: Addressed, minimum: int) -> int:
    """How many internal addresses must be prepared: the `minimum` asked for, or what the site claims."""
    return max(minimum, internal_need(site))


def usable(subnet: IPv4Network) -> int:
    """How many addresses of `subnet` can be given to machines, its gateway included."""
    return subnet.num_addresses - (2 if subnet.prefixlen < 31 else 0)


def flaws(site: Addressed) -> Iterator[Flaw]:
    """Everything wrong with the plan's claims, in the plan's order."""
    first: dict[IPv4Address, Claim] = {}
    for claim in address_plan(site):
        other = first.setdefault(claim.address, claim)
        if other is not claim:
            yield Flaw(claim, "duplicate", other)
        segment = getattr(site.network, claim.side) if site.network else None
        if segment is None or not claim.inside:
            continue
        subnet = segment.subnet
        if claim.address not in subnet:
            yield Flaw(claim, "outside", subnet=subnet)
        elif claim.address in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            yield Flaw(claim, "reserved", subnet=subnet)


def overlapping(site: Addressed) -> bool:
    """Whether the internal and the public subnet share addresses."""
    return bool(site.network and site.network.internal.subnet.overlaps(site.network.public.subnet))


def neighbours(site: Addressed) -> Iterator[Claim]:
    """Addresses of the internal subnet that others than the site's parts have: never to be given away."""
    if site.network is None:
        return
    network, seen = site.network, {claim.address for claim in address_plan(site)}
    single = tuple(item.network_address for item in network.management if item.prefixlen == 32)
    for key, addresses, owner in (
        ("dns_servers", network.dns_servers, "name server"),
        ("ntp_servers", network.ntp_servers, "time server"),
        ("management", single, "management"),
    ):
        for address in addresses:
            if address in network.internal.subnet and address not in seen:
                seen.add(address)
                yield Claim(address, owner, "internal", ("network", key), inside=False)


def placeholder(address: IPv4Address) -> bool:
    """Whether `address` is one of the documentation ranges: a place holder for one not assigned yet."""
    return any(address in subnet for subnet in PLACEHOLDERS)


def _network(site: Addressed) -> Iterator[Claim]:
    if site.network:
        yield Claim(
            site.network.internal.gateway, "internal gateway", "internal", ("network", "internal", "gateway")
        )
        yield Claim(site.network.public.gateway, "public gateway", "public", ("network", "public", "gateway"))


def _hosts(hosts: Iterable[Host]) -> Iterator[Claim]:
    for host in hosts:
        yield Claim(host.address, host.name, "internal", ("ansible_host",), host.name)
        if host.public_address:
            yield Claim(
                host.public_address, f"{host.name} (public)", "public", ("public_address",), host.name
            )


def _database(site: Addressed) -> Iterator[Claim]:
    if site.database:
        for number, address in enumerate(site.database.virtual_addresses):
            loc: Loc = ("database", "virtual_addresses", number)
            yield Claim(address, f"database VIP {number + 1}", "internal", loc)
        for number, address in enumerate(site.database.scan_addresses):
            yield Claim(address, f"SCAN {number + 1}", "internal", ("database", "scan_addresses", number))


def _appliances(site: Addressed) -> Iterator[Claim]:
    own = {
        group: [host for host in site.hosts if group in host.groups]
        for group in ("storage_servers", "balancers")
    }
    storage = _parsed(site.storage.export.partition(":")[0]) if site.storage else None
    if storage and storage not in [host.address for host in own["storage_servers"]]:
        yield Claim(storage, "shared storage", "internal", ("storage", "export"), inside=False)
    if site.balancer and site.balancer.management_address:
        address = site.balancer.management_address
        yield Claim(
            address, "balancer management", "internal", ("balancer", "management_address"), inside=False
        )
    if (
        site.balancer
        and site.balancer.address
        and site.balancer.address not in [host.public_address for host in own["balancers"]]
    ):
        yield Claim(site.balancer.address, "balancer (public)", "public", ("balancer", "address"))
    vcenter = _parsed(site.vcenter.host) if site.vcenter else None
    if vcenter and not vcenter.is_loopback:
        yield Claim(vcenter, "vCenter", "internal", ("vcenter", "host"), inside=False)


def _parsed(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None
