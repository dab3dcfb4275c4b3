"""What vCenter knows, as plain types: what planning decides on without a vCenter at hand.

Units stand in the names: `_mb` is MiB, `_gb` is GiB, as vCenter counts them. Disk sizes are rounded
down, so a disk of 49.9 GiB counts as one that has to grow to 50.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

# Our mark in a VM's extra configuration: a guest can't set these (only `guestinfo.*` is open to it).
SITE_KEY = "xjops.site"
ROLE_KEY = "xjops.role"
STAGE_KEY = "xjops.stage"
# Set from inside the guest through VMware Tools (in the lab: by the lab's agent).
HOST_KEY = "guestinfo.xjops.ssh_host_key"

_MARK = re.compile(r"^xjops: site=(?P<site>\S+) role=(?P<role>\S+)$", re.MULTILINE)


class Power(StrEnum):
    """Power state of a virtual machine."""

    ON = "on"
    OFF = "off"
    SUSPENDED = "suspended"


class Stage(StrEnum):
    """How far the making of a VM of ours has come; kept in its extra configuration."""

    CLONED = "cloned"  # made, its customization not yet sure
    READY = "ready"  # customized (or taken over as it was)


@dataclass(frozen=True)
class Size:
    """CPUs, memory in MiB, system disk in GiB."""

    cpus: int
    memory_mb: int
    disk_gb: int

    def grown_to(self, wanted: Size) -> Size:
        """The larger of both in each part: what is required is a minimum, nothing ever shrinks."""
        return Size(
            max(self.cpus, wanted.cpus),
            max(self.memory_mb, wanted.memory_mb),
            max(self.disk_gb, wanted.disk_gb),
        )


@dataclass(frozen=True)
class Machine:
    """A virtual machine or template as vCenter shows it.

    `id` is vCenter's own (moid); `path` is where it lies ("DC0/vm/xjops-lab/web1"). `made` is False
    while a clone is still being written. `site` and `role` are our mark, None on a foreign VM.
    """

    id: str
    name: str
    path: str
    in_folder: bool = True
    template: bool = False
    made: bool = True
    power: Power = Power.OFF
    size: Size = Size(0, 0, 0)
    disk: bool = True
    disks: int = 1
    snapshot: bool = False
    hot_add_cpu: bool = False
    hot_add_memory: bool = False
    networks: tuple[str, ...] = ()
    cards: int = 1
    datastore: str | None = None
    addresses: tuple[str, ...] = ()
    annotation: str = ""
    site: str | None = None
    role: str | None = None
    stage: Stage | None = None
    pending_customization: bool = False
    host_key: str | None = None


@dataclass(frozen=True)
class Datastore:
    """A datastore the site may use."""

    name: str
    free_gb: int
    capacity_gb: int


@dataclass(frozen=True)
class Estate:
    """Everything a plan depends on, read in one look.

    `machines` are all VMs of the data center whose name the site wants (duplicates included) and all
    that carry the site's mark; `addresses` maps every address that another running VM has to that VM's path.
    `host_cpus` and `host_memory_mb` are those of the largest usable host of the cluster.
    """

    template: Machine
    machines: tuple[Machine, ...] = ()
    datastores: tuple[Datastore, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)
    foreign: int = 0
    host_cpus: int = 0
    host_memory_mb: int = 0

    def named(self, name: str) -> tuple[Machine, ...]:
        """The machines of that name, templates too; more than one is a mistake somebody has to mend."""
        return tuple(machine for machine in self.machines if machine.name == name)


def mark(site: str, role: str) -> str:
    """The first line of the annotation of a VM of ours."""
    return f"xjops: site={site} role={role}"


def read_mark(annotation: str) -> tuple[str, str] | None:
    """Site and role out of an annotation; None when it is not ours."""
    match = _MARK.search(annotation)
    return (match["site"], match["role"]) if match else None


def annotate(annotation: str, site: str, role: str) -> str:
    """`annotation` with our mark as its first line; what others wrote stays below."""
    rest = _MARK.sub("", annotation).strip()
    return "\n".join(part for part in (mark(site, role), rest) if part)
