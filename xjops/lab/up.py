"""`lab up` and `lab down`: every step looks first, so a run that was killed goes on where it stopped."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import DeadlineError, NotRunError, UsageError
from xjops.core.locking import lock
from xjops.core.progress import Progress
from xjops.lab import (
    agent,
    credentials,
    daemon,
    disk,
    hosts,
    image,
    layers,
    machine,
    network,
    podman,
    simulator,
    snapshots,
)
from xjops.lab.credentials import lab_folder
from xjops.lab.vault import require_lab
from xjops.site import Host, Site

STARTS_AT_ONCE = 4
HANG_SECONDS = 15.0
BUSY_SECONDS = 1800.0  # another `lab up` may be building the base image


@dataclass(frozen=True)
class Outcome:
    """What `up` did: containers that were made or started, and why there is no vCenter ("" when there is)."""

    site: Site
    changed: tuple[str, ...]
    no_vcenter: str


@contextmanager
def alone(name: str) -> Iterator[None]:
    """One `lab up` or `lab down` of a site at a time."""
    with lock(
        paths.state(name) / "lab.lock",
        what=f"lab command on {name}",
        seconds=BUSY_SECONDS,
        mend="look for another xjops lab (ps)",
    ):
        yield


def up(name: str, progress: Progress, recreate: Collection[str] = ()) -> Outcome:
    """Bring the lab up: secrets, base image, networks, disk, physical hosts, vCenter, agent.

    `recreate` names hosts whose container is made anew. Without a simulator of vCenter the virtual
    machines are started from the inventory instead. Raises `MachineError` naming all that is missing here.
    """
    machine.require(need_image=not image.cached())
    require_lab(paths.inventories() / name)
    with alone(name):
        snapshots.refuse_unfinished(name)
        made = credentials.ensure(name)
        site = made.site
        if made.new:
            progress("secrets", "made", ", ".join(made.new))
        _known(site, recreate)
        for network_name, segment in hosts.networks(site).items():
            network.ensure(network_name, segment.subnet, segment.gateway, {"site": name})
        with ThreadPoolExecutor(1) as pool:
            vcenter = pool.submit(_vcenter, site, "vCenter certificate" in made.new, progress)
            image_name = image.ensure(lambda line: progress("base image", line.removeprefix("base image: ")))
            changed = _start(site, hosts.physical_hosts(site), hosts.PHYSICAL, image_name, recreate, progress)
            changed += _machines(site, vcenter, image_name, recreate, progress)
    return Outcome(site, tuple(changed), vcenter.result())


def _known(site: Site, recreate: Collection[str]) -> None:
    names = {host.name for host in site.hosts}
    if unknown := set(recreate) - names:
        raise UsageError(f"{site.name} has no host {', '.join(sorted(unknown))}", mend="xjops lab status")


def _vcenter(site: Site, renewed: bool, progress: Progress) -> str:
    """Start the simulator; why there is none, or ""."""
    if renewed and simulator.running(site):
        simulator.stop(site)
    began = time.monotonic()
    was_running = simulator.running(site)
    if not was_running:
        progress("vCenter", "starting", "VMware's simulator")
    try:
        simulator.start(site)
    except NotRunError as error:
        simulator.remember_absence(site, str(error))
        progress("vCenter", "not-run", str(error))
        return str(error)
    simulator.remember_absence(site, "")
    if not was_running:
        progress("vCenter", "started", f"{site.vcenter.host}:{site.vcenter.port} ({_seconds(began)})")
    return ""


def _machines(
    site: Site, vcenter: Future[str], image_name: str, recreate: Collection[str], progress: Progress
) -> list[str]:
    """Virtual machines: the agent's, or, without vCenter, started here like the physical ones."""
    present = hosts.lab_containers(site.name)
    again = [host.name for host in site.virtual_machines if host.name in recreate and host.name in present]
    podman.remove([present[host].name for host in again])
    if vcenter.result():
        daemon.terminate(site.name)
        return _start(site, site.virtual_machines, hosts.VIRTUAL, image_name, (), progress)
    known = agent.recall(site.name).machines
    asleep = [
        host
        for host in site.virtual_machines
        if host.name in present and not present[host.name].running and host.name not in again
        and host.name in known and known[host.name].on
    ]  # fmt: skip
    wake = partial(_wake, site, progress=progress)
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        list(pool.map(wake, asleep))
    if daemon.ensure(site.name):
        progress("agent", "started", "makes powered-on virtual machines hosts")
    return [host.name for host in asleep]


def _wake(site: Site, host: Host, *, progress: Progress) -> None:
    """Start the container of a machine that was on when it went down (`lab down`, a crash)."""
    began = time.monotonic()
    podman.start(hosts.container_name(site.name, host.name), ())
    podman.wait_ssh(hosts.container_name(site.name, host.name), host.address)
    progress(host.name, "started", f"{host.address} ({_seconds(began)})")


def _start(
    site: Site,
    chosen: Collection[Host],
    kind: str,
    image_name: str,
    recreate: Collection[str],
    progress: Progress,
) -> list[str]:
    """Bring these hosts' containers up, a few at a time; the names of those that were not running."""
    present = hosts.lab_containers(site.name)
    again = [host.name for host in chosen if host.name in recreate and host.name in present]
    podman.remove([present.pop(name).name for name in again])
    hosts.check_addresses(chosen, present)
    hosts.write_known_hosts(site, chosen)
    asleep = [host for host in chosen if host.name not in present or not present[host.name].running]
    start = partial(_start_one, site, kind=kind, image_name=image_name, progress=progress)
    with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
        list(pool.map(start, asleep))
    stuck = [host for host in chosen if host not in asleep and not _answers(site, host)]
    for host in stuck:
        # it never got to the end of its boot (the machine had too little of something): once more
        progress(host.name, "restarted", "it hung while booting")
        podman.podman(*podman.REDIRECT, "restart", "--time", "2", hosts.container_name(site.name, host.name))
        podman.wait_ssh(hosts.container_name(site.name, host.name), host.address)
    return [host.name for host in (*asleep, *stuck)]


def _answers(site: Site, host: Host) -> bool:
    """Whether a running host's SSH answers; False for one whose systemd hangs while booting."""
    name = hosts.container_name(site.name, host.name)
    try:
        podman.wait_ssh(name, host.address, HANG_SECONDS)
    except DeadlineError:
        state = podman.podman("exec", name, "systemctl", "is-system-running", check=False, seconds=20)
        if state in ("starting", "initializing", ""):
            return False
        podman.wait_ssh(name, host.address)  # booted, but slow to answer: this machine is busy
    return True


def _start_one(site: Site, host: Host, *, kind: str, image_name: str, progress: Progress) -> None:
    began = time.monotonic()
    item = hosts.guest_of(site, host, kind, address=host.address, brick=_brick(site, host, progress))
    result = podman.start(item.container, hosts.words(site, item, image_name))
    podman.wait_ssh(item.container, host.address)
    progress(host.name, result, f"{host.address} ({_seconds(began)})")


def _brick(site: Site, host: Host, progress: Progress) -> Path | None:
    if hosts.STORAGE_GROUP not in host.groups:
        return None
    folder = lab_folder(site.name) / "disks"
    if not (folder / host.name).is_mount() and not disk.can_loop():
        progress(
            host.name, "no disk", "no loop device here: its brick is a folder of this machine's own disk"
        )
        plain = folder / f"{host.name}-folder"
        plain.mkdir(parents=True, exist_ok=True)
        return plain
    return disk.ensure(folder, host.name, site.storage.size_gb)


def down(name: str, progress: Progress) -> None:
    """Switch the lab off: agent, vCenter, hosts. What is on the hosts stays; `up` starts them again."""
    require_lab(paths.inventories() / name)
    with alone(name):
        _stop_services(name, progress)
        running = [item.name for item in hosts.lab_containers(name).values() if item.running]
        podman.stop(running)
        progress("hosts", "stopped", str(len(running)))


def purge(name: str, progress: Progress) -> None:
    """Remove the lab: containers, networks, disks, state, secrets. The unreachable routes stay."""
    folder = paths.inventories() / name
    require_lab(folder)
    with alone(name):
        # a vault that can't be read any more must not stand in the way of removing it
        (folder / "group_vars" / "all" / "vault.yml").unlink(missing_ok=True)
        _stop_services(name, progress)
        present = hosts.lab_containers(name)
        podman.remove([item.name for item in present.values()])
        shutil.rmtree(layers.store(podman.graph_root(), name), ignore_errors=True)
        network.remove([f"xj-{name}-internal", f"xj-{name}-public"])
        disk.remove(lab_folder(name) / "disks")
        shutil.rmtree(folder / "files", ignore_errors=True)
        shutil.rmtree(paths.state(name))
    progress("lab", "removed", f"{len(present)} hosts, networks, disks, state, secrets")


def _stop_services(name: str, progress: Progress) -> None:
    if daemon.terminate(name):
        progress("agent", "stopped")
    site = Site.load(name)
    network.guard(segment.subnet for segment in hosts.networks(site).values())
    if simulator.running(site):
        simulator.stop(site)
        progress("vCenter", "stopped")


def _seconds(began: float) -> str:
    return f"{time.monotonic() - began:.1f} s"
