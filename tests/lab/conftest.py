"""The one lab that all tests share: a copy of the user's with its own site name, subnets, port and state.

`base_lab` is fresh hosts (`xjops lab up`, `xjops vm apply`), `province` the whole: `xjops up`, killed in
every one of its stages on the way. Both are made once a session. With XJOPS_TEST_LAB_KEEP=1 the lab stays up
and the next session finds it as it was left (nothing is killed then). XJOPS_TEST_STUDENTS (2000) is the size
of the sample province. What is cached (base image, bundle, simulator) is shared with the user's lab.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer

import pytest
from labtest import FOLDER, surround

from xjops.adapters.ssh import Fleet
from xjops.lab import machine
from xjops.lab.copy import TEST_SITE
from xjops.site import Site

XJOPS = Path(sys.executable).with_name("xjops")
KEEP = os.environ.get("XJOPS_TEST_LAB_KEEP") == "1"
UP_SECONDS = 1500.0
# Where `xjops up` is killed: after the line that begins so (its own start, where empty), seconds later.
KILLS = {
    "lab and bundle": ("", 2.0),
    "vcenter": ("lab ", 2.5),
    "reach": ("vcenter ", 0.5),
    "first roles": ("bundle       ok", 8.0),
    "middle of the roles": ("bundle       ok", 75.0),
    "sample": ("site ", 2.0),
}


def run(*words: str, seconds: float = UP_SECONDS) -> subprocess.CompletedProcess[str]:
    """An xjops command as a user types it; the test fails with its last lines unless it exits with 0."""
    done = subprocess.run(
        [XJOPS, *words], capture_output=True, text=True, timeout=seconds, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    if done.returncode:
        pytest.fail(f"xjops {' '.join(words)} → {done.returncode}\n{(done.stdout + done.stderr)[-4000:]}")
    return done


@pytest.fixture(scope="session")
def lab_site() -> Iterator[Site]:
    """The test lab's site; nothing is started yet. Removed at the end of the session unless kept."""
    lacks = machine.lacks(need_image=False)
    if lacks:
        # CI must run these; a machine that can't (no root) says so instead of passing
        if os.environ.get("CI"):
            pytest.fail("\n".join(lacks))
        pytest.skip("; ".join(lacks))
    with pytest.MonkeyPatch.context() as patch:
        surround(patch)
        yield Site.load(TEST_SITE)
        if not KEEP:
            run("lab", "down", "--purge", "--yes", seconds=300)
            shutil.rmtree(FOLDER)


@pytest.fixture(scope="session")
def base_lab(lab_site: Site) -> Site:
    """The test lab with all its hosts up; what is installed on them is not said."""
    run("lab", "up")
    run("vm", "apply", "--yes")
    run("vm", "host-keys")
    return Site.load(lab_site.name)


@pytest.fixture(scope="session")
def province(lab_site: Site) -> Site:
    """The test lab as `make up` leaves it."""
    words = ["up", "--students", os.environ.get("XJOPS_TEST_STUDENTS", "2000")]
    if not KEEP:
        for stage, (line, seconds) in KILLS.items():
            kill_in(stage, words, line, seconds)
    run(*words)
    return Site.load(lab_site.name)


def health(site: Site, host: str) -> int:
    """The HTTP status of a web server's /healthz, asked on the host itself; 0 without an answer."""
    ask = (
        "import urllib.request as u, urllib.error as e\n"
        f"q = u.Request('http://127.0.0.1/healthz', headers={{'Host': '{site.balancer.domain}'}})\n"
        "try: print(u.urlopen(q, timeout=20).status)\n"
        "except e.HTTPError as x: print(x.code)\n"
        "except OSError: print(0)\n"
    )
    with Fleet(site) as fleet:
        output = fleet.run([site.host(host)], f"python3 -c {shlex.quote(ask)}")[host]
    return int(output.stdout or 0)


def wait_healthy(site: Site, host: str, seconds: float = 90) -> None:
    """Fail unless the web server's /healthz is 200 within `seconds`."""
    end = time.monotonic() + seconds
    while (status := health(site, host)) != 200:
        if time.monotonic() > end:
            pytest.fail(f"/healthz of {host} is still {status} after {seconds:g} s")
        time.sleep(1)


def kill_in(stage: str, words: list[str], line: str, seconds: float) -> None:
    """Start the command and kill it and all its children at once, `seconds` after the line."""
    process = subprocess.Popen(
        [XJOPS, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    deadline = Timer(UP_SECONDS, process.kill)
    deadline.start()
    with process:
        assert process.stderr is not None
        told: deque[str] = deque(maxlen=12)
        seen = not line or any(text.startswith(line) for text in map(_kept(told), process.stderr))
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds if seen else 1)
        ended = process.poll()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    deadline.cancel()
    if ended is not None:
        what = f"xjops up ended by itself ({ended}) before it could be killed in its stage {stage}"
        pytest.fail(what + "\n" + "".join(told))


def _kept(lines: deque[str]) -> Callable[[str], str]:
    """Hands a line on and remembers it."""

    def keep(line: str) -> str:
        lines.append(line)
        return line

    return keep
