"""One at a time: a lock held by an open file, let go by the system when its process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from xjops.core.waiting import wait_for


@contextmanager
def lock(path: Path, *, what: str, seconds: float, mend: str) -> Iterator[None]:
    """Hold the lock file `path` (made when missing; never removed).

    Raises `DeadlineError` when another process still holds it after `seconds`; `what` names the work.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as stream:

        def attempt() -> bool | None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            return True

        wait_for(attempt, what=f"the end of another {what}", seconds=seconds, mend=mend)
        os.utime(stream.fileno())  # what `last_taken` tells
        yield


def held(path: Path) -> bool:
    """Whether a process holds the lock file `path` now. A file that a killed process left behind is no lock.

    The question itself keeps others out for an instant, which a `lock` that waits at all gets over.
    """
    try:
        stream = path.open("r")
    except FileNotFoundError:
        return False
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def last_taken(path: Path) -> int:
    """When the lock file `path` was last taken, in nanoseconds since 1970; 0 when never."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
