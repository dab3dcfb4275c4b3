"""The watch: a look that a timer starts. It remembers since when something differs, and tells it in metrics.

It never looks beside an apply of the same site: steps that just run would look interrupted. The journal gets
an entry when what differs has changed, not every quarter of an hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import ExitCode, XjopsError
from xjops.core.locking import held, last_taken, lock
from xjops.core.waiting import within
from xjops.journal import noted
from xjops.plan import watched as knowledge
from xjops.plan.apply import lock_file
from xjops.plan.look import Look
from xjops.plan.metrics import write_watched
from xjops.plan.watched import Attempt, Watched

DEADLINE_SECONDS = 240.0
EVERY_MINUTES = 15
NOTED = 50  # differences that a journal entry names


@dataclass(frozen=True)
class Options:
    """`metrics`: the file to write; `deadline` of the look in seconds; `every`: the interval in seconds."""

    metrics: Path | None = None
    deadline: float = DEADLINE_SECONDS
    every: float = EVERY_MINUTES * 60.0


def run(
    site: str, look: Callable[[], Look], options: Options, clock: Callable[[], float] = time.time
) -> Watched:
    """One watch of `site`; `look` loads it and looks.

    Waits for another watch of the site, `options.deadline` at most (`DeadlineError`). A watch without a look
    knows what was known before. Raises what `look` raises and `DeadlineError` when it hangs, after state and
    metrics were written: then the process has to be ended hard (`xjops.core.waiting.within`).
    """
    mend = "wait for it, or end it: ps -ef | grep 'xjops drift run'"
    file = paths.state(site) / "watch.lock"
    with lock(file, what=f"watch of {site}", seconds=options.deadline, mend=mend):
        known = knowledge.load(site)
        before = known or Watched(site, options.every, 0.0, Attempt.FAILED, ExitCode.NOT_RUN)
        before = replace(before, every=options.every)
        try:
            after = _look(before, look, options.deadline, clock)
        except Exception as error:
            problem = (
                error
                if isinstance(error, XjopsError)
                else XjopsError(f"internal error: {type(error).__name__}: {error}")
            )
            _keep(known, knowledge.without_look(before, Attempt.FAILED, problem, clock()), options.metrics)
            raise
        _keep(known, after, options.metrics)
    return after


def _look(before: Watched, look: Callable[[], Look], seconds: float, clock: Callable[[], float]) -> Watched:
    """What is known after a look, or after none because an apply goes on, or began meanwhile."""
    apply = lock_file(before.site)
    taken, started = last_taken(apply), time.monotonic()
    if not held(apply):
        mend = "xjops plan shows which host hangs"
        seen = within(look, what=f"the look at {before.site}", seconds=seconds, mend=mend)
        if not held(apply) and last_taken(apply) == taken:
            return knowledge.after_look(before, seen, clock(), time.monotonic() - started)
    return knowledge.without_look(before, Attempt.APPLY, None, clock())


def _keep(before: Watched | None, after: Watched, metrics: Path | None) -> None:
    """State first, then journal and metrics: the next watch goes on from what was kept."""
    knowledge.save(after)
    if after.attempt is not Attempt.APPLY and (before is None or before.fingerprint() != after.fingerprint()):
        _note(before, after)
    if metrics:
        write_watched(after, metrics)


def _note(before: Watched | None, after: Watched) -> None:
    was, now = _words(before), _words(after)
    hosts = {item.subject for item in after.differs if item.kind == "step"}
    result: dict[str, Any] = {
        "appeared": sorted(now - was)[:NOTED],
        "gone": sorted(was - now)[:NOTED],
        "differences": len(after.differs),
        "unseen": [item.subject for item in after.unseen],
        "digest": after.digest,
        "failure": after.error,
    }
    noted(
        after.site,
        "drift run",
        hosts=sorted(hosts),
        result=result,
        exit_code=after.exit_code,
        seconds=after.seconds,
    )


def _words(known: Watched | None) -> set[str]:
    return {f"{item.subject}: {item.what} ({item.why})" for item in (known.differs if known else ())}
