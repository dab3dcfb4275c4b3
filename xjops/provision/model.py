"""A plan for virtual machines: what is there, what it becomes, by which steps, and what stands against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from xjops.adapters.vcenter_model import Machine, Size, Stage, annotate
from xjops.adapters.vcenter_specs import Identity, Marks
from xjops.core.errors import ConfigurationError, ExitCode, XjopsError
from xjops.site.model import Host, Site

# Called with (name of the virtual machine, stage, detail) whenever something can be said about it.
Progress = Callable[[str, str, str], None]


class Step(StrEnum):
    """One thing vCenter is asked to do, or that is waited for, in the order of a machine's life."""

    CLONE = "clone"
    CUSTOMIZE = "customize"
    SHUT_DOWN = "shut-down"
    CHANGE = "change"
    POWER_ON = "power-on"
    ADDRESS = "address"
    POWER_OFF = "power-off"  # of a machine that is deleted: hard
    DELETE = "delete"


class Action(StrEnum):
    """A plan's line for a machine in one word."""

    CREATE = "create"
    RESUME = "resume"  # an earlier run was stopped before it had finished this machine
    GROW = "grow"
    TAKE_OVER = "take over"  # an existing machine that the operator names as the site's
    MARK = "mark"  # only the annotation changes
    START = "start"
    WAIT = "wait"  # it runs, but doesn't show its address yet
    NOTHING = "nothing"
    REFUSED = "refused"
    DELETE = "delete"  # by `xjops vm delete` only
    GONE = "gone"  # to be deleted, and not there any more


class PlanRefusedError(ConfigurationError):
    """The plan can't be applied; nothing was changed. `problems` has one line each."""

    exit_code = ExitCode.FAIL


class StalePlanError(XjopsError):
    """vCenter has changed since the plan was made; nothing was changed."""


class StepError(XjopsError):
    """A step of one machine failed."""


class NoAddressError(XjopsError):
    """A machine runs but never showed its planned address."""


@dataclass(frozen=True)
class Wanted:
    """What the site says of one machine."""

    host: Host
    role: str
    size: Size
    identity: Identity
    site: str

    @property
    def name(self) -> str:
        """The machine's and its guest's name."""
        return self.host.name

    @property
    def address(self) -> str:
        """The planned address, as VMware Tools would show it."""
        return str(self.host.address)

    def marks(self, annotation: str, stage: Stage) -> Marks:
        """Our marks on this machine; `annotation` is what stands there now."""
        return Marks(self.site, self.role, annotate(annotation, self.site, self.role), stage)


@dataclass(frozen=True)
class Problem:
    """Why a machine can't be brought to its plan. `kind` is a stable word for programs."""

    kind: str
    machine: str
    text: str
    mend: str

    def __str__(self) -> str:
        return f"{self.text} → {self.mend}"

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {"kind": self.kind, "machine": self.machine, "text": self.text, "mend": self.mend}


@dataclass(frozen=True)
class Change:
    """One machine's line of a plan: from `before` (None: it isn't there) to `after`, by `steps`."""

    wanted: Wanted
    action: Action
    before: Machine | None
    after: Size
    datastore: str | None
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The machine's name."""
        return self.wanted.name

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {
            "name": self.name,
            "role": self.wanted.role,
            "action": self.action.value,
            "address": self.wanted.address,
            "before": None if self.before is None else _size(self.before.size),
            "after": _size(self.after),
            "datastore": self.datastore,
            "steps": [step.value for step in self.steps],
            "notes": list(self.notes),
        }


def _size(size: Size) -> dict[str, int]:
    return {"cpus": size.cpus, "memory_mb": size.memory_mb, "disk_gb": size.disk_gb}


@dataclass(frozen=True)
class Options:
    """What the operator allows: machines to take over by name, restarting machines that can't grow while on.

    `names` limits the plan to these machines; None means all.
    """

    adopt: frozenset[str] = frozenset()
    restart: bool = False
    names: frozenset[str] | None = None


@dataclass(frozen=True)
class Plan:
    """Every machine of the site and what becomes of it, in inventory order."""

    site: Site
    options: Options
    machines: tuple[Change, ...]
    problems: tuple[Problem, ...] = ()
    strays: tuple[str, ...] = ()  # paths of machines that carry the site's mark but aren't in the inventory
    foreign: int = 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """The machines something is to be done for; empty when nothing is to do."""
        return tuple(change for change in self.machines if change.steps)

    @property
    def summary(self) -> str:
        """For example "9 create, 2 grow"."""
        count = Counter(change.action.value for change in self.machines)
        return ", ".join(f"{count[action.value]} {action.value}" for action in Action if count[action.value])

    @property
    def decisions(self) -> dict[str, tuple[Action, tuple[Step, ...], Size | None, Size]]:
        """What the operator agrees to; where there is room may change meanwhile."""
        return {
            change.name: (
                change.action,
                change.steps,
                change.before.size if change.before else None,
                change.after,
            )
            for change in self.machines
        }

    def check(self) -> None:
        """Raise `PlanRefusedError` with every problem, one line each."""
        if self.problems:
            raise PlanRefusedError("", problems=tuple(str(problem) for problem in self.problems))

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {
            "site": self.site.name,
            "summary": self.summary,
            "machines": [change.as_dict() for change in self.machines],
            "problems": [problem.as_dict() for problem in self.problems],
            "strays": list(self.strays),
            "foreign": self.foreign,
        }


@dataclass(frozen=True)
class Outcome:
    """How one machine ended: `error` is None when it stands as planned."""

    name: str
    action: Action
    seconds: float
    error: XjopsError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {
            "name": self.name,
            "action": self.action.value,
            "seconds": round(self.seconds, 3),
            "error": None if self.error is None else str(self.error),
        }


@dataclass(frozen=True)
class Result:
    """How an apply ended, one outcome for each machine that had something to do."""

    outcomes: tuple[Outcome, ...] = ()
    seconds: float = 0.0

    @property
    def failed(self) -> dict[str, XjopsError]:
        """The error of each machine that failed."""
        return {item.name: item.error for item in self.outcomes if item.error is not None}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {"seconds": round(self.seconds, 3), "machines": [item.as_dict() for item in self.outcomes]}


@dataclass(frozen=True)
class Deadlines:
    """Seconds that each step of one machine may take. A copy of a template is slow, the rest is not."""

    clone: float = 1800
    customize: float = 120
    change: float = 600
    power_on: float = 300
    shut_down: float = 300
    address: float = 600
    power_off: float = 120
    delete: float = 600

    def of(self, step: Step) -> float:
        """The deadline of a step."""
        return float(getattr(self, step.name.lower()))
