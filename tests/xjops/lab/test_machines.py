"""What the agent decides, without vCenter and without containers."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xjops.lab.machines import Do, Host, Known, Machine, Memory, decide, undone

ADDRESS = IPv4Address("10.58.7.11")
OTHER = IPv4Address("10.58.7.12")
WEB = Machine("web1", "uuid-1", on=True, address=ADDRESS)
RUNNING = Host(running=True, address=ADDRESS)
DOWN = Host(running=False, address=ADDRESS)
ON = Memory("sim", {"web1": Known("uuid-1", True)})
OFF = Memory("sim", {"web1": Known("uuid-1", False)})


def steps(memory: Memory, machine: Machine | None, host: Host | None, simulator: str = "sim") -> list[Do]:
    found, _ = decide(memory, simulator, [machine] if machine else [], {"web1": host} if host else {})
    return [step.do for step in found]


@pytest.mark.parametrize(
    ("memory", "machine", "host", "wanted"),
    [
        (Memory(), WEB, None, [Do.START]),
        (OFF, WEB, DOWN, [Do.START]),
        (ON, WEB, RUNNING, []),
        # it went down by itself: that stays visible until `lab up`
        (ON, WEB, DOWN, []),
        # its container was taken away under a machine that is on
        (ON, WEB, None, [Do.START]),
        (Memory(), replace(WEB, address=None), None, []),
        (Memory(), replace(WEB, on=False), None, []),
        (ON, replace(WEB, on=False), RUNNING, [Do.STOP]),
        (OFF, replace(WEB, on=False), DOWN, []),
        (ON, None, RUNNING, [Do.REMOVE]),
        (ON, None, None, []),
        (ON, replace(WEB, uuid="uuid-2"), RUNNING, [Do.REPLACE]),
        (ON, replace(WEB, uuid="uuid-2", on=False), RUNNING, [Do.REMOVE]),
        (ON, replace(WEB, address=OTHER), RUNNING, [Do.REPLACE]),
    ],
)
def test_one_machine(memory: Memory, machine: Machine | None, host: Host | None, wanted: list[Do]) -> None:
    assert steps(memory, machine, host) == wanted


@pytest.mark.parametrize("machine", [None, replace(WEB, uuid="new", on=False), replace(WEB, uuid="new")])
def test_a_restarted_simulator_harms_no_host(machine: Machine | None) -> None:
    assert steps(ON, machine, RUNNING, simulator="another") == []


def test_a_machine_that_registers_again_starts_its_stopped_host() -> None:
    assert steps(ON, replace(WEB, uuid="new"), DOWN, simulator="another") == [Do.START]


def test_a_machine_counts_as_on_only_with_its_address() -> None:
    waiting = replace(WEB, address=None)
    _, memory = decide(Memory(), "sim", [waiting], {})
    assert memory.machines["web1"] == Known("uuid-1", False)
    assert steps(memory, WEB, DOWN) == [Do.START]


@pytest.mark.parametrize(
    ("before", "machine", "host"),
    [
        (Memory(), WEB, None),
        (ON, replace(WEB, on=False), RUNNING),
        (ON, None, RUNNING),
        (ON, replace(WEB, uuid="uuid-2"), RUNNING),
        (ON, replace(WEB, address=OTHER), RUNNING),
    ],
)
def test_what_failed_is_decided_again(before: Memory, machine: Machine | None, host: Host | None) -> None:
    shown, present = ([machine] if machine else []), ({"web1": host} if host else {})
    found, after = decide(before, "sim", shown, present)
    assert found
    assert decide(undone(before, after, found), "sim", shown, present)[0] == found


def test_a_machine_that_registers_again_slowly_keeps_its_host_running() -> None:
    off = replace(WEB, on=False, address=None)
    _, memory = decide(ON, "another", [off], {"web1": RUNNING})
    assert decide(memory, "another", [off], {"web1": RUNNING})[0] == []


MACHINES = st.builds(
    Machine,
    name=st.just("web1"),
    uuid=st.sampled_from(["uuid-1", "uuid-2"]),
    on=st.booleans(),
    address=st.sampled_from([None, ADDRESS, OTHER]),
)


@given(views=st.lists(st.tuples(st.sampled_from(["a", "b"]), st.none() | MACHINES), max_size=8))
def test_two_looks_agree_and_never_touch_a_host_needlessly(views: list[tuple[str, Machine | None]]) -> None:
    """Whatever vCenter shows, in whatever order, with restarts in between: carried out once, it is done."""
    memory, host = Memory(), None
    for simulator, machine in views:
        shown = [machine] if machine else []
        present = {"web1": host} if host else {}
        found, memory = decide(memory, simulator, shown, present)
        for step in found:
            if step.do in (Do.START, Do.REPLACE):
                assert machine is not None
                assert machine.on
                host = Host(True, machine.address)
            else:
                host = None if step.do is Do.REMOVE or host is None else replace(host, running=False)
        again, memory = decide(memory, simulator, shown, {"web1": host} if host else {})
        assert again == []
        if machine is not None and machine.on and machine.address is not None:
            assert host == Host(True, machine.address)
