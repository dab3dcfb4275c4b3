"""Start, find and stop the lab's agent: a detached process that holds a lock for its whole life.

The lock, not the process id, says whether it runs: a killed agent lets go of it at once, and a process id
that was given to another program is never taken for ours.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from xjops.core import paths
from xjops.core.waiting import wait_for
from xjops.lab.credentials import lab_folder

START_SECONDS = 60.0
LOCK_SECONDS = 3.0
STOP_SECONDS = 60.0  # it finishes the start it is at


def log_file(site: str) -> Path:
    """The agent's log."""
    return lab_folder(site) / "agent.log"


def pid_file(site: str) -> Path:
    """The agent's process id, and the file that it locks."""
    return lab_folder(site) / "agent.pid"


@contextmanager
def only_one(site: str) -> Iterator[None]:
    """Be the site's agent for the block; `DeadlineError` when there is another."""
    with pid_file(site).open("a+") as stream:

        def attempt() -> bool | None:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            return True

        # whoever asks whether an agent runs holds the lock for an instant, too
        wait_for(
            attempt,
            what=f"the end of the other agent of {site}",
            seconds=LOCK_SECONDS,
            mend=f"xjops lab down --site {site}",
            interval=0.05,
        )
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def running(site: str) -> int | None:
    """The process id of the running agent, or None."""
    file = pid_file(site)
    if not file.is_file():
        return None
    with file.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = stream.read()
            return int(text) if text.isdigit() else None
    return None


def ensure(site: str) -> bool:
    """Have the agent run; whether it was started. One that is older than its program is replaced."""
    pid = running(site)
    if pid is not None:
        if pid_file(site).stat().st_mtime > _program_changed():
            return False
        terminate(site)
    command = [sys.executable, "-m", "xjops.cli.main", "lab", "agent", "--site", site]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with log_file(site).open("ab") as log:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=paths.project(),
            env=environment, start_new_session=True,
        )  # fmt: skip
    wait_for(
        lambda: running(site), what="the lab's agent", seconds=START_SECONDS, mend=f"see {log_file(site)}"
    )
    return True


def terminate(site: str) -> bool:
    """Stop the agent and wait until it is gone; whether there was one."""
    pid = running(site)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    wait_for(
        lambda: None if running(site) else True,
        what="the end of the lab's agent",
        seconds=STOP_SECONDS,
        mend=f"kill -9 {pid}",
    )
    return True


def say(line: str) -> None:
    """A line of the agent's log: time in UTC and text."""
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {line}\n")
    sys.stdout.flush()


def serve(site_name: str) -> None:
    """The agent's process: until SIGTERM or SIGINT."""
    from xjops.lab import agent
    from xjops.site import Site

    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    with only_one(site_name):
        say("agent started")
        agent.run(Site.load(site_name), say, lambda: ended)
        say("agent stopped")


def _program_changed() -> float:
    folder = Path(__file__).parents[1]
    files = [*(folder / "lab").rglob("*"), *(folder / "adapters").glob("*.py")]
    return max(file.stat().st_mtime for file in files if file.suffix != ".pyc" and file.is_file())
