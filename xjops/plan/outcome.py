"""What became of a run: its parts, its hosts, and the exit code that follows from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from xjops.adapters.ansible import HostOutcome
from xjops.core.errors import ExitCode


class State(StrEnum):
    """How a part of a run, or a host in it, ended."""

    OK = "ok"
    CHANGED = "changed"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    NOT_RUN = "not-run"


BAD = {State.FAILED, State.UNREACHABLE}


@dataclass(frozen=True)
class Part:
    """One part of a run: vCenter, reach, bundle, roles. `seconds` is its wall time."""

    name: str
    state: State
    seconds: float
    detail: str = ""


@dataclass
class Outcome:
    """All parts of a run and how every host fared; `artefacts`: SHA-256 (hex) of what went to hosts."""

    parts: list[Part] = field(default_factory=list)
    hosts: dict[str, HostOutcome] = field(default_factory=dict)
    artefacts: dict[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """Fail before not-run; a run that tried nothing at all is not-run."""
        states = {part.state for part in self.parts} | {state_of(host) for host in self.hosts.values()}
        if states & BAD:
            return ExitCode.FAIL
        if State.NOT_RUN in states or not states:
            return ExitCode.NOT_RUN
        return ExitCode.OK

    def as_data(self) -> dict[str, Any]:
        """JSON values (schema in docs/reference/apply.md)."""
        return {
            "schema": 1,
            "exit_code": int(self.exit_code),
            "artefacts": self.artefacts,
            "parts": [
                {"name": p.name, "state": p.state.value, "seconds": round(p.seconds, 2), "detail": p.detail}
                for p in self.parts
            ],
            "hosts": [
                {
                    "name": host.name,
                    "state": state_of(host).value,
                    "ok": host.ok,
                    "changed": host.changed,
                    "seconds": round(host.seconds, 2),
                    "task": host.task,
                    "error": host.error,
                    "not_run": host.not_run,
                }
                for host in sorted(self.hosts.values(), key=lambda host: host.name)
            ],
        }


def state_of(host: HostOutcome) -> State:
    """A host's state; work that its roles can't do yet is not-run, never ok."""
    if host.unreachable:
        return State.UNREACHABLE
    if host.failed:
        return State.FAILED
    if host.not_run:
        return State.NOT_RUN
    return State.CHANGED if host.changed else State.OK
