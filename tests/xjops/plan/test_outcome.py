"""The exit code follows from what became of parts and hosts."""

from __future__ import annotations

import pytest

from xjops.adapters.ansible import HostOutcome
from xjops.core.errors import ExitCode
from xjops.plan.outcome import Outcome, Part, State, state_of


@pytest.mark.parametrize(
    ("host", "state"),
    [
        (HostOutcome("web2", ok=3), State.OK),
        (HostOutcome("web2", ok=3, changed=1), State.CHANGED),
        (HostOutcome("web2", failed=True, changed=1), State.FAILED),
        (HostOutcome("web2", failed=True, unreachable=True), State.UNREACHABLE),
        (HostOutcome("lb1", changed=1, not_run=["no driver"]), State.NOT_RUN),
    ],
)
def test_state_of_a_host(host: HostOutcome, state: State) -> None:
    assert state_of(host) is state


@pytest.mark.parametrize(
    ("parts", "hosts", "code"),
    [
        ([], [], ExitCode.NOT_RUN),
        ([State.OK], [HostOutcome("a", changed=1)], ExitCode.OK),
        ([State.NOT_RUN], [HostOutcome("a")], ExitCode.NOT_RUN),
        ([State.NOT_RUN], [HostOutcome("a", failed=True)], ExitCode.FAIL),
        ([State.FAILED], [HostOutcome("a")], ExitCode.FAIL),
        ([State.OK], [HostOutcome("a", not_run=["x"])], ExitCode.NOT_RUN),
    ],
)
def test_exit_code(parts: list[State], hosts: list[HostOutcome], code: ExitCode) -> None:
    outcome = Outcome([Part("p", state, 1.0) for state in parts], {host.name: host for host in hosts})
    assert outcome.exit_code is code
    assert outcome.as_data()["exit_code"] == code
