"""Let vCenter work: submit tasks, and wait for many of them at once by one PropertyCollector.

Nothing here decides what to do next; `xjops.provision` does. A machine or task is named by vCenter's
own id (moid), so that callers hold plain strings.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import cycle
from typing import Any

from pyVmomi import vim, vmodl

from xjops.adapters import vcenter_specs as specs
from xjops.adapters.vcenter import FaultError, VCenter, explain
from xjops.adapters.vcenter_inventory import Place, addresses_of, as_machine, read_details, refresh_machines
from xjops.adapters.vcenter_model import Machine, Size

_TASK = ("info.state", "info.progress", "info.error", "info.result")
_MACHINE = ("guest.net", "guest.ipAddress", "runtime.powerState")
_POLL_SECONDS = 5  # one wait at the server; well below the deadline of a request


class TaskState(StrEnum):
    """How a task stands; `GONE` when vCenter no longer knows it."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True)
class TaskNews:
    """A task as it stands now; `machine` is the id of the machine it made (clones only)."""

    task: str
    state: TaskState
    percent: int | None = None
    error: str = ""
    machine: str | None = None


@dataclass(frozen=True)
class MachineNews:
    """What a watched machine shows of itself."""

    machine: str
    addresses: tuple[str, ...]
    on: bool


_STATES = {
    "queued": TaskState.WAITING,
    "running": TaskState.RUNNING,
    "success": TaskState.DONE,
    "error": TaskState.FAILED,
}


class Works:
    """Submits tasks; each method returns the task's id. Raises `FaultError` when vCenter refuses outright."""

    def __init__(self, session: VCenter, place: Place) -> None:
        self.session = session
        self.place = place
        self._hosts = cycle(place.hosts or [None])
        self._known: dict[str, Any] = {}  # devices by machine, as last read

    @cached_property
    def _template_devices(self) -> Any:
        return self._devices(self.place.template._GetMoId())

    @cached_property
    def _backing(self) -> Any:
        return specs.card_backing(self.place.network, self.place.names[self.place.network])

    def _machine(self, identifier: str) -> Any:
        return vim.VirtualMachine(identifier, self.session.stub)

    def _devices(self, machine: str) -> Any:
        if machine not in self._known:
            self.read([machine])
        return self._known.get(machine, ())

    def clone(self, name: str, size: Size, marks: specs.Marks, datastore: str) -> str:
        """Copy the template to `name`; without DRS the hosts take turns."""
        location = specs.Location(
            self.place.datastores[datastore], self.place.pool, next(self._hosts), self._backing
        )
        spec = specs.clone(location, self._template_devices, size, marks)
        return str(self.place.template.CloneVM_Task(self.place.folder, name, spec)._GetMoId())

    def customize(self, machine: str, identity: specs.Identity) -> str:
        """Prepare the guest's first boot."""
        return str(self._machine(machine).CustomizeVM_Task(specs.customization(identity))._GetMoId())

    def change(self, machine: Machine, after: Size, marks: specs.Marks) -> str:
        """Grow a machine and write its marks."""
        devices = self._devices(machine.id) if after.disk_gb > machine.size.disk_gb else ()
        spec = specs.change(devices, machine, after, marks)
        return str(self._machine(machine.id).ReconfigVM_Task(spec)._GetMoId())

    def power_on(self, machine: str) -> str:
        """Start a machine."""
        return str(self._machine(machine).PowerOnVM_Task()._GetMoId())

    def shut_down(self, machine: str) -> None:
        """Ask the guest to shut down through VMware Tools; no task: watch the machine until it is off."""
        self._machine(machine).ShutdownGuest()

    def power_off(self, machine: str) -> str:
        """Cut a machine's power; its guest is not asked."""
        return str(self._machine(machine).PowerOffVM_Task()._GetMoId())

    def delete(self, machine: str) -> str:
        """Remove a machine with all its disks and snapshots."""
        return str(self._machine(machine).Destroy_Task()._GetMoId())

    def set_extra(self, machine: str, values: Mapping[str, str]) -> str:
        """Set entries of a machine's extra configuration."""
        return str(self._machine(machine).ReconfigVM_Task(specs.extra_configuration(values))._GetMoId())

    def read(self, machines: Iterable[str]) -> dict[str, Machine]:
        """Machines as they are now, by id."""
        details = read_details(self.session, [self._machine(item) for item in machines])
        for item, values in details.items():
            self._known[item._GetMoId()] = values.get("config.hardware.device", ())
        return {item._GetMoId(): as_machine(self.place, item, values) for item, values in details.items()}

    def refresh(self, machines: Iterable[Machine]) -> dict[str, Machine]:
        """How known machines run now, by id: power, addresses, pending customization."""
        return refresh_machines(self.session, {self._machine(item.id): item for item in machines})

    def running_clones(self) -> list[str]:
        """Clones of the template under way, such as those of a run that was killed."""
        return [task for task, _ in self._running([self.place.template], "VirtualMachine.clone")]

    def running_deletions(self, machines: Iterable[str]) -> dict[str, str]:
        """Deletions under way of these machines, such as those of a run that was killed: task by machine."""
        found = self._running([self._machine(item) for item in machines], "VirtualMachine.destroy")
        return {machine: task for task, machine in found}

    def _running(self, machines: Iterable[Any], kind: str) -> list[tuple[str, str]]:
        """Tasks of this kind that machines have under way, each with the id of its machine."""
        recent = self.session.retrieve([(vim.VirtualMachine, ("recentTask",))], machines)
        tasks = {task: item for item, values in recent.items() for task in values.get("recentTask") or ()}
        wanted = ("info.state", "info.descriptionId")
        return [
            (task._GetMoId(), tasks[task]._GetMoId())
            for task, values in self.session.retrieve([(vim.Task, wanted)], tasks).items()
            if str(values.get("info.descriptionId")).startswith(kind)
            and values.get("info.state") in ("queued", "running")
        ]

    def customization_failure(self, machine: str) -> str:
        """Why the guest's customization failed, out of vCenter's events; "" when none says so."""
        events = vim.event.EventFilterSpec
        spec = events(
            entity=events.ByEntity(entity=self._machine(machine), recursion=events.RecursionOption("self"))
        )
        with suppress(FaultError):
            for event in self.session.content.eventManager.QueryEvents(spec) or ():
                if isinstance(event, vim.event.CustomizationFailed):
                    return str(event.fullFormattedMessage or type(event).__name__.rpartition(".")[2])
        return ""


class Watch:
    """One wait for any number of tasks and machines; survives an expired session.

    A collector of its own with one filter over all that is still waited for, made anew when something is
    added: an answer then tells how everything stands, so nothing is lost with an old session, and the
    server keeps no filters of tasks that have ended.
    """

    def __init__(self, session: VCenter) -> None:
        self.session = session
        self._seen: dict[Any, dict[str, Any]] = {}
        self._collector: Any = None
        self._version = ""
        self._logins = session.logins

    def add(self, tasks: Iterable[str] = (), machines: Iterable[str] = ()) -> None:
        """Watch these from now on; the next `news` tells how they stand."""
        stub = self.session.stub
        self._seen.update({vim.Task(item, stub): {} for item in tasks})
        self._seen.update({vim.VirtualMachine(item, stub): {} for item in machines})
        self._drop()

    def forget(self, identifier: str) -> None:
        """Hear no more of a task or machine."""
        self._seen = {item: seen for item, seen in self._seen.items() if item._GetMoId() != identifier}

    def news(self, seconds: float) -> list[TaskNews | MachineNews]:
        """What has changed; waits up to `seconds` (whole ones, at least 1), then returns what there is.

        Raises `UnreachableError` when vCenter doesn't answer.
        """
        if self.session.logins != self._logins:
            self._drop()
        if self._collector is None:
            self._make()
        wait = max(1, min(_POLL_SECONDS, math.floor(seconds)))
        try:
            update = self._collector.WaitForUpdatesEx(
                self._version, vmodl.query.PropertyCollector.WaitOptions(maxWaitSeconds=wait)
            )
        except FaultError as error:
            lost = (vmodl.query.InvalidCollectorVersion, vmodl.fault.ManagedObjectNotFound)
            if not isinstance(error.fault, lost):
                raise
            self._drop()  # the collector died with the old session
            return []
        if update is None:
            return []
        self._version = update.version
        return self._take(update)

    def close(self) -> None:
        """Have the server forget what is watched."""
        self._seen = {}
        self._drop()

    def _drop(self) -> None:
        if self._collector is not None and self.session.logins == self._logins:
            with suppress(FaultError):
                self._collector.DestroyPropertyCollector()
        self._collector = None

    def _make(self) -> None:
        query = vmodl.query.PropertyCollector
        self._logins = self.session.logins
        self._collector = self.session.content.propertyCollector.CreatePropertyCollector()
        self._version = ""
        properties = [
            query.PropertySpec(type=kind, all=False, pathSet=list(paths))
            for kind, paths in ((vim.Task, _TASK), (vim.VirtualMachine, _MACHINE))
            if any(isinstance(item, kind) for item in self._seen)
        ]
        spec = query.FilterSpec(
            objectSet=[query.ObjectSpec(obj=item, skip=False) for item in self._seen],
            propSet=properties,
            reportMissingObjectsInResults=True,
        )
        self._collector.CreateFilter(spec, False)

    def _take(self, update: Any) -> list[TaskNews | MachineNews]:
        touched: dict[Any, bool] = {}
        for part in update.filterSet or ():
            for item in part.objectSet or ():
                touched[item.obj] = item.kind != "leave"
                for entry in item.changeSet or ():
                    self._seen.get(item.obj, {})[entry.name] = entry.val
            touched.update({missing.obj: False for missing in part.missingSet or () if _gone(missing)})
        return [self._tell(item, alive) for item, alive in touched.items() if item in self._seen]

    def _tell(self, item: Any, alive: bool) -> TaskNews | MachineNews:
        values = self._seen[item]
        if isinstance(item, vim.VirtualMachine):
            on = values.get("runtime.powerState") == "poweredOn"
            return MachineNews(item._GetMoId(), addresses_of(values), on and alive)
        if not alive:
            return TaskNews(item._GetMoId(), TaskState.GONE)
        error = values.get("info.error")
        result = values.get("info.result")
        return TaskNews(
            item._GetMoId(),
            _STATES[str(values.get("info.state", "queued"))],
            values.get("info.progress"),
            explain(error) if error is not None else "",
            result._GetMoId() if isinstance(result, vim.VirtualMachine) else None,
        )


def _gone(missing: Any) -> bool:
    return isinstance(missing.fault, vmodl.fault.ManagedObjectNotFound)
