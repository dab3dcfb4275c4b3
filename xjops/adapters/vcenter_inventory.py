"""Look at vCenter: find the names that the site gives, read the machines, as plain types.

Two round trips for a whole data center (everything's names, then the details of the machines that
matter), so a look costs the same with 11 VMs as with a thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pyVmomi import vim

from xjops.adapters.vcenter import Found, VCenter
from xjops.adapters.vcenter_model import (
    HOST_KEY,
    ROLE_KEY,
    SITE_KEY,
    STAGE_KEY,
    Datastore,
    Estate,
    Machine,
    Power,
    Size,
    Stage,
    read_mark,
)
from xjops.core.errors import ConfigurationError
from xjops.site.model import Site

_GB = 1024**3
_POWER = {"poweredOn": Power.ON, "poweredOff": Power.OFF, "suspended": Power.SUSPENDED}
_SUMMARY = ("name", "parent", "config.template", "config.annotation", "runtime.powerState", "guest.ipAddress")
_RUNNING = ("runtime.powerState", "guest.net", "guest.ipAddress", "config.tools.pendingCustomization")
_DETAILS = (
    "name",
    "parent",
    "config.template",
    "config.annotation",
    "config.hardware.numCPU",
    "config.hardware.memoryMB",
    "config.hardware.device",
    "config.cpuHotAddEnabled",
    "config.memoryHotAddEnabled",
    "config.extraConfig",
    "snapshot",
    "network",
    *_RUNNING,
)
_EVERYTHING = (
    (vim.ClusterComputeResource, ("name", "resourcePool", "host", "network", "datastore", "configurationEx")),
    (vim.HostSystem, ("runtime.connectionState", "runtime.inMaintenanceMode", "summary.hardware")),
    (vim.Datastore, ("name", "summary")),
    (vim.Network, ("name",)),
    (vim.Folder, ("name", "parent")),
    (vim.VirtualMachine, _SUMMARY),
)


class UnknownNameError(ConfigurationError):
    """The site names a data center, cluster, folder, datastore, network or template that vCenter hasn't."""


@dataclass
class Place:
    """vCenter's own references of what the site names, and what lies there."""

    datacenter: Any
    folder: Any
    pool: Any
    hosts: list[Any]  # empty when DRS places the machines
    network: Any
    template: Any
    datastores: dict[str, Any]
    names: dict[Any, str] = field(default_factory=dict)  # networks and datastores by reference
    paths: dict[Any, str] = field(default_factory=dict)  # folders by reference


class _Lookup:
    """Collects every unknown name before it complains."""

    def __init__(self, site: Site, endpoint: str) -> None:
        self.site = site
        self.endpoint = endpoint
        self.problems: list[str] = []

    def pick(self, key: str, name: str, kind: str, among: Mapping[str, Any], where: str) -> Any:
        if name in among:
            return among[name]
        has = f"use one of: {', '.join(sorted(among))}; or make it" if among else "make it"
        self.problems.append(
            f"At '{key}' (inventories/{self.site.name}/group_vars/all/site.yml): "
            f"{where} has no {kind} {name!r} → {has} in vCenter"
        )
        return None

    def complain(self) -> None:
        if self.problems:
            raise UnknownNameError("", problems=tuple(self.problems))


def locate(session: VCenter) -> tuple[Place, Found]:
    """Find everything the site names; also gives what was found on the way (see `_EVERYTHING`).

    Raises `UnknownNameError` with one line for each name that isn't there.
    """
    wanted = session.site.vcenter
    lookup = _Lookup(session.site, session.endpoint)
    centers = session.below([(vim.Datacenter, ("name", "vmFolder"))], session.content.rootFolder)
    by_name = {str(values["name"]): item for item, values in centers.items()}
    center = lookup.pick("vcenter.datacenter", wanted.datacenter, "data center", by_name, session.endpoint)
    lookup.complain()
    found = session.below(_EVERYTHING, center)
    clusters = _by_name(found, vim.ClusterComputeResource)
    cluster = lookup.pick(
        "vcenter.cluster", wanted.cluster, "cluster", clusters, f"data center {wanted.datacenter!r}"
    )
    lookup.complain()
    place = _place(session, lookup, center, centers[center]["vmFolder"], cluster, found)
    lookup.complain()
    return place, found


def _by_name(found: Found, kind: type[Any], among: Iterable[Any] | None = None) -> dict[str, Any]:
    chosen = found if among is None else among
    return {
        str(found[item]["name"]): item for item in chosen if isinstance(item, kind) and "name" in found[item]
    }


def _place(session: VCenter, lookup: _Lookup, center: Any, root: Any, cluster: Any, found: Found) -> Place:
    wanted = session.site.vcenter
    values = found[cluster]
    where = f"cluster {wanted.cluster!r}"
    networks = _by_name(found, vim.Network, (item for item in values["network"] if item in found))
    stores = _by_name(found, vim.Datastore, (item for item in values["datastore"] if item in found))
    paths = _folder_paths(found, root, f"{wanted.datacenter}/vm")
    top = f"{wanted.datacenter}/vm/"
    folders = {path.removeprefix(top): item for item, path in paths.items() if item != root}
    datacenter = f"data center {wanted.datacenter!r}"
    return Place(
        datacenter=center,
        folder=lookup.pick("vcenter.folder", wanted.folder, "VM folder", folders, datacenter),
        pool=values["resourcePool"],
        hosts=[] if _drs(values) else _usable(found, values["host"]),
        network=lookup.pick("vcenter.network", wanted.network, "network", networks, where),
        template=_template(lookup, found),
        datastores={
            name: lookup.pick(f"vcenter.datastores[{number}]", name, "datastore", stores, where)
            for number, name in enumerate(wanted.datastores)
        },
        names={item: name for name, item in {**networks, **stores}.items()},
        paths=paths,
    )


def _folder_paths(found: Found, root: Any, top: str) -> dict[Any, str]:
    """VM folders by reference, as "DC0/vm/…"."""
    paths = {root: top}
    waiting = {
        item: values["parent"]
        for item, values in found.items()
        if isinstance(item, vim.Folder) and item is not root and "parent" in values
    }
    grown = True
    while grown:
        grown = False
        for item, parent in list(waiting.items()):
            if parent in paths:
                paths[item] = f"{paths[parent]}/{found[item]['name']}"
                del waiting[item]
                grown = True
    return paths


def _drs(cluster: Mapping[str, Any]) -> bool:
    settings = cluster.get("configurationEx")
    return bool(settings is not None and settings.drsConfig is not None and settings.drsConfig.enabled)


def _usable(found: Found, hosts: Iterable[Any]) -> list[Any]:
    return [
        host
        for host in hosts
        if found.get(host, {}).get("runtime.connectionState") == "connected"
        and not found[host].get("runtime.inMaintenanceMode")
    ]


def _template(lookup: _Lookup, found: Found) -> Any:
    wanted = lookup.site.vcenter.template
    machines = [item for item in found if isinstance(item, vim.VirtualMachine)]
    templates = {
        str(found[item]["name"]): item
        for item in machines
        if found[item].get("config.template") and "name" in found[item]
    }
    where = f"data center {lookup.site.vcenter.datacenter!r}"
    if wanted not in templates and any(found[item].get("name") == wanted for item in machines):
        lookup.problems.append(
            f"At 'vcenter.template' (inventories/{lookup.site.name}/group_vars/all/site.yml): "
            f"{wanted!r} is a virtual machine, not a template → convert it to a template"
        )
        return None
    return lookup.pick("vcenter.template", wanted, "template", templates, where)


def look(session: VCenter, names: Iterable[str] = ()) -> tuple[Place, Estate]:
    """Everything a plan depends on, in one look; machines called one of `names` are looked at, too.

    Raises `UnknownNameError` for names of the site that vCenter doesn't know.
    """
    place, found = locate(session)
    wanted = {*(host.name for host in session.site.virtual_machines), *names}
    matter, foreign, addresses = [place.template], 0, {}
    for item, values in found.items():
        if not isinstance(item, vim.VirtualMachine) or item == place.template:
            continue
        mark = read_mark(str(values.get("config.annotation") or ""))
        ours = mark is not None and mark[0] == session.site.name
        if ours or values.get("name") in wanted:
            matter.append(item)
        elif not values.get("config.template"):
            foreign += 1
            address = values.get("guest.ipAddress")
            if address and values.get("runtime.powerState") == "poweredOn":
                addresses[str(address)] = _path(place, values)
    machines = read_machines(session, place, matter)
    hosts = [found[host]["summary.hardware"] for host in _cluster_hosts(session, found)]
    return place, Estate(
        template=machines.pop(place.template._GetMoId()),
        machines=tuple(machines.values()),
        datastores=_datastores(place, found),
        addresses=addresses,
        foreign=foreign,
        host_cpus=max((hardware.numCpuThreads for hardware in hosts), default=0),
        host_memory_mb=max((hardware.memorySize // 1024**2 for hardware in hosts), default=0),
    )


def _cluster_hosts(session: VCenter, found: Found) -> list[Any]:
    clusters = _by_name(found, vim.ClusterComputeResource)
    return _usable(found, found[clusters[session.site.vcenter.cluster]]["host"])


def _datastores(place: Place, found: Found) -> tuple[Datastore, ...]:
    return tuple(
        Datastore(name, summary.freeSpace // _GB, summary.capacity // _GB)
        for name, item in place.datastores.items()
        for summary in (found[item]["summary"],)
        if summary.accessible and summary.maintenanceMode in (None, "normal")
    )


def read_details(session: VCenter, machines: Iterable[Any]) -> Found:
    """Everything of interest about machines, as vCenter gives it; those that vanished are left out."""
    found = session.retrieve([(vim.VirtualMachine, _DETAILS)], machines)
    return {item: values for item, values in found.items() if "name" in values}


def read_machines(session: VCenter, place: Place, machines: Iterable[Any]) -> dict[str, Machine]:
    """The machines as they are now, by vCenter's id; those that vanished are left out."""
    details = read_details(session, machines)
    return {item._GetMoId(): as_machine(place, item, values) for item, values in details.items()}


def refresh_machines(session: VCenter, machines: Mapping[Any, Machine]) -> dict[str, Machine]:
    """Like `read_machines`, for machines whose size and marks are known: reads only how they run.

    Devices and extra configuration are nine tenths of what a full read costs.
    """
    found = session.retrieve([(vim.VirtualMachine, _RUNNING)], machines)
    return {
        item._GetMoId(): replace(machine, **_running(found[item]))
        for item, machine in machines.items()
        if "runtime.powerState" in found.get(item, {})
    }


def _running(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "power": _POWER[str(values.get("runtime.powerState") or "poweredOff")],
        "addresses": addresses_of(values),
        "pending_customization": bool(values.get("config.tools.pendingCustomization")),
    }


def _path(place: Place, values: Mapping[str, Any]) -> str:
    return f"{place.paths.get(values.get('parent'), '…')}/{values.get('name')}"


def as_machine(place: Place, item: Any, values: Mapping[str, Any]) -> Machine:
    """A machine out of what `read_details` gave."""
    extra = {str(item.key): str(item.value) for item in values.get("config.extraConfig") or ()}
    annotation = str(values.get("config.annotation") or "")
    site, role = read_mark(annotation) or (extra.get(SITE_KEY), extra.get(ROLE_KEY))
    devices = list(values.get("config.hardware.device") or ())
    disk = system_disk(devices)
    stage = extra.get(STAGE_KEY)
    return Machine(
        id=item._GetMoId(),
        name=str(values["name"]),
        path=_path(place, values),
        in_folder=values.get("parent") == place.folder,
        template=bool(values.get("config.template")),
        made="config.hardware.numCPU" in values,
        size=Size(
            int(values.get("config.hardware.numCPU") or 0),
            int(values.get("config.hardware.memoryMB") or 0),
            int(disk.capacityInKB) // 1024**2 if disk is not None else 0,
        ),
        disk=disk is not None,
        disks=sum(isinstance(item, vim.vm.device.VirtualDisk) for item in devices),
        snapshot=values.get("snapshot") is not None,
        hot_add_cpu=bool(values.get("config.cpuHotAddEnabled")),
        hot_add_memory=bool(values.get("config.memoryHotAddEnabled")),
        networks=tuple(place.names.get(item, "?") for item in values.get("network") or ()),
        cards=sum(isinstance(item, vim.vm.device.VirtualEthernetCard) for item in devices),
        datastore=_store_of(disk),
        annotation=annotation,
        site=site,
        role=role,
        stage=Stage(stage) if stage in set(Stage) else None,
        host_key=extra.get(HOST_KEY),
        **_running(values),
    )


def addresses_of(values: Mapping[str, Any]) -> tuple[str, ...]:
    """Every address that VMware Tools reports for a machine, out of its `guest.*` properties."""
    cards = [str(address) for card in values.get("guest.net") or () for address in card.ipAddress or ()]
    main = values.get("guest.ipAddress")
    return tuple(dict.fromkeys([*([str(main)] if main else []), *cards]))


def system_disk(devices: Iterable[Any]) -> Any:
    """The first disk of the first controller; None when there is none."""
    disks = [item for item in devices if isinstance(item, vim.vm.device.VirtualDisk)]
    return min(disks, key=lambda disk: (disk.controllerKey or 0, disk.unitNumber or 0), default=None)


def _store_of(disk: Any) -> str | None:
    """The datastore of a disk out of its file name, "[LocalDS_0] web1/web1.vmdk"."""
    name = str(getattr(getattr(disk, "backing", None), "fileName", "") or "")
    return name[1 : name.index("]")] if name.startswith("[") and "]" in name else None
