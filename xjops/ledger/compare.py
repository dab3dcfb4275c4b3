"""What is to be done: every host's wanted steps against what its ledger and its present state say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xjops.ledger.inputs import Inputs, Wanted
from xjops.ledger.look import Drift, Entry, Seen

SHOWN = 3  # differences that a line of words names
EXPIRES_SECONDS = 7 * 24 * 3600  # what nobody watches may have drifted: once a week every step runs


class Why(StrEnum):
    """Why a step has to run on a host."""

    NEVER = "never run"
    INTERRUPTED = "interrupted"
    INPUTS = "changed inputs"
    DRIFT = "drift"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Due:
    """A step that has to run on a host; `inputs` names what changed, `drift` what differs on the host."""

    host: str
    step: str
    why: Why
    inputs: tuple[str, ...] = ()
    drift: tuple[Drift, ...] = ()

    @property
    def told(self) -> str:
        """In words: the step, its host and what differs there."""
        what = ", ".join(f"{drift.kind} {drift.name}" for drift in self.drift[:SHOWN]) or self.why.value
        return f"{self.step} on {self.host} ({what}{', …' if len(self.drift) > SHOWN else ''})"

    @property
    def role(self) -> str:
        """The role that runs it: the playbook's tag."""
        return self.step.partition("/")[0]


def due(wanted: Wanted, seen: Mapping[str, Seen]) -> list[Due]:
    """Every step that has to run, by host in the playbook's order; not of hosts that couldn't be asked."""
    found = []
    for host, steps in wanted.hosts.items():
        about = seen.get(host)
        if about is None or about.error is not None:
            continue
        for step, inputs in steps.items():
            reason = _reason(host, step, inputs, about)
            if reason:
                found.append(reason)
    return found


def _reason(host: str, step: str, inputs: Inputs, seen: Seen) -> Due | None:
    entry = seen.entries.get(step)
    if entry is None:
        return Due(host, step, Why.INTERRUPTED if step in seen.begun else Why.NEVER)
    changed = _changed(inputs, entry)
    if changed:
        return Due(host, step, Why.INPUTS, inputs=changed, drift=entry.drift)
    if entry.drift:
        return Due(host, step, Why.DRIFT, drift=entry.drift)
    if not 0 <= seen.clock - entry.time < EXPIRES_SECONDS:  # a clock set back counts as unknown
        return Due(host, step, Why.EXPIRED)
    return None


def _changed(inputs: Inputs, entry: Entry) -> tuple[str, ...]:
    names = inputs.keys() | entry.inputs.keys()
    return tuple(sorted(name for name in names if inputs.get(name) != entry.inputs.get(name)))
