"""Take a snapshot of the whole lab, and bring one back; what was killed is finished by the next run.

Hosts are shut down first, cleanly: PostgreSQL's own control file must say so, and the storage's file system
is unmounted. Then their file systems are renamed, not copied (`xjops.lab.layers`), so neither taking nor
bringing back costs more for a large lab. Only the storage's disk image is copied, without its holes.
"""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Address
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import NotRunError, UsageError, XjopsError
from xjops.core.progress import Progress
from xjops.core.waiting import wait_for
from xjops.lab import daemon, disk, hosts, image, layers, network, podman, simulator, snapshot_vcenter
from xjops.lab import snapshots as store
from xjops.lab.agent import memory_file
from xjops.lab.credentials import lab_folder, ssh_folder
from xjops.lab.layers import Rootfs
from xjops.lab.podman import Container
from xjops.lab.snapshot_database import unclean
from xjops.lab.snapshots import HostState, Manifest, Open, SnapshotError
from xjops.lab.up import STARTS_AT_ONCE, alone
from xjops.lab.vault import require_lab
from xjops.plan.apply import alone as no_apply
from xjops.site import Host, Site

SHUT_DOWN_SECONDS = 90  # of one host; systemd itself gives a unit as much
COPY_SECONDS = 900.0
UNMOUNT_SECONDS = 60.0
# What others stand on ends last and starts first.
FOUNDATION = frozenset({"database_servers", "storage_servers"})


@dataclass
class Lab:
    """The containers of a lab, and where their file systems are."""

    site: Site
    progress: Progress

    def __post_init__(self) -> None:
        self.layers = layers.store(podman.graph_root(), self.site.name)
        self.look()

    def look(self) -> None:
        """See the containers as they are now."""
        self.containers: dict[str, Container] = hosts.lab_containers(self.site.name)
        self.stored = podman.stored([item.name for item in self.containers.values()])
        drivers = {item.driver for item in self.stored.values()}
        if drivers - {"overlay"}:
            raise NotRunError(
                f"podman keeps containers by {', '.join(sorted(drivers))}: snapshots need overlay",
                mend="a file system with overlay, then the lab anew",
            )

    @property
    def disks(self) -> Path:
        return lab_folder(self.site.name) / "disks"

    def rootfs(self, host: str) -> Rootfs:
        return Rootfs(host, self.stored[self.containers[host].name].folder)

    def names(self, chosen: Collection[str]) -> list[str]:
        return [self.containers[host].name for host in chosen]

    def running(self) -> tuple[str, ...]:
        return tuple(host for host, item in self.containers.items() if item.running)

    def wait_unmounted(self) -> None:
        """Wait until no stopped host's file system is mounted: a killed run's podman may still be at it."""

        podman.end_half_started(self.names(self.containers))

        def attempt() -> bool | None:
            left = [host for host in self.containers if self.rootfs(host).mounted()]
            if left:
                podman.shut_down(self.names(left), SHUT_DOWN_SECONDS)
            return None if left else True

        wait_for(
            attempt,
            what=f"the end of the hosts of {self.site.name}",
            seconds=UNMOUNT_SECONDS,
            mend="podman ps -a",
        )
        self.layers.mkdir(parents=True, exist_ok=True, mode=0o700)

    def ended_badly(self, host: str) -> bool:
        """Whether it still runs, or was killed."""
        item = self.stored[self.containers[host].name]
        return item.status == "running" or item.exit_code != 0

    def foundation(self) -> set[str]:
        return {host.name for host in self.site.hosts if FOUNDATION.intersection(host.groups)}


@contextmanager
def _lab(name: str, progress: Progress) -> Iterator[Lab]:
    """The lab, with no other lab command and no apply beside."""
    require_lab(paths.inventories() / name)
    site = Site.load(name)
    with alone(name), no_apply(name):
        yield Lab(site, progress)


def take(site_name: str, name: str | None, progress: Progress) -> Manifest:
    """Save the whole lab as `name` (its time when None) and have it run again as before.

    Raises `UsageError` for a name that is taken, `SnapshotError` when a host can't be shut down cleanly or
    there is no room (the lab then runs as before), or when another take or restore is unfinished.
    """
    began = time.monotonic()
    with _lab(site_name, progress) as lab:
        work = store.unfinished(site_name)
        if work is None:
            work = _begin(lab, name or f"{datetime.now(UTC):%Y%m%d-%H%M%S}")
        elif work.kind != "snapshot" or name not in (None, work.name):
            store.refuse_unfinished(site_name)
        target = store.folder(site_name) / work.name
        if not (target / "manifest.json").is_file():
            _save(lab, work, target, began)
        _wake(lab, work.running)
        if work.machines is not None:
            daemon.ensure(site_name)
        store.finish(site_name)
        return store.read(site_name, work.name)


def _begin(lab: Lab, name: str) -> Open:
    """Look whether it can be done, and note that it is under way."""
    site = lab.site.name
    if not store.NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a snapshot", mend="small letters, digits, '.', '-', '_'")
    if name in store.names(site):
        raise UsageError(
            f"there is a snapshot {name} already",
            mend=f"another name, or: xjops lab snapshots --delete {name}",
        )
    if not lab.containers:
        raise NotRunError(f"the lab {site} has no hosts", mend=f"xjops lab up --site {site}")
    if any(lab.disks.glob("*-folder")):
        raise NotRunError("the storage's disk is a folder here: it can't be saved", mend="a free loop device")
    if deep := [host for host in lab.containers if len(lab.rootfs(host).chain()) >= layers.MAX_LAYERS]:
        raise SnapshotError(
            f"{', '.join(deep)} stand on {layers.MAX_LAYERS} layers already",
            mend="xjops lab restore an early snapshot, or make the lab anew",
        )
    store.folder(site).mkdir(exist_ok=True, mode=0o700)
    store.check_space(store.folder(site), sum(map(disk.weight, lab.disks.glob("*.img"))))
    new = {host: [uuid.uuid4().hex, *lab.rootfs(host).chain()] for host in lab.containers}
    work = Open("snapshot", name, new, lab.running(), snapshot_vcenter.machines(lab.site))
    store.begin(site, work)
    return work


def _save(lab: Lab, work: Open, target: Path, began: float) -> None:
    saved = target.with_name(f".{target.name}.partial")
    if not any((lab.layers / chain[0]).exists() for chain in work.layers.values()):
        try:
            daemon.terminate(lab.site.name)
            _shut_down(lab, work.running)
            _copy_disks(lab, saved)
        except XjopsError:
            shutil.rmtree(saved, ignore_errors=True)
            _wake(lab, work.running)
            if work.machines is not None:
                daemon.ensure(lab.site.name)
            store.finish(lab.site.name)
            raise
    lab.wait_unmounted()
    images = sorted(item.name for item in saved.glob("*.img"))
    state = {}
    for host, chain in work.layers.items():
        item = lab.containers[host]
        lab.rootfs(host).freeze(lab.layers, chain)
        state[host] = HostState(
            tuple(chain),
            lab.stored[item.name].image,
            host in work.running,
            item.labels["xjops.address"],
            item.labels["xjops.kind"],
        )
    lab.progress("hosts", "frozen", f"{len(state)} file systems")
    os.sync()
    Manifest(
        work.name,
        datetime.now(UTC).isoformat(timespec="seconds"),
        round(time.monotonic() - began, 1),
        image.name(),
        store.site_digest(lab.site.folder),
        store.secrets_digest(lab.site),
        state,
        work.machines,
        tuple(images),
        sum(disk.weight(saved / name) for name in images),
    ).write(saved)
    saved.rename(target)


def _shut_down(lab: Lab, ran: Collection[str]) -> None:
    """Every host ended by its own systemd, foundations last; `SnapshotError` when one was not clean.

    `ran` are the hosts that ran when the take began: one that a killed take stopped must have ended cleanly.
    """
    for wave in reversed(_waves(lab, lab.running())):
        podman.shut_down(lab.names(wave), SHUT_DOWN_SECONDS)
    lab.wait_unmounted()
    lab.look()
    bad = [host for host in ran if lab.ended_badly(host)]
    if bad:
        raise SnapshotError(
            f"{', '.join(bad)} did not shut down cleanly within {SHUT_DOWN_SECONDS} s; nothing was saved",
            mend=f"podman logs {lab.containers[bad[0]].name}, then take it again",
        )
    lab.progress("hosts", "stopped", "cleanly")
    for host in lab.site.group("database_servers"):
        if host.name in lab.containers and (reason := unclean(lab.rootfs(host.name), lab.layers)):
            raise SnapshotError(
                f"the database of {host.name} is not shut down: {reason}; nothing was saved",
                mend=f"xjops lab shell {host.name} systemctl status 'postgresql*', then take it again",
            )


def _waves(lab: Lab, chosen: Collection[str]) -> list[list[str]]:
    """What others stand on, and the others."""
    foundation = lab.foundation()
    return [[host for host in chosen if (host in foundation) is first] for first in (True, False)]


def _copy_disks(lab: Lab, saved: Path) -> None:
    """The storage's disk images and known_hosts into the snapshot's folder."""
    shutil.rmtree(saved, ignore_errors=True)
    saved.mkdir(mode=0o700)
    images = disk.detach(lab.disks)
    for item in images:
        disk.copy(item, saved / item.name, seconds=COPY_SECONDS)
        lab.progress("disk", "saved", f"{item.stem}: {disk.weight(item) / 1e9:.1f} GB")
    known = ssh_folder(lab.site.name) / "known_hosts"
    if known.is_file():
        shutil.copy2(known, saved / "known_hosts")


def restore(site_name: str, name: str | None, progress: Progress) -> Manifest:
    """Bring the lab back to the snapshot `name` (the newest when None); what it is now is lost.

    Raises `UsageError` for an unknown one, `ConfigurationError` for one of another image, inventory or
    secrets, `SnapshotError` when there is no room or a take is unfinished; nothing is changed then.
    """
    with _lab(site_name, progress) as lab:
        work = store.unfinished(site_name)
        if work is not None and work.kind != "restore":
            store.refuse_unfinished(site_name)
        manifest = store.read(site_name, name or (work.name if work else store.latest(site_name)))
        store.check_fits(lab.site, manifest)
        _check_whole(lab, manifest)
        store.begin(site_name, Open("restore", manifest.name))
        daemon.terminate(site_name)
        simulator.stop(lab.site)
        podman.cut(lab.names(lab.running()))
        progress("hosts", "stopped", str(len(lab.containers)))
        _put_back(lab, manifest)
        with ThreadPoolExecutor(1) as pool:
            vcenter = None
            if manifest.machines is not None:
                vcenter = pool.submit(snapshot_vcenter.bring_back, lab.site, manifest.machines, progress)
            _wake(lab, [host for host, state in manifest.hosts.items() if state.running])
            if vcenter is not None:
                vcenter.result()
        if manifest.machines is not None and not simulator.absence(lab.site):
            daemon.ensure(site_name)
        store.finish(site_name)
        _tidy(lab)
        return manifest


def _check_whole(lab: Lab, manifest: Manifest) -> None:
    """Everything the snapshot stands on is there, and there is room for its disks."""
    folder = store.folder(lab.site.name) / manifest.name
    lost = [
        layer
        for state in manifest.hosts.values()
        for layer in state.layers
        if not (lab.layers / layer).is_dir()
    ] + [item for item in manifest.disks if not (folder / item).is_file()]
    if lost:
        raise SnapshotError(
            f"the snapshot {manifest.name} is not whole: {len(lost)} of its parts are gone ({lost[0]})",
            mend=f"xjops lab snapshots --delete {manifest.name}",
        )
    store.check_space(folder, sum(disk.weight(folder / item) for item in manifest.disks))


def _put_back(lab: Lab, manifest: Manifest) -> None:
    """File systems, disks and known_hosts as they were; containers made or removed to fit."""
    podman.remove(
        [
            item.name
            for host, item in lab.containers.items()
            if host not in manifest.hosts
            or lab.stored[item.name].image != manifest.hosts[host].image
            or item.labels.get("xjops.address") != manifest.hosts[host].address
        ]
    )
    for segment_name, segment in hosts.networks(lab.site).items():
        network.ensure(segment_name, segment.subnet, segment.gateway, {"site": lab.site.name})
    folder = store.folder(lab.site.name) / manifest.name
    disk.detach(lab.disks)
    for item in manifest.disks:
        disk.copy(folder / item, lab.disks / item, seconds=COPY_SECONDS)
        lab.progress("disk", "put back", item.removesuffix(".img"))
    lab.look()
    for host, state in manifest.hosts.items():
        if host not in lab.containers:
            _create(lab, host, state)
    lab.look()
    lab.wait_unmounted()
    for host, state in manifest.hosts.items():
        lab.rootfs(host).reset(lab.layers, state.layers)
    memory_file(lab.site.name).unlink(missing_ok=True)
    if (folder / "known_hosts").is_file():
        shutil.copy2(folder / "known_hosts", ssh_folder(lab.site.name) / "known_hosts")
    lab.progress("hosts", "put back", f"{len(manifest.hosts)} file systems")


def _create(lab: Lab, name: str, state: HostState) -> None:
    """A stopped container for a host of the snapshot that has none any more.

    It is started once: one that never ran is taken for the remains of a killed run by `lab up`.
    """
    address = IPv4Address(state.address)
    known = {host.name: host for host in lab.site.hosts}
    host = known.get(name) or Host(name=name, groups=(), address=address)
    brick = _brick(lab, host)
    item = hosts.guest_of(lab.site, host, state.kind, address=address, brick=brick)
    podman.start(item.container, hosts.words(lab.site, item, image.name()))
    podman.cut([item.container])
    lab.progress(name, "created", str(address))


def _brick(lab: Lab, host: Host) -> Path | None:
    if hosts.STORAGE_GROUP not in host.groups:
        return None
    return disk.ensure(lab.disks, host.name, lab.site.storage.size_gb)


def _wake(lab: Lab, running: Collection[str]) -> None:
    """Start these hosts, foundations first, a few at a time, and wait until each lets in by SSH."""
    network.guard(segment.subnet for segment in hosts.networks(lab.site).values())
    for host in lab.site.hosts:
        _brick(lab, host)
    for wave in _waves(lab, running):
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            list(pool.map(partial(_wake_one, lab), wave))


def _wake_one(lab: Lab, host: str) -> None:
    began = time.monotonic()
    item = lab.containers[host]
    podman.start(item.name, ())
    lab.rootfs(host).check_stands()
    podman.wait_ssh(item.name, IPv4Address(item.labels["xjops.address"]))
    podman.wait_login(item.name)
    lab.progress(host, "started", f"{time.monotonic() - began:.1f} s")


def delete(site_name: str, names: Collection[str], progress: Progress) -> None:
    """Remove snapshots, and the layers that nothing stands on any more."""
    with _lab(site_name, progress) as lab:
        store.refuse_unfinished(site_name)
        for name in names:
            if name not in store.names(site_name):
                store.read(site_name, name)  # says what is wrong with the name
        for name in names:
            gone = store.folder(site_name) / f".{name}.deleted"
            (store.folder(site_name) / name).rename(gone)
            progress(name, "deleted")
        _tidy(lab)


def _tidy(lab: Lab) -> None:
    """Remove what deleted snapshots, containers and killed runs left."""
    for left in store.folder(lab.site.name).glob(".*.deleted"):
        shutil.rmtree(left)
    used = store.used_layers(lab.site.name)
    for host in lab.containers:
        used |= set(lab.rootfs(host).chain())
    layers.throw_away(lab.layers, layers.unused(lab.layers, used))
