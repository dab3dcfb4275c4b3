"""What tells one process from every other, so that a run without an end is known to be running or killed."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any


def process() -> list[Any]:
    """What tells this process from every other: machine, its start, process id and the process's start."""
    return [socket.gethostname(), _boot(), os.getpid(), _started(os.getpid())]


def alive(about: Any) -> bool:
    """Whether the process that `process` told of still runs; False for one of another machine or start."""
    if not isinstance(about, list) or len(about) != 4:
        return False
    machine, boot, number, started = about
    return bool([machine, boot] == [socket.gethostname(), _boot()] and _started(number) == started)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _started(number: int) -> str | None:
    """The start of a process in clock ticks since the machine's; None when there is no such process."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return None
