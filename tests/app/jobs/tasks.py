"""Tasks for the tests of the worker."""

from __future__ import annotations

from django_tasks import task

from registry.jobs import stopping

done: list[str] = []


@task(queue_name="default")
def good(word: str) -> str:
    """Succeed."""
    done.append(word)
    return word


@task(queue_name="default")
def bad() -> None:
    """Fail."""
    raise ValueError("no such thing")


@task(queue_name="default")
def interrupted() -> None:
    """Behave as a long task does when its worker gets SIGTERM between two chunks."""
    done.append("first chunk")
    stopping.request()
    stopping.hand_back_if_requested()
    done.append("second chunk")
