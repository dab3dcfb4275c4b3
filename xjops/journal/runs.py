"""One recorded run of a verb: a `start` and an `end` entry, so that a killed run is visible as such."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import ExitCode, XjopsError
from xjops.journal.chain import Journal
from xjops.journal.living import process


@dataclass
class Run:
    """A run in progress: its identity, its folder (0700) for full logs, and the result to be recorded."""

    id: str
    folder: Path
    exit_code: ExitCode = ExitCode.OK
    result: dict[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """The full log of this run."""
        return self.folder / "log.txt"


def journal_of(site: str) -> Journal:
    """The journal of a site on this control node."""
    return Journal(paths.state(site) / "journal.jsonl")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _who() -> str:
    """The person behind sudo where there is one: the account that asked, not the one that acts."""
    name = os.environ.get("SUDO_USER") or os.environ.get("XJOPS_WHO") or getpass.getuser()
    return f"{name}@{socket.gethostname()}"


def noted(
    site: str,
    verb: str,
    *,
    hosts: list[str],
    result: Mapping[str, Any],
    exit_code: ExitCode,
    seconds: float,
    error: str = "",
) -> None:
    """Record something that is over already as one entry: what a watch saw. No secret may be in `result`."""
    run_id = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    about = {"run": run_id, "verb": verb, "who": _who(), "parameters": {}, "hosts": hosts}
    end = {"seconds": round(seconds, 3), "exit_code": int(exit_code), "result": dict(result), "error": error}
    journal_of(site).append({"event": "note", "time": _now(), **about, **end})


@contextmanager
def recorded(site: str, verb: str, parameters: Mapping[str, Any], hosts: list[str]) -> Iterator[Run]:
    """Record a run of `verb`: start now, end with the exit code, the result and any error's line.

    `parameters` and `result` must hold no secret: they are kept in clear.
    """
    journal = journal_of(site)
    started = datetime.now(UTC)
    run_id = f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    folder = paths.state(site) / "runs" / run_id
    folder.mkdir(parents=True, mode=0o700)
    run = Run(run_id, folder)
    about = {"run": run_id, "verb": verb, "who": _who()}
    journal.append(
        {
            "event": "start",
            "time": _now(),
            **about,
            "process": process(),
            "parameters": dict(parameters),
            "hosts": hosts,
        }
    )
    error = ""
    try:
        yield run
    except XjopsError as problem:
        run.exit_code, error = problem.exit_code, str(problem)
        raise
    except BaseException as problem:
        interrupted = isinstance(problem, KeyboardInterrupt)
        run.exit_code = ExitCode.INTERRUPTED if interrupted else ExitCode.FAIL
        error = "interrupted" if interrupted else f"{type(problem).__name__}: {problem}"
        raise
    finally:
        seconds = round((datetime.now(UTC) - started).total_seconds(), 3)
        end = {"event": "end", "time": _now(), **about, "seconds": seconds, "exit_code": int(run.exit_code)}
        journal.append({**end, "result": run.result, "error": error})
