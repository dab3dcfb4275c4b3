"""What the lab's agent decides: which containers follow from what the simulated vCenter shows.

Pure: it sees machines, containers and what it remembers, and returns what to do and what to remember.
A simulator forgets everything when it is restarted; its machines then register again while their hosts go
on running. So a host is stopped or removed only for what happened in the simulator it was seen in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address


@dataclass(frozen=True)
class Machine:
    """A virtual machine of this site as vCenter shows it; `uuid` is vCenter's instance UUID."""

    name: str
    uuid: str
    on: bool
    address: IPv4Address | None
    host_key: str | None = None


@dataclass(frozen=True)
class Known:
    """What is remembered of a machine: which one it was and whether it was on."""

    uuid: str
    on: bool


@dataclass(frozen=True)
class Memory:
    """What the agent knows from before; `simulator` is the running simulator's own mark."""

    simulator: str = ""
    machines: Mapping[str, Known] = field(default_factory=dict)


@dataclass(frozen=True)
class Host:
    """A container of a virtual machine: whether it runs, and the address it was made with."""

    running: bool
    address: IPv4Address | None


class Do(StrEnum):
    """What to do with the host of a machine."""

    START = "start"
    REPLACE = "replace"  # another machine of the same name, or another address: a new file system
    STOP = "stop"
    REMOVE = "remove"


@dataclass(frozen=True)
class Step:
    """One thing to do; `machine` is None for one that is gone."""

    do: Do
    name: str
    machine: Machine | None = None


def decide(
    memory: Memory, simulator: str, machines: Iterable[Machine], hosts: Mapping[str, Host]
) -> tuple[list[Step], Memory]:
    """What to do about each machine, and what to remember once it is done."""
    known = memory.machines if memory.simulator == simulator else {}
    shown = {machine.name: machine for machine in machines}
    steps = [
        step
        for machine in shown.values()
        if (step := _step(machine, known.get(machine.name), hosts.get(machine.name))) is not None
    ]
    steps += [Step(Do.REMOVE, name) for name in known if name not in shown and name in hosts]
    # a machine that is on without an address is not up yet: its start is still to come
    remembered = {
        machine.name: Known(machine.uuid, machine.on and machine.address is not None)
        for machine in shown.values()
    }
    return steps, Memory(simulator, remembered)


def undone(before: Memory, after: Memory, failed: Iterable[Step]) -> Memory:
    """`after` without what could not be done, so that the next look decides on it again."""
    old = before.machines if before.simulator == after.simulator else {}
    known = dict(after.machines)
    for step in failed:
        known.pop(step.name, None)
        if step.do is not Do.START and step.name in old:
            known[step.name] = old[step.name]
    return Memory(after.simulator, known)


def _step(machine: Machine, before: Known | None, host: Host | None) -> Step | None:
    same = before is not None and before.uuid == machine.uuid
    other = before is not None and not same
    do: Do | None = None
    if host is None:
        do = Do.START if machine.on and machine.address is not None else None
    elif not machine.on:
        # stopped only if it was seen on: a machine that registers again is off for a moment, its host is not
        was_on = same and before is not None and before.on
        do = Do.REMOVE if other else Do.STOP if was_on and host.running else None
    elif machine.address is not None:
        if other or host.address != machine.address:
            do = Do.REPLACE
        # one that was started already and is down now went down by itself: that stays visible
        elif not host.running and not (same and before is not None and before.on):
            do = Do.START
    return None if do is None else Step(do, machine.name, machine)
