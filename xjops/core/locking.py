"""One at a time: a lock held by an open file, let go by the system when its process ends."""

from __future__ import annotations

import fcntl
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
        yield
