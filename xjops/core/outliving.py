"""Let nothing outlive us: what a run started is ended when the run is, however it ends.

A guard process waits on a pipe whose other end only we hold. When that closes without a word (a crash, an
interrupt, `kill -9`), the guard ends every process whose environment carries the run's mark. Process groups
would not do: Ansible's workers leave theirs, and ansible-runner has its playbook ignore a hang-up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MARK = "XJOPS_RUN"
GRACE_SECONDS = 5.0  # between asking and killing
_DONE = b"done"


@contextmanager
def nothing_outlives() -> Iterator[dict[str, str]]:
    """Environment variables for what is started in the block; that ends with us, should we not end well."""
    mark = uuid.uuid4().hex
    guard = subprocess.Popen(
        [sys.executable, "-m", __name__, mark],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    last_word = b""
    try:
        yield {MARK: mark}
        last_word = _DONE
    finally:
        with suppress(subprocess.TimeoutExpired, BrokenPipeError):
            guard.communicate(last_word, timeout=2 * GRACE_SECONDS)


def marked(mark: str) -> list[int]:
    """The running processes that carry `mark`, ours alone excepted."""
    word = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with suppress(OSError):  # it ended, or is another user's
            if word in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
    return found


def end_all(mark: str) -> None:
    """End every marked process: asked first, killed after `GRACE_SECONDS`."""
    killing_from = time.monotonic() + GRACE_SECONDS
    asked: set[int] = set()
    while (left := marked(mark)) and time.monotonic() < killing_from + GRACE_SECONDS:
        killing = time.monotonic() >= killing_from
        for pid in left if killing else set(left) - asked:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if killing else signal.SIGTERM)
        asked.update(left)
        time.sleep(0.1)


if __name__ == "__main__":
    if sys.stdin.buffer.read() != _DONE:
        end_all(sys.argv[1])
