"""Work with a deadline: its result, its error, or the deadline's."""

from __future__ import annotations

import threading
import time

import pytest

from xjops.core.errors import DeadlineError, XjopsError
from xjops.core.waiting import within


def test_the_result_comes_through() -> None:
    assert within(lambda: 7, what="it", seconds=5, mend="") == 7
    assert within(lambda: None, what="it", seconds=5, mend="") is None


def test_the_error_comes_through() -> None:
    def work() -> None:
        raise XjopsError("no")

    with pytest.raises(XjopsError, match="no"):
        within(work, what="it", seconds=5, mend="")


def test_work_that_hangs_is_left_at_its_deadline() -> None:
    end = threading.Event()
    started = time.monotonic()
    with pytest.raises(DeadlineError, match=r"it did not end within 0\.1 s"):
        within(lambda: end.wait(30), what="it", seconds=0.1, mend="")
    assert time.monotonic() - started < 10
    end.set()
