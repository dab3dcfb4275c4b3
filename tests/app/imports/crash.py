"""Run one import job in a process of its own, killed (SIGKILL) at a chosen place: `crash.py JOB PLACE`.

Places: reading, checking (after two chunks), comparing, loading (rows written, transaction open), committed
(transaction done, report missing), reporting (half a report written), none (not killed).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "app"))


def die(*_args: Any, **_kwargs: Any) -> None:
    """What `kill -9` does."""
    os.kill(os.getpid(), signal.SIGKILL)


def after(times: int, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, after whose `times`-th call the process dies."""
    calls = []

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        calls.append(True)
        if len(calls) == times:
            die()
        return result

    return wrapped


def main(job_id: int, place: str) -> None:
    """Set the trap and run."""
    import django

    django.setup()
    from django.conf import settings

    settings.IMPORT_CHUNK_ROWS = 10
    settings.IMPORT_PROCESSES = 1
    from registry.imports import loading, report, runner

    traps: dict[str, Callable[[], None]] = {
        "reading": lambda: setattr(runner, "open_sheet", die),
        "checking": lambda: setattr(runner.Run, "keep", after(2, runner.Run.keep)),
        "comparing": lambda: setattr(runner, "within_file", die),
        "loading": lambda: setattr(loading, "_load", after(2, loading._load)),
        "committed": lambda: setattr(runner, "_report", die),
        "reporting": lambda: setattr(report._Report, "_row", after(1, report._Report._row)),
        "none": lambda: None,
    }
    traps[place]()
    print(runner.run(job_id))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
