"""Compare what the site wants with what vCenter has. Pure: facts in, plan out."""

from __future__ import annotations

from collections.abc import Iterator

from xjops.adapters.vcenter_model import Estate, Machine, Power, Size, Stage
from xjops.adapters.vcenter_specs import Identity
from xjops.provision.model import Action, Change, Options, Plan, Problem, Step, Wanted
from xjops.provision.placement import Placement, space, spread, usable
from xjops.provision.steps import all_steps, needs_restart
from xjops.site.model import Host, Site

# Groups that say how a host is made, not what it is for.
_PLAIN_GROUPS = frozenset({"all", "ungrouped", "virtual_machines"})
_MEMORY_STEP_MB = 4  # vCenter takes multiples of 4 MiB only; the simulator takes anything


def wanted_machines(site: Site, options: Options) -> tuple[Wanted, ...]:
    """What the site says of its virtual machines, in inventory order; those of `options.names` only."""
    return tuple(
        Wanted(
            host=host,
            role=next((group for group in host.groups if group not in _PLAIN_GROUPS), "virtual_machines"),
            size=Size(host.cpus or 0, host.memory_mb or 0, host.disk_gb or 0),
            identity=_identity(site, host),
            site=site.name,
        )
        for host in site.virtual_machines
        if options.names is None or host.name in options.names
    )


def _identity(site: Site, host: Host) -> Identity:
    return Identity(
        name=host.name,
        domain=f"{site.name}.internal",
        address=host.address,
        subnet=site.network.internal.subnet,
        gateway=site.network.internal.gateway,
        dns_servers=site.network.dns_servers,
        timezone=site.site.timezone,
    )


def make_plan(site: Site, estate: Estate, options: Options) -> Plan:
    """The plan for the site's machines, with every problem that stands against it."""
    wanted = wanted_machines(site, options)
    problems = [problem for item in wanted for problem in _problems(site, item, estate, options)]
    problems += _template_problems(wanted, estate)
    refused = {problem.machine for problem in problems}
    placement = _place(wanted, estate, refused)
    if placement.homeless:
        problems.append(_no_room(placement, estate))
    changes = tuple(_change(item, estate, placement, item.name in refused) for item in wanted)
    known = {host.name for host in site.virtual_machines}
    strays = tuple(
        machine.path for machine in estate.machines if machine.site == site.name and machine.name not in known
    )
    return Plan(site, options, changes, tuple(problems), strays, estate.foreign)


def _only(estate: Estate, name: str) -> Machine | None:
    found = estate.named(name)
    return found[0] if len(found) == 1 else None


def _place(wanted: tuple[Wanted, ...], estate: Estate, refused: set[str]) -> Placement:
    new, growing = [], []
    for item in wanted:
        if item.name in refused:
            continue
        found = _only(estate, item.name)
        if found is None:
            new.append((item.name, space(_new_size(item, estate))))
            continue
        more = space(found.size.grown_to(item.size)) - space(found.size)
        if found.power is Power.OFF:
            more += space(Size(0, found.size.memory_mb, 0))  # its swap file is made when it starts
        if more and found.datastore:
            growing.append((item.name, found.datastore, more))
    return spread(new, growing, estate.datastores)


def _new_size(wanted: Wanted, estate: Estate) -> Size:
    """CPUs and memory as required; the disk is never smaller than the template's."""
    return Size(
        wanted.size.cpus, wanted.size.memory_mb, max(wanted.size.disk_gb, estate.template.size.disk_gb)
    )


def _change(wanted: Wanted, estate: Estate, placement: Placement, refused: bool) -> Change:
    found = _only(estate, wanted.name)
    if refused:
        after = found.size if found else wanted.size
        return Change(wanted, Action.REFUSED, found, after, found.datastore if found else None)
    if found is None:
        after = _new_size(wanted, estate)
        place = placement.datastores.get(wanted.name)
        return Change(wanted, Action.CREATE, None, after, place, all_steps(wanted, None))
    steps = all_steps(wanted, found)
    after = found.size.grown_to(wanted.size)
    return Change(
        wanted,
        _action(wanted, found, steps),
        found,
        after,
        found.datastore,
        steps,
        tuple(_notes(wanted, found)),
    )


def _action(wanted: Wanted, found: Machine, steps: tuple[Step, ...]) -> Action:
    if not steps:
        return Action.NOTHING
    if found.stage is Stage.CLONED or not found.made:
        return Action.RESUME
    if found.site is None:
        return Action.TAKE_OVER
    if found.size.grown_to(wanted.size) != found.size:
        return Action.GROW
    if Step.CHANGE in steps:
        return Action.MARK
    return Action.START if Step.POWER_ON in steps else Action.WAIT


def _notes(wanted: Wanted, found: Machine) -> Iterator[str]:
    size = found.size
    if size.cpus > wanted.size.cpus:
        yield f"keeps {size.cpus} CPUs, {wanted.size.cpus} are required"
    if size.memory_mb > wanted.size.memory_mb:
        yield f"keeps {size.memory_mb} MB, {wanted.size.memory_mb} are required"
    if size.disk_gb > wanted.size.disk_gb:
        yield f"keeps a disk of {size.disk_gb} GB, {wanted.size.disk_gb} are required"
    if not found.in_folder:
        yield f"stays at {found.path}"
    if needs_restart(wanted, found):
        yield "is shut down to grow, then started again"


def _problems(site: Site, wanted: Wanted, estate: Estate, options: Options) -> Iterator[Problem]:
    yield from _demand_problems(wanted, estate)
    found = estate.named(wanted.name)
    if len(found) > 1:
        paths = ", ".join(sorted(machine.path for machine in found))
        yield Problem(
            "duplicate-name",
            wanted.name,
            f"{len(found)} machines are called {wanted.name}: {paths}",
            "rename or remove all but one in vCenter",
        )
    elif found:
        taken = _taken(site, wanted, found[0], options)
        yield from [taken] if taken else _state_problems(wanted, found[0], options)
    yield from _address_problems(wanted, estate)


def _template_problems(wanted: tuple[Wanted, ...], estate: Estate) -> Iterator[Problem]:
    """A template that can't become a machine with one address; said once."""
    new = next((item for item in wanted if not estate.named(item.name)), None)
    if new is not None and (estate.template.cards != 1 or not estate.template.disk):
        yield Problem(
            "template",
            new.name,
            f"the template {estate.template.name} has {estate.template.cards} network cards and "
            f"{'a' if estate.template.disk else 'no'} disk; one card and a disk are needed",
            "mend the template in vCenter",
        )


def _demand_problems(wanted: Wanted, estate: Estate) -> Iterator[Problem]:
    """What the site asks for that no vCenter could give (the simulator would)."""
    name, size = wanted.name, wanted.size
    place = f"inventories/{wanted.site}"
    if not (size.cpus and size.memory_mb and size.disk_gb):
        yield Problem("size", name, f"{name} has no cpus, memory_mb or disk_gb", f"state them in {place}")
    if size.memory_mb % _MEMORY_STEP_MB:
        yield Problem(
            "size",
            name,
            f"{name} asks for {size.memory_mb} MB of memory; vCenter takes multiples of {_MEMORY_STEP_MB}",
            f"change memory_mb in {place}",
        )
    if size.cpus > estate.host_cpus or size.memory_mb > estate.host_memory_mb:
        yield Problem(
            "too-large",
            name,
            f"{name} asks for {size.cpus} CPUs and {size.memory_mb} MB; the largest usable host of the "
            f"cluster has {estate.host_cpus} and {estate.host_memory_mb}",
            f"change cpus and memory_mb in {place}, or add a larger host",
        )
    if wanted.host.os.lower().startswith("windows"):
        yield Problem(
            "system", name, f"{name} is a Windows machine; xjops makes Linux machines only", "make it by hand"
        )


def _taken(site: Site, wanted: Wanted, found: Machine, options: Options) -> Problem | None:
    """A name that a machine has which is not this site's."""
    name = wanted.name
    if found.site == site.name and not found.template:
        return None
    if found.template:
        text, mend = f"the name {name} is taken by the template {found.path}", "rename it in vCenter"
    elif found.site is not None:
        text = f"the name {name} is taken by {found.path}, a machine of the site {found.site}"
        mend = "rename one of the two"
    elif name in options.adopt:
        return None
    else:
        text = f"the name {name} is taken by {found.path}, a machine without the mark of the site {site.name}"
        mend = f"rename it in vCenter, or take it over: xjops vm apply --site {site.name} --adopt {name}"
    return Problem("name-taken", name, text, mend)


def _state_problems(wanted: Wanted, found: Machine, options: Options) -> Iterator[Problem]:
    name = wanted.name
    if not found.made:
        return
    if not found.disk:
        yield Problem("no-disk", name, f"{found.path} has no disk", "give it one in vCenter, or remove it")
    if wanted.size.disk_gb > found.size.disk_gb and found.snapshot:
        yield Problem(
            "snapshot",
            name,
            f"{name} has a snapshot, so its disk can't grow to {wanted.size.disk_gb} GB",
            "delete its snapshots in vCenter",
        )
    if needs_restart(wanted, found) and not options.restart:
        yield Problem(
            "needs-restart",
            name,
            f"{name} runs and can't get more CPUs or memory meanwhile",
            f"allow a restart: xjops vm apply --site {wanted.site} --restart",
        )
    unsure = found.stage is Stage.CLONED and found.power is not Power.OFF
    if unsure and not found.pending_customization and wanted.address not in found.addresses:
        yield Problem(
            "not-customized",
            name,
            f"{name} was started before it was told its address {wanted.address}",
            "power it off in vCenter, then run again",
        )


def _address_problems(wanted: Wanted, estate: Estate) -> Iterator[Problem]:
    """The planned address on another running machine."""
    holders = [
        machine.path
        for machine in estate.machines
        if machine.name != wanted.name and machine.power is Power.ON and wanted.address in machine.addresses
    ]
    foreign = estate.addresses.get(wanted.address)
    for holder in [*holders, *([foreign] if foreign else [])]:
        yield Problem(
            "address-taken",
            wanted.name,
            f"{wanted.address}, planned for {wanted.name}, is in use by {holder}",
            f"change ansible_host of {wanted.name}, or the address of the other machine",
        )


def _no_room(placement: Placement, estate: Estate) -> Problem:
    needs = ", ".join(f"{name} ({needed} GB)" for name, needed in placement.homeless.items())
    rooms = ", ".join(f"{store.name} {max(0, usable(store))} GB" for store in estate.datastores)
    return Problem(
        "no-space",
        next(iter(placement.homeless)),
        f"too little datastore space for {needs}; usable, 5 % kept free: {rooms or 'no datastore'}",
        "free space, or add datastores to vcenter.datastores",
    )
