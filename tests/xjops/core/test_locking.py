"""A lock is held by a process, not by its file; and one can tell when it was last taken."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from xjops.core.locking import held, last_taken, lock

KILLED = """
import os, sys
from pathlib import Path
from xjops.core.locking import lock
with lock(Path(sys.argv[1]), what="x", seconds=1, mend=""):
    os._exit(9)
"""


def test_held_only_while_somebody_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert not held(path)
    with lock(path, what="x", seconds=1, mend=""):
        assert held(path)
    assert path.exists()
    assert not held(path)


def test_the_lock_of_a_killed_process_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    done = subprocess.run([sys.executable, "-c", KILLED, path], timeout=60, check=False)
    assert done.returncode == 9
    assert path.exists()
    assert not held(path)


def test_when_it_was_last_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    assert last_taken(path) == 0
    with lock(path, what="x", seconds=1, mend=""):
        first = last_taken(path)
    assert first > 0
    assert held(path) is False, "asking is no taking"
    assert last_taken(path) == first
    with lock(path, what="x", seconds=1, mend=""):
        assert last_taken(path) > first


def test_a_question_does_not_keep_others_out(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    path.touch()
    for _ in range(20):
        assert not held(path)
        with lock(path, what="x", seconds=0.5, mend=""):
            assert held(path)
