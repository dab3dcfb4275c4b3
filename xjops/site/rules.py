"""The rules between the values of a site, each with the lines it blames.

They work on a `Draft`: the parts of a site that are right so far, so that a wrong
value somewhere doesn't hide a mistake elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xjops.site import groups
from xjops.site.addresses import flaws, overlapping
from xjops.site.model import Balancer, Database, Host, Identity, Network, Storage, VCenter
from xjops.site.problems import Loc, Place, Places, Problem, similar, spell

F5_KEYS = (
    "management_address",
    "management_port",
    "management_ca_file",
    "management_certificate_file",
    "username",
    "partition",
    "pool",
    "virtual_server",
)


@dataclass
class Draft:
    """The right parts of a site. `groups_of` knows every host, also those whose values are wrong."""

    places: Places
    source: Path
    host_places: Mapping[str, Places]
    groups_of: Mapping[str, tuple[str, ...]]
    named: Mapping[str, Place]
    hosts: tuple[Host, ...] = ()
    site: Identity | None = None
    network: Network | None = None
    vcenter: VCenter | None = None
    database: Database | None = None
    storage: Storage | None = None
    balancer: Balancer | None = None

    def problem(self, loc: Loc, what: str, mend: str, host: str | None = None) -> Problem:
        """A problem at `loc` of the site, or of `host`."""
        if host is None:
            return Problem(spell(loc), self.places.at(loc), what, mend)
        place = self.host_places[host].places.get(loc) or self.named[host]
        return Problem(spell((host, *loc)), place, what, mend)


def check(draft: Draft) -> list[Problem]:
    """Every problem between the values of `draft`."""
    rules = (
        group_rules,
        size_rules,
        address_rules,
        pool_rules,
        database_rules,
        member_rules,
        balancer_rules,
        storage_rules,
    )
    return [problem for rule in rules for problem in rule(draft)]


def group_rules(draft: Draft) -> Iterator[Problem]:
    """Each host is one kind of machine and has a role."""
    for host, names in draft.groups_of.items():
        machines = [name for name in groups.MACHINES if name in names]
        if len(machines) != 1:
            what = f"is in {' and '.join(machines)}" if machines else "is in neither"
            kinds = " or ".join(groups.MACHINES)
            yield draft.problem((), f"{what}: a host is one of {kinds}", "mend its group", host)
        if not set(names) & set(groups.ROLES):
            yield draft.problem((), "has no role", f"put it below one of {', '.join(groups.ROLES)}", host)
    if not any("web_servers" in names for names in draft.groups_of.values()):
        yield Problem(
            "web_servers", Place(draft.source), "the group has no hosts", "add web1, web2, … below it"
        )


def size_rules(draft: Draft) -> Iterator[Problem]:
    """vCenter must know how large a virtual machine is."""
    examples = {"cpus": "4", "memory_mb": "8192", "disk_gb": "50"}
    for host in draft.hosts:
        if "virtual_machines" not in host.groups:
            continue
        for key, example in examples.items():
            written = (key,) in draft.host_places[host.name].places  # a wrong value has its own problem
            if getattr(host, key) is None and not written:
                yield draft.problem((key,), "missing value", f"add it like '{key}: {example}'", host.name)


def address_rules(draft: Draft) -> Iterator[Problem]:
    """No address twice, and each in the subnet of its side."""
    for flaw in flaws(draft):
        claim = flaw.claim
        mend = f"take an address of {flaw.subnet}, or mend network.{claim.side}.subnet"
        if flaw.other is not None:
            place = draft.problem(flaw.other.loc, "", "", flaw.other.host).place
            what = f"{claim.address} is also the address of {flaw.other.owner} ({place})"
            mend = f"give {claim.owner} an address of its own"
        elif flaw.kind == "outside":
            what = f"{claim.address} is outside {flaw.subnet}"
        else:
            what = f"{claim.address} is the network or broadcast address of {flaw.subnet}"
        yield draft.problem(claim.loc, what, mend, claim.host)
    if overlapping(draft):
        yield draft.problem(
            ("network", "public", "subnet"), "overlaps network.internal.subnet", "part the two"
        )


def pool_rules(draft: Draft) -> Iterator[Problem]:
    """Public addresses are taken from the assigned ones."""
    if not draft.network:
        return
    pool, key = draft.network.public_addresses, "public_addresses"
    for number, address in enumerate(pool):
        loc: Loc = ("network", key, number)
        if address in pool[:number]:
            yield draft.problem(loc, f"{address} is given twice", "keep one of them")
        if address not in draft.network.public.subnet:
            yield draft.problem(
                loc, f"{address} is outside {draft.network.public.subnet}", "mend one of the two"
            )
    mend = "add it there, or take one of them"
    for host in draft.hosts:
        if host.public_address and host.public_address not in pool:
            what = f"{host.public_address} is not in network.{key}"
            yield draft.problem(("public_address",), what, mend, host.name)
    if draft.balancer and draft.balancer.address and draft.balancer.address not in pool:
        what = f"{draft.balancer.address} is not in network.{key}"
        yield draft.problem(("balancer", "address"), what, mend)


def database_rules(draft: Draft) -> Iterator[Problem]:
    """RAC needs SCAN, service and one virtual address per host; PostgreSQL has none of them."""
    database = draft.database
    if not database:
        return
    rac = {"scan": "'scan: scan.xueji.example'", "service": "'service: registry'"}
    lists = {"scan_addresses": "three addresses", "virtual_addresses": "one address for each database server"}
    if database.kind == "postgresql":
        for key in (*rac, *lists):
            if getattr(database, key):
                yield draft.problem(
                    ("database", key), "is for Oracle RAC", "remove it, or write 'kind: oracle'"
                )
        return
    for key, example in (rac | lists).items():
        if not getattr(database, key):
            yield draft.problem(("database", key), "missing value for Oracle RAC", f"add {example}")
    servers = [name for name, names in draft.groups_of.items() if "database_servers" in names]
    given = len(database.virtual_addresses)
    if given and given != len(servers):
        what = f"{given} virtual addresses for {len(servers)} database servers"
        yield draft.problem(("database", "virtual_addresses"), what, "give each database server one")


def member_rules(draft: Draft) -> Iterator[Problem]:
    """The balancer's members are web servers of this site, each once."""
    members = draft.balancer.members if draft.balancer else ()
    web = [name for name, names in draft.groups_of.items() if "web_servers" in names]
    for number, member in enumerate(members):
        loc: Loc = ("balancer", "members", number)
        if member in members[:number]:
            yield draft.problem(loc, f"{member} is given twice", "keep one of them")
        elif member not in draft.groups_of:
            yield draft.problem(
                loc, f"there is no host '{member}'", similar(member, web) or "add it to web_servers"
            )
        elif member not in web:
            yield draft.problem(loc, f"{member} is no web server", f"members are of: {', '.join(web)}")


def balancer_rules(draft: Draft) -> Iterator[Problem]:
    """Each kind of balancer has the keys it needs, and none of the other's."""
    balancer = draft.balancer
    if not balancer:
        return
    if balancer.kind == "f5":
        yield from _f5_rules(draft, balancer)
        return
    for key in F5_KEYS:
        if getattr(balancer, key) != Balancer.model_fields[key].default:
            yield draft.problem(("balancer", key), "is for f5", "remove it, or write 'kind: f5'")
    if not any("balancers" in names for names in draft.groups_of.values()):
        yield draft.problem(
            ("balancer", "kind"), "haproxy without a host in balancers", "add lb1 to balancers"
        )
    if not balancer.certificate_file:
        mend = "add it like 'certificate_file: files/balancer.pem'"
        yield draft.problem(("balancer", "certificate_file"), "missing value for haproxy", mend)


def _f5_rules(draft: Draft, balancer: Balancer) -> Iterator[Problem]:
    """The driver's keys belong together; without account and pool there is none."""
    if not balancer.management_address:
        yield draft.problem(
            ("balancer", "management_address"),
            "missing value for f5",
            "add it like 'management_address: 192.0.2.51'",
        )
    driver = {"username": "username: xjops", "pool": "pool: xueji_web"}
    given = [key for key in (*driver, "virtual_server") if getattr(balancer, key)]
    for key, example in driver.items():
        if given and not getattr(balancer, key):
            what = f"missing value: {' and '.join(given)} need it"
            yield draft.problem(("balancer", key), what, f"add it like '{example}'")
    if balancer.management_certificate_file and balancer.management_ca_file:
        yield draft.problem(
            ("balancer", "management_certificate_file"),
            "and management_ca_file: it is verified by one of them",
            "remove one of the two",
        )
    for key in ("pool", "virtual_server"):
        if (getattr(balancer, key) or "").startswith("/"):
            yield draft.problem(
                ("balancer", key), "begins with /", "write the name only; partition has a key"
            )


def storage_rules(draft: Draft) -> Iterator[Problem]:
    """A host named by the export without a dot is one of the site's storage servers."""
    if not draft.storage:
        return
    server = draft.storage.export.partition(":")[0]
    ours = [name for name, names in draft.groups_of.items() if "storage_servers" in names]
    if "." not in server and server not in ours:
        mend = similar(server, ours) or "name a host of storage_servers, an address or a full domain name"
        yield draft.problem(("storage", "export"), f"there is no storage server '{server}'", mend)
