"""The lab's agent: makes a powered-on virtual machine of the simulated vCenter a running host.

It does what the hypervisor, the guest customization and VMware Tools do on real kit: it starts a container
with the address that the customization gave the guest, and tells vCenter the guest's SSH host key. It runs
detached (`xjops lab agent`, see `xjops.lab.daemon`). Every other second it reads a few properties from
vCenter, and only when they have changed it asks podman, too. What it decides is in `xjops.lab.machines`.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any

from xjops.adapters import vcenter
from xjops.adapters.vcenter_model import HOST_KEY, SITE_KEY
from xjops.core.errors import XjopsError
from xjops.lab import hosts, image, network
from xjops.lab.credentials import lab_folder
from xjops.lab.keys import write_private
from xjops.lab.machines import Do, Host, Known, Machine, Memory, Step, decide, undone
from xjops.lab.podman import remove, start, stop, wait_ssh
from xjops.site import Host as SiteHost
from xjops.site import Site

LOOK_SECONDS = 2.0
THOROUGH_SECONDS = 30.0  # containers are looked at this often though vCenter shows nothing new
RETRY_SECONDS = 3.0  # after vCenter gave no answer
STARTS_AT_ONCE = 3
SIMULATOR_OPTION = "config.xjops.simulator"
SIGNS = ("name", "runtime.powerState", "config.instanceUuid", "guest.ipAddress")
PROPERTIES = ("name", "runtime.powerState", "config.instanceUuid", "config.template", "config.extraConfig",
              "guest.ipAddress")  # fmt: skip
Log = Callable[[str], None]


def memory_file(site: str) -> Path:
    """What the agent remembers; readable by `lab up` and `lab status`."""
    return lab_folder(site) / "agent.json"


def recall(site: str) -> Memory:
    """The agent's memory; empty when there is none or it can't be read."""
    try:
        data = json.loads(memory_file(site).read_text())
        known = {name: Known(str(item["uuid"]), bool(item["on"])) for name, item in data["machines"].items()}
        return Memory(str(data["simulator"]), known)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Memory()


def remember(site: str, memory: Memory) -> None:
    """Write the memory when it has changed."""
    if recall(site) != memory:
        write_private(memory_file(site), json.dumps(asdict(memory)).encode())


def simulator_mark(session: vcenter.VCenter) -> str:
    """The running simulator's own mark, set by the first agent that sees it; another run has another one."""
    from pyVmomi import vim

    setting = session.content.setting
    for option in setting.setting:
        if option.key == SIMULATOR_OPTION:
            return str(option.value)
    mark = uuid.uuid4().hex
    setting.UpdateOptions([vim.option.OptionValue(key=SIMULATOR_OPTION, value=mark)])
    return mark


def machines(session: vcenter.VCenter) -> dict[str, tuple[Any, Machine]]:
    """This site's machines by name: vCenter's object and what it shows."""
    from pyVmomi import vim

    found = session.below([(vim.VirtualMachine, PROPERTIES)], session.content.rootFolder)
    result = {}
    for item, values in found.items():
        extra = {str(option.key): str(option.value) for option in values.get("config.extraConfig", ())}
        if values.get("config.template") or extra.get(SITE_KEY) != session.site.name:
            continue
        name = str(values["name"])
        result[name] = (
            item,
            Machine(
                name=name,
                uuid=str(values.get("config.instanceUuid", "")),
                on=values.get("runtime.powerState") == "poweredOn",
                address=_address(values.get("guest.ipAddress")),
                host_key=extra.get(HOST_KEY),
            ),
        )
    return result


def signs(session: vcenter.VCenter) -> dict[str, tuple[str, ...]]:
    """What decides over hosts, of every machine, by vCenter's id: cheap to read and to compare."""
    from pyVmomi import vim

    found = session.below([(vim.VirtualMachine, SIGNS)], session.content.rootFolder)
    return {item._GetMoId(): tuple(str(values.get(name)) for name in SIGNS) for item, values in found.items()}


def _address(value: object) -> IPv4Address | None:
    try:
        return IPv4Address(str(value)) if value else None
    except AddressValueError:
        return None


class Agent:
    """Carries out what `decide` says, for one site, until `stopped`."""

    def __init__(self, site: Site, log: Log, stopped: Callable[[], bool] = lambda: False) -> None:
        self.site = site
        self.log = log
        self.stopped = stopped
        self.image = image.name()
        self._said: set[str] = set()
        self._signs: dict[str, tuple[str, ...]] | None = None
        self._due = 0.0

    def glance(self, session: vcenter.VCenter, mark: str) -> None:
        """Look thoroughly when something has changed, the last look failed, or it was long ago."""
        now = signs(session)
        if now == self._signs and time.monotonic() < self._due:
            return
        self._signs = now if self.look(session, mark) else None
        self._due = time.monotonic() + THOROUGH_SECONDS

    def look(self, session: vcenter.VCenter, mark: str) -> bool:
        """Start, stop and remove hosts until they agree with vCenter; whether all of it was done."""
        shown = machines(session)
        present = hosts.lab_containers(self.site.name)
        virtual = {
            name: Host(item.running, _address(item.labels.get("xjops.address")))
            for name, item in present.items()
            if item.labels.get("xjops.kind") == hosts.VIRTUAL
        }
        fit = [machine for _, machine in shown.values() if self._fits(machine, present)]
        memory = recall(self.site.name)
        steps, after = decide(memory, mark, fit, virtual)
        with ThreadPoolExecutor(STARTS_AT_ONCE) as pool:
            done = list(zip(steps, pool.map(self._try, steps), strict=True))
        failed = [step for step, ok in done if not ok]
        remember(self.site.name, undone(memory, after, failed))
        self._publish(shown, {*virtual, *(step.name for step, ok in done if ok)})
        return not failed

    def _fits(self, machine: Machine, present: Mapping[str, Any]) -> bool:
        """Whether the lab may make this machine a host; says once why not."""
        reason = ""
        other = present.get(machine.name)
        if other is not None and other.labels.get("xjops.kind") != hosts.VIRTUAL:
            reason = "a physical machine of the lab has this name"
        elif machine.address is not None and machine.address not in self.site.network.internal.subnet:
            reason = f"its address {machine.address} is not in {self.site.network.internal.subnet}"
        if reason:
            self._once(f"{machine.name}: no host: {reason}")
        return not reason

    def _once(self, line: str) -> None:
        """Log what would otherwise come again with every look."""
        if line not in self._said:
            self._said.add(line)
            self.log(line)

    def _try(self, step: Step) -> bool:
        name = hosts.container_name(self.site.name, step.name)
        began = time.monotonic()
        if self.stopped():
            return False
        try:
            if step.do in (Do.REMOVE, Do.REPLACE):
                remove([name])
            if step.do is Do.STOP:
                stop([name])
            if step.do in (Do.START, Do.REPLACE) and step.machine is not None:
                self._start(step.machine)
        except XjopsError as error:
            self._once(f"{step.name}: {step.do.value} failed: {error}")
            return False
        self.log(f"{step.name}: {step.do.value} ({time.monotonic() - began:.1f} s)")
        return True

    def _start(self, machine: Machine) -> None:
        if machine.address is None:
            raise XjopsError(f"{machine.name} has no address")
        try:
            host = self.site.host(machine.name)
        except KeyError:
            # a machine that carries the site's mark but is not in the inventory (any more)
            host = SiteHost(name=machine.name, groups=(), address=machine.address)
        item = hosts.guest_of(self.site, host, hosts.VIRTUAL, address=machine.address)
        start(item.container, hosts.words(self.site, item, self.image))
        wait_ssh(item.container, machine.address, stopped=self.stopped)

    def _publish(self, shown: Mapping[str, tuple[Any, Machine]], up: Iterable[str]) -> None:
        """Tell vCenter the host keys of the guests that are up, as VMware Tools would."""
        from pyVmomi import vim

        for name in up:
            if name not in shown:
                continue
            item, machine = shown[name]
            if not machine.on or machine.address is None:
                continue
            public = " ".join(hosts.host_key(self.site.name, name).split()[:2])
            if machine.host_key != public:
                option = vim.option.OptionValue(key=HOST_KEY, value=public)
                item.ReconfigVM_Task(vim.vm.ConfigSpec(extraConfig=[option]))


def run(site: Site, log: Log, stopped: Callable[[], bool]) -> None:
    """Look until `stopped`; a vCenter that doesn't answer is waited for and named once."""
    network.guard(segment.subnet for segment in hosts.networks(site).values())
    agent = Agent(site, log, stopped)
    complaint = ""
    while not stopped():
        try:
            with vcenter.connect(site) as session:
                mark = simulator_mark(session)
                log(f"connected to {session.endpoint} (simulator {mark[:8]})")
                complaint = ""
                while not stopped():
                    agent.glance(session, mark)
                    time.sleep(LOOK_SECONDS)
        except XjopsError as error:
            if str(error) != complaint:
                complaint = str(error)
                log(complaint)
            time.sleep(RETRY_SECONDS)
