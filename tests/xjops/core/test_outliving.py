"""Nothing outlives a run that was killed; what ended by itself is left alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xjops.core.outliving import MARK, marked, nothing_outlives
from xjops.core.waiting import wait_for

# Starts a child in a session of its own that ignores hang-ups and requests to end, then waits.
RUN = """
import os, subprocess, sys, time
from xjops.core.outliving import MARK, nothing_outlives
child = "import signal, time; signal.signal(signal.SIGHUP, signal.SIG_IGN); {}; time.sleep(120)"
with nothing_outlives() as mark:
    subprocess.Popen([sys.executable, "-c", child], env={{**os.environ, **mark}}, start_new_session=True)
    print(mark[MARK], flush=True)
    time.sleep(120)
"""
STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


def gone(mark: str) -> None:
    wait_for(lambda: None if marked(mark) else True, what="the end of the child", seconds=20, mend="")


@pytest.mark.parametrize("behaviour", ["pass", STUBBORN])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_run_takes_its_children_along(number: signal.Signals, behaviour: str) -> None:
    run = subprocess.Popen(
        [sys.executable, "-c", RUN.format(behaviour)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert run.stdout is not None
    with run.stdout:
        mark = run.stdout.readline().strip()
    wait_for(lambda: marked(mark) or None, what="the child", seconds=20, mend="")
    run.send_signal(number)
    assert run.wait(timeout=20) != 0
    gone(mark)


def test_what_goes_on_after_a_good_end_is_left_alone(tmp_path: Path) -> None:
    """Such as the SSH connections that Ansible keeps open for the next run."""
    with nothing_outlives() as mark:
        child = subprocess.Popen(["sleep", "60"], env={**os.environ, **mark})
    try:
        assert marked(mark[MARK]) == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_an_error_in_the_block_ends_its_children() -> None:
    with pytest.raises(ZeroDivisionError), nothing_outlives() as mark:
        child = subprocess.Popen(["sleep", "60"], env={**os.environ, **mark})
        _ = 1 / 0
    assert child.wait(timeout=10) == -signal.SIGTERM
