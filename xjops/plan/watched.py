"""What the watches of a site know: what differs and since when, kept from one to the next.

One file, `<state>/<site>/drift.json`, replaced whole. A difference keeps the time at which it was first seen
as long as every look shows it; on a host that can't be asked it stays, because nobody has seen it gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import ExitCode, XjopsError
from xjops.ledger.compare import Due
from xjops.plan.look import Look

SCHEMA = 1
VCENTER = "vCenter"
DETAILS = 10  # names of what differs that are kept of a step; `xjops plan` has them all
LATE_AFTER = 2  # intervals without a look


class Attempt(StrEnum):
    """What became of the latest watch."""

    LOOKED = "looked"
    APPLY = "apply running"
    FAILED = "failed"


@dataclass(frozen=True)
class Differing:
    """A difference: a `step` of a host, a `machine` on vCenter, or a `problem` of vCenter's plan.

    `what` is the step, the machine's action or the problem's text; `since` when it was first seen (seconds
    since 1970); `current` is False when the host or vCenter couldn't be asked this time.
    """

    kind: str
    subject: str
    what: str
    why: str
    since: float
    details: tuple[str, ...] = ()
    current: bool = True

    @property
    def key(self) -> tuple[str, str, str]:
        """What makes it the same difference as before, whatever the reason."""
        return self.kind, self.subject, "" if self.kind == "machine" else self.what


@dataclass(frozen=True)
class Unseen:
    """A host, or vCenter, that couldn't be asked, why, and since when."""

    subject: str
    error: str
    since: float


@dataclass(frozen=True)
class Watched:
    """What is known after a watch. `time` and all that follows are of the latest look that came to an end.

    `attempted`, `attempt`, `error` and `exit_code` are of the latest watch, which may have ended without one.
    Times are seconds since 1970, `seconds` and `every` (the interval) are durations.
    """

    site: str
    every: float
    attempted: float
    attempt: Attempt
    exit_code: ExitCode
    error: str = ""
    time: float | None = None
    seconds: float = 0.0
    digest: str = ""
    summary: dict[str, Any] = field(default_factory=dict)
    differs: tuple[Differing, ...] = ()
    unseen: tuple[Unseen, ...] = ()

    @property
    def differs_since(self) -> float | None:
        """Since when something differs without a break; None when nothing does."""
        return min((item.since for item in self.differs), default=None)

    def late(self, now: float) -> bool:
        """Whether the latest look is older than two intervals: nobody has looked since."""
        return self.time is None or now - self.time > LATE_AFTER * self.every

    def fingerprint(self) -> list[Any]:
        """What the journal tells apart: what differs and why, what wasn't seen, whether it failed."""
        differs = [(item.kind, item.subject, item.what, item.why, item.details) for item in self.differs]
        return [sorted(differs), sorted(item.subject for item in self.unseen), bool(self.error)]

    def brief(self, now: float) -> dict[str, Any] | None:
        """What `xjops plan` tells of the watch (JSON values); None when no look ever came to an end."""
        if self.time is None:
            return None
        return {
            "time": moment(self.time),
            "age_seconds": round(now - self.time),
            "late": self.late(now),
            "differs_since": moment(self.differs_since),
        }

    def as_data(self) -> dict[str, Any]:
        """JSON values (schema in docs/reference/drift.md)."""
        return {
            "schema": SCHEMA,
            "site": self.site,
            "time": moment(self.time),
            "seconds": round(self.seconds, 2),
            "digest": self.digest,
            "summary": self.summary,
            "differs_since": moment(self.differs_since),
            "differs": [asdict(item) | {"since": moment(item.since)} for item in self.differs],
            "unseen": [asdict(item) | {"since": moment(item.since)} for item in self.unseen],
            "attempt": {
                "time": moment(self.attempted),
                "state": self.attempt.value,
                "error": self.error,
                "exit_code": int(self.exit_code),
            },
            "every_seconds": self.every,
        }


def moment(time: float | None) -> str | None:
    """ISO 8601 in UTC, to the second."""
    return None if time is None else datetime.fromtimestamp(time, UTC).isoformat(timespec="seconds")


def after_look(before: Watched, seen: Look, now: float, seconds: float) -> Watched:
    """What is known after a look that ended at `now` and took `seconds`."""
    known = {item.key: item for item in before.differs}
    gone = {item.subject: item.since for item in before.unseen}
    errors = {name: str(error) for name, error in seen.unreachable.items()}
    errors |= {VCENTER: str(seen.machines.error)} if seen.machines.error else {}
    found = [
        replace(item, since=known[item.key].since) if item.key in known else item
        for item in _differences(seen, now)
    ]
    hidden = [replace(item, current=False) for item in before.differs if _owner(item) in errors]
    return replace(
        before,
        attempted=now,
        attempt=Attempt.LOOKED,
        exit_code=seen.exit_code,
        error="",
        time=now,
        seconds=round(seconds, 2),
        digest=seen.digest,
        summary=seen.summary,
        differs=(*found, *hidden),
        unseen=tuple(Unseen(name, error, gone.get(name, now)) for name, error in errors.items()),
    )


def without_look(before: Watched, attempt: Attempt, error: XjopsError | None, now: float) -> Watched:
    """What is known after a watch that saw nothing: what was known before, and why nothing was seen."""
    # a wait for an apply is no failure; but nothing was looked at, and that is no pass either
    code = error.exit_code if error else ExitCode.WARN
    return replace(before, attempted=now, attempt=attempt, exit_code=code, error=str(error or ""))


def _differences(seen: Look, now: float) -> Iterator[Differing]:
    for due in seen.due:
        yield Differing("step", due.host, due.step, due.why.value, now, tuple(_details(due))[:DETAILS])
    for name, action in seen.machines.changes:
        yield Differing("machine", name, action, "vCenter", now)
    for problem in seen.machines.problems:
        yield Differing("problem", VCENTER, problem, "vCenter", now)


def _details(due: Due) -> Iterable[str]:
    return dict.fromkeys([*due.inputs, *(f"{drift.kind} {drift.name}" for drift in due.drift)])


def _owner(item: Differing) -> str:
    """Who has to be asked to see it again."""
    return item.subject if item.kind == "step" else VCENTER


def file_of(site: str) -> Path:
    """Where it is kept."""
    return paths.state(site) / "drift.json"


def load(site: str) -> Watched | None:
    """What the latest watch left; None when there was none, or its file is damaged (and gets replaced)."""
    try:
        data = json.loads(file_of(site).read_text(encoding="utf-8"))
        return _read(data) if data["schema"] == SCHEMA and data["site"] == site else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _read(data: dict[str, Any]) -> Watched:
    attempt = data["attempt"]
    differs = (item | {"since": _seconds(item["since"])} for item in data["differs"])
    unseen = (item | {"since": _seconds(item["since"])} for item in data["unseen"])
    return Watched(
        site=str(data["site"]),
        every=float(data["every_seconds"]),
        attempted=_seconds(attempt["time"]),
        attempt=Attempt(attempt["state"]),
        exit_code=ExitCode(attempt["exit_code"]),
        error=str(attempt["error"]),
        time=None if data["time"] is None else _seconds(data["time"]),
        seconds=float(data["seconds"]),
        digest=str(data["digest"]),
        summary=dict(data["summary"]),
        differs=tuple(Differing(**{**item, "details": tuple(item["details"])}) for item in differs),
        unseen=tuple(Unseen(**item) for item in unseen),
    )


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def save(watched: Watched) -> None:
    """Replace the file whole (0600), on disk when this returns. Raises `XjopsError` when it can't be written.

    One at a time: the caller holds the watch's lock.
    """
    path = file_of(watched.site)
    partial = path.with_suffix(".partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(watched.as_data(), stream, ensure_ascii=False, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        raise XjopsError(f"{path} can't be written: {error.strerror}", mend=f"df -h {path.parent}") from None
