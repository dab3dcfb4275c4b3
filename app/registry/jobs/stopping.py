"""How a long task learns that its worker is to stop, and hands itself back to the queue."""

from __future__ import annotations

import threading

_stop = threading.Event()


class HandBackError(Exception):
    """Raised by a task between two chunks when `requested()`: it is queued again and resumes elsewhere."""


def request() -> None:
    """Ask the running task to hand itself back at its next chunk (called on SIGTERM)."""
    _stop.set()


def clear() -> None:
    """Forget the request (a new worker in the same process, in tests)."""
    _stop.clear()


def requested() -> bool:
    """Whether the worker is to stop. Cheap: ask between any two chunks."""
    return _stop.is_set()


def hand_back_if_requested() -> None:
    """Raise `HandBackError` when the worker is to stop."""
    if _stop.is_set():
        raise HandBackError("the worker is stopping: the task goes back to the queue")
