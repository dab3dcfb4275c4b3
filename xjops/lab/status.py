"""What is there: every host of the lab with its container, its machine at vCenter, systemd and SSH.

Looks only. SSH is really logged in to, with the host key checked.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from xjops.adapters import vcenter
from xjops.adapters.ssh import Fleet
from xjops.core import paths
from xjops.core.errors import UsageError, XjopsError
from xjops.lab import agent, daemon, hosts, keys, network, simulator
from xjops.lab.credentials import ssh_folder
from xjops.lab.podman import Container, podman
from xjops.lab.vault import require_lab
from xjops.site import Host, Site

SSH_SECONDS = 15
QUESTION = "systemctl is-system-running"
ABSENT = "absent"


@dataclass(frozen=True)
class HostStatus:
    """One line of `lab status`. `vm` is "-" for physical machines and when vCenter can't be asked."""

    host: str
    role: str
    address: str
    vm: str
    container: str
    systemd: str
    ssh: str

    @property
    def state(self) -> str:
        """pass, warn (a virtual machine that is not made or switched on yet) or fail."""
        if self.container == "running" and self.systemd == "running" and self.ssh == "ok":
            return "pass"
        return "warn" if self.container != "running" and self.vm in ("absent", "off") else "fail"


@dataclass(frozen=True)
class LabStatus:
    """The lab as it is now. `vcenter` and `agent` are running or why not."""

    site: str
    vcenter: str
    agent: str
    hosts: tuple[HostStatus, ...]

    def as_dict(self) -> dict[str, object]:
        """For `--format json`; every host has its `state` too."""
        return {**asdict(self), "hosts": [{**asdict(item), "state": item.state} for item in self.hosts]}


def look(name: str) -> LabStatus:
    """The state of every host of the site's lab."""
    require_lab(paths.inventories() / name)
    site = Site.load(name)
    network.guard(segment.subnet for segment in hosts.networks(site).values())
    present = hosts.lab_containers(name)
    power, complaint = _power(site)
    up = [host for host in site.hosts if host.name in present and present[host.name].running]
    with Fleet(site) as fleet:
        answers = fleet.run(up, QUESTION, seconds=SSH_SECONDS)
    lines = []
    for host in site.hosts:
        answer = answers.get(host.name)
        lines.append(
            HostStatus(
                host=host.name,
                role=hosts.role(host),
                address=str(host.address),
                vm=power.get(host.name, "-"),
                container=present[host.name].state if host.name in present else ABSENT,
                systemd=_systemd(host, answer.stdout if answer and not answer.error else None, present),
                ssh="-" if answer is None else str(answer.error.what) if answer.error else "ok",
            )
        )
    return LabStatus(
        name, complaint or "running", "running" if daemon.running(name) else "stopped", tuple(lines)
    )


def _power(site: Site) -> tuple[dict[str, str], str]:
    """Power state of every virtual machine by name, and why vCenter can't be asked ("" when it can)."""
    if not simulator.running(site):
        return {}, "stopped"
    try:
        with vcenter.connect(site) as session:
            shown = agent.machines(session)
    except XjopsError as error:
        return {}, str(error)
    power = {host.name: ABSENT for host in site.virtual_machines}
    power.update({name: "on" if machine.on else "off" for name, (_, machine) in shown.items()})
    return power, ""


def _systemd(host: Host, answer: str | None, present: Mapping[str, Container]) -> str:
    """systemd's own word; asked through podman where SSH gives no answer."""
    item = present.get(host.name)
    if item is None or not item.running:
        return "-"
    if answer is not None:
        return answer.strip() or "unknown"
    return podman("exec", item.name, *QUESTION.split(), check=False, seconds=10) or "unknown"


def ssh_command(name: str, host_name: str, command: Sequence[str], *, terminal: bool) -> list[str]:
    """The ssh command that logs in to a host of the lab; known hosts and key are the site's own.

    Raises `UsageError` for an unknown host, `XjopsError` for one that is not running.
    """
    require_lab(paths.inventories() / name)
    site = Site.load(name)
    network.guard(segment.subnet for segment in hosts.networks(site).values())
    try:
        host = site.host(host_name)
    except KeyError:
        names = ", ".join(item.name for item in site.hosts)
        raise UsageError(f"{name} has no host {host_name!r}", mend=f"one of: {names}") from None
    item = hosts.lab_containers(name).get(host_name)
    if item is None or not item.running:
        virtual = host_name in {other.name for other in site.virtual_machines}
        raise XjopsError(
            f"{host_name} is not running ({item.state if item else ABSENT})",
            mend=f"xjops vm apply --site {name}" if virtual else f"xjops lab up --site {name}",
        )
    words = keys.ssh_words(ssh_folder(name), host.user, str(host.address))
    if terminal and not command:
        words.insert(1, "-t")
    # one word is a command line for the host's shell, as ssh has it; several are one command
    line = command[0] if len(command) == 1 else shlex.join(command)
    return [*words, *(["--", line] if command else [])]
