"""Every wait has a deadline and ends in a named error."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from xjops.core.errors import DeadlineError

T = TypeVar("T")


def wait_for(
    attempt: Callable[[], T | None], *, what: str, seconds: float, mend: str, interval: float = 0.2
) -> T:
    """Call `attempt` until it returns something other than None; `DeadlineError` after `seconds`.

    `what` names what is waited for ("the address of web2"), `mend` what to look at when it never comes.
    """
    end = time.monotonic() + seconds
    while True:
        result = attempt()
        if result is not None:
            return result
        if time.monotonic() >= end:
            raise DeadlineError(f"{what} did not come within {seconds:g} s", mend=mend)
        time.sleep(min(interval, max(0.0, end - time.monotonic())))


def within(work: Callable[[], T], *, what: str, seconds: float, mend: str) -> T:
    """The result of `work`, or its exception; `DeadlineError` when it takes longer than `seconds`.

    Python can't end a thread: past the deadline `work` goes on unheard. Whoever gets a `DeadlineError` should
    end the process by `os._exit`, because an ordinary end would wait for the threads that `work` started.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def body() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body, name=what, daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise DeadlineError(f"{what} did not end within {seconds:g} s", mend=mend)
    return done[0]
