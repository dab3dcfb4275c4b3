"""What a check says: status, value, evidence; and how several results make one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from xjops.core.errors import ExitCode


class Status(StrEnum):
    """The end of a check or of a checklist's item."""

    PASS = "pass"  # noqa: S105
    WARN = "warn"
    FAIL = "fail"
    WAIVED = "waived"
    ATTESTED = "attested"
    NOT_RUN = "not-run"


# The worst first: an item is as bad as its worst result, and "not run" never hides behind a pass.
SEVERITY = (Status.FAIL, Status.NOT_RUN, Status.WARN, Status.WAIVED, Status.ATTESTED, Status.PASS)


@dataclass(frozen=True)
class Evidence:
    """What was seen, where, by which command or call, and when (UTC, ISO 8601)."""

    host: str
    source: str
    value: str
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def sha256(self) -> str:
        """Hash over host, source, value and time."""
        return hashlib.sha256("\n".join((self.host, self.source, self.value, self.time)).encode()).hexdigest()


@dataclass(frozen=True)
class Result:
    """One check of one subject. `message` says what was expected, or how to mend it."""

    check: str
    subject: str
    status: Status
    value: str
    message: str = ""
    evidence: tuple[Evidence, ...] = ()


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of `statuses`; not-run when there are none, because nothing was looked at."""
    return min(statuses, key=SEVERITY.index, default=Status.NOT_RUN)


def exit_code(statuses: Iterable[Status], fail_on: Status = Status.WARN) -> ExitCode:
    """The exit code of a run: fail before not-run before warn; `fail_on` leaves out what is milder."""
    codes = {Status.FAIL: ExitCode.FAIL, Status.NOT_RUN: ExitCode.NOT_RUN, Status.WARN: ExitCode.WARN}
    state = worst(statuses)
    if state not in codes or SEVERITY.index(state) > SEVERITY.index(fail_on):
        return ExitCode.OK
    return codes[state]
