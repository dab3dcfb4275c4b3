"""What every benchmark shares: CPU and wall time of a child, and the last line as one JSON object.

    from _report import measure, report

A benchmark prints what it likes and ends in `report(...)`. The last line holds, in this order:
`bench`, `figures` (ours), `floor` (the peer's or floor's figures of the same run), `ratios`,
`limits` (each figure's upper or lower bound), `met` (every limit holds) and `machine`.
Times are seconds unless the name says otherwise.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn


class Cost(NamedTuple):
    """Seconds of one child process (its own children included); medians when several runs were made."""

    cpu: float
    wall: float


def measure(
    command: Sequence[str],
    *,
    runs: int = 1,
    deadline: float = 600,
    environment: Mapping[str, str] | None = None,
) -> Cost:
    """Run `command` `runs` times, output thrown away: median CPU (user + system) and wall seconds.

    Raises `CalledProcessError` with the child's output when a run fails, `TimeoutExpired` at the deadline.
    """
    costs = []
    for _ in range(runs):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            list(command),
            check=True,
            timeout=deadline,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if environment is None else dict(environment),
        )
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
        costs.append(Cost(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall))
    return Cost(statistics.median(c.cpu for c in costs), statistics.median(c.wall for c in costs))


def report(
    bench: str,
    figures: Mapping[str, float],
    floor: Mapping[str, float],
    ratios: Mapping[str, float],
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
) -> NoReturn:
    """Print the JSON line and exit: 0 when every limit holds, else 1.

    `at_most` and `at_least` name figures or ratios; an unknown name is a KeyError.
    """
    values = {**figures, **ratios}
    met = all(values[name] <= bound for name, bound in (at_most or {}).items()) and all(
        values[name] >= bound for name, bound in (at_least or {}).items()
    )
    line = {
        "bench": bench,
        "figures": _rounded(figures),
        "floor": _rounded(floor),
        "ratios": _rounded(ratios),
        "limits": {"at_most": dict(at_most or {}), "at_least": dict(at_least or {})},
        "met": met,
        "machine": {"cpus": len(os.sched_getaffinity(0)), "python": platform.python_version()},
    }
    print(json.dumps(line), flush=True)
    raise SystemExit(0 if met else 1)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in values.items()}
