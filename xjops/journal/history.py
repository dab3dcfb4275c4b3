"""What the journal's lines say, run by run: found by who, what, where, when and how it ended."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from xjops.core.errors import ExitCode, UsageError
from xjops.journal.living import alive

_SPAN = re.compile(r"(\d+)([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class Result(StrEnum):
    """How a run ended, by its exit code; without an end it is still running or was killed."""

    OK = "ok"
    WARN = "warn"
    FAILED = "failed"
    NOT_RUN = "not-run"
    INTERRUPTED = "interrupted"
    RUNNING = "running"
    KILLED = "killed"


_ENDS = {
    ExitCode.OK: Result.OK,
    ExitCode.WARN: Result.WARN,
    ExitCode.NOT_RUN: Result.NOT_RUN,
    ExitCode.INTERRUPTED: Result.INTERRUPTED,
}


@dataclass(frozen=True)
class Past:
    """One run of a verb. `time`: its start, UTC; `seconds` and `exit_code` are None until it ended.

    `hosts` empty means all of the site; `lines` are the numbers of its entries in the journal's chain.
    """

    run: str
    verb: str
    who: str
    time: datetime
    result: Result
    seconds: float | None = None
    exit_code: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    outcome: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    lines: tuple[int, ...] = ()

    def touches(self, host: str) -> bool:
        """Whether the run concerned the host: named by it, in its result, or a run over the whole site."""
        named = {str(about.get("name")) for about in self.outcome.get("hosts", []) if isinstance(about, dict)}
        return host in self.hosts or host in named or not (self.hosts or named)

    def as_data(self) -> dict[str, Any]:
        """JSON values."""
        return {**asdict(self), "time": self.time.isoformat(timespec="milliseconds")}


@dataclass(frozen=True)
class Query:
    """What is looked for; everything that is given has to hold. Times are in UTC."""

    verb: str = ""
    who: str = ""
    host: str = ""
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    results: tuple[Result, ...] = ()

    def holds(self, past: Past) -> bool:
        """Whether a run is among what is looked for. Words are found in any case, `verb` from its start."""
        return (
            past.verb.startswith(self.verb)
            and self.who.lower() in past.who.lower()
            and (not self.host or past.touches(self.host))
            and (self.since is None or past.time >= self.since)
            and (self.until is None or past.time < self.until)
            and (not self.results or past.result in self.results)
            and self.text.lower() in json.dumps(past.as_data(), ensure_ascii=False).lower()
        )


def history(entries: Iterable[Any]) -> list[Past]:
    """The runs that the journal's entries tell of, oldest first; torn lines belong to none."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        about = entry.data
        if "run" in about:
            known = found.setdefault(about["run"], {"lines": [], "time": about["time"]})
            known["lines"].append(entry.sequence)
            known |= {key: value for key, value in about.items() if key != "time"}
    return [_past(about) for about in found.values()]


def find(entries: Iterable[Any], query: Query) -> Iterator[Past]:
    """The runs that `query` looks for, oldest first."""
    return (past for past in history(entries) if query.holds(past))


def _past(about: dict[str, Any]) -> Past:
    code = about.get("exit_code")
    if code is None:
        result = Result.RUNNING if alive(about.get("process")) else Result.KILLED
    else:
        result = _ENDS.get(ExitCode(code), Result.FAILED) if code in set(ExitCode) else Result.FAILED
    return Past(
        about["run"],
        str(about.get("verb", "")),
        str(about.get("who", "")),
        datetime.fromisoformat(about["time"]),
        result,
        about.get("seconds"),
        code,
        dict(about.get("parameters") or {}),
        tuple(about.get("hosts") or ()),
        dict(about.get("result") or {}),
        str(about.get("error") or ""),
        tuple(about["lines"]),
    )


def moment(text: str, now: datetime | None = None) -> datetime:
    """A point in time: `2026-11-22`, `2026-11-22T08:00` (this machine's zone), or `3d`, `12h`, `30m` ago.

    Raises `UsageError` for anything else.
    """
    span = _SPAN.fullmatch(text)
    if span:
        return (now or datetime.now(UTC)) - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        raise UsageError(
            f"{text!r} is no point in time", mend="2026-11-22, 2026-11-22T08:00, or 3d, 12h, 30m, 2w ago"
        ) from None
