"""VMware's vCenter simulator as the lab's vCenter: build it, start and stop it, prepare its inventory.

The simulator forgets everything when it stops. `start` prepares what an administrator would have on a
real vCenter before xjops comes: the VM folder and the template; `xjops vm apply` makes the rest.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from xjops.core.errors import NotRunError, XjopsError
from xjops.core.waiting import wait_for
from xjops.lab import simulator_inventory, simulator_program
from xjops.lab.credentials import lab_folder, vcenter_certificate
from xjops.site import Site

START_SECONDS = 30.0
STOP_SECONDS = 10.0
_PASSWORD = "vault_vcenter_password"  # noqa: S105 - its name in the vault


def log_file(site: Site) -> Path:
    """The simulator's log; begun anew with each start."""
    return lab_folder(site.name) / "vcenter.log"


def pid_file(site: Site) -> Path:
    """The simulator's process id; the file is locked as long as the simulator lives."""
    return lab_folder(site.name) / "vcenter.pid"


def running(site: Site) -> bool:
    """Whether this site's simulator lives and listens."""
    return _pid(site) is not None and _listens(site)


def absence(site: Site) -> str:
    """Why the last `lab up` found no simulator to be had; "" when there is one, and for a real site."""
    with suppress(FileNotFoundError):
        return _absence_file(site).read_text(encoding="utf-8").strip()
    return ""


def remember_absence(site: Site, reason: str) -> None:
    """Note for later runs why there is no simulator; "" forgets it."""
    if reason:
        _absence_file(site).write_text(reason + "\n", encoding="utf-8")
    else:
        _absence_file(site).unlink(missing_ok=True)


def _absence_file(site: Site) -> Path:
    return lab_folder(site.name) / "no-vcenter"


def start(site: Site, options: Sequence[str] = ()) -> None:
    """Have the simulator run with its folder and template; does nothing that is done already.

    `options` are further words for the program (`xjops/lab/vcsim/main.go`), used by tests. Raises
    `NotRunError` where the simulator can't be had or its port is taken, `ConfigurationError` without
    password, `XjopsError` when it doesn't come up.
    """
    if not running(site):
        _terminate(site)
        program = simulator_program.program()
        _port_is_free(site)
        _launch(site, program, options)
    simulator_inventory.prepare(site)


def stop(site: Site) -> bool:
    """Stop the simulator; whether there was one. Its machines are forgotten."""
    return _terminate(site)


def _pid(site: Site) -> int | None:
    """The process that holds the lock of the pid file."""
    file = pid_file(site)
    if not file.is_file():
        return None
    with file.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = stream.read().strip()
            return int(text) if text.isdigit() else None
    return None


def _listens(site: Site) -> bool:
    with suppress(OSError), socket.create_connection((site.vcenter.host, site.vcenter.port), 2):
        return True
    return False


def _port_is_free(site: Site) -> None:
    if _listens(site):
        raise NotRunError(
            f"port {site.vcenter.port} of {site.vcenter.host} is taken by another program",
            mend=f"end it (ss -ltnp 'sport = :{site.vcenter.port}'), or change vcenter.port of {site.name}",
        )


def _launch(site: Site, program: Path, options: Sequence[str]) -> None:
    certificate, key = vcenter_certificate(site)
    password = site.secret(_PASSWORD)
    disks = _disks(site)
    disks.mkdir(mode=0o700)
    command = [
        str(program),
        f"-listen={site.vcenter.host}:{site.vcenter.port}",
        f"-username={site.vcenter.username}",
        f"-certificate={certificate}",
        f"-key={key}",
        f"-datastores={len(site.vcenter.datastores)}",
        *options,
    ]
    with pid_file(site).open("w") as lock, log_file(site).open("wb") as log:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "TMPDIR": str(disks)},
            pass_fds=[lock.fileno()],  # the simulator keeps the lock for its whole life
            start_new_session=True,
        )
        lock.write(str(process.pid))
        lock.flush()
    if process.stdin is not None:
        with suppress(BrokenPipeError), process.stdin as stream:
            stream.write(password.encode() + b"\n")

    def attempt() -> bool | None:
        if process.poll() is not None:
            last = log_file(site).read_text(errors="replace").strip().splitlines()[-1:]
            raise XjopsError(f"the vCenter simulator ended: {''.join(last)}", mend=f"see {log_file(site)}")
        return True if _listens(site) else None

    wait_for(attempt, what="the vCenter simulator", seconds=START_SECONDS, mend=f"see {log_file(site)}")


def _disks(site: Site) -> Path:
    """Where the simulator keeps its (empty) disks; removed when it stops."""
    return lab_folder(site.name) / "vcenter-disks"


def _terminate(site: Site) -> bool:
    pid = _pid(site)
    if pid is not None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            with suppress(XjopsError):
                wait_for(
                    lambda: True if _pid(site) is None else None,
                    what="the end of the vCenter simulator",
                    seconds=STOP_SECONDS,
                    mend=f"kill -9 {pid}",
                    interval=0.05,
                )
                break
    pid_file(site).unlink(missing_ok=True)
    shutil.rmtree(_disks(site), ignore_errors=True)
    return pid is not None
