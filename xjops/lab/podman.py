"""Podman, as the lab uses it: runc, the machine's own limits, one settings file, only our own containers.

Every container of the lab carries the labels `xjops.site` and `xjops.host`; nothing without them is touched.
"""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import XjopsError
from xjops.core.process import run
from xjops.core.waiting import wait_for

# capability numbers of linux/capability.h
CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "SYS_PTRACE": 19, "SYS_ADMIN": 21, "SYS_NICE": 23,
                "SYS_RESOURCE": 24, "AUDIT_WRITE": 29}  # fmt: skip
# Folders of a lower layer can be renamed too: a snapshot makes layers of what hosts have written.
REDIRECT = ("--storage-opt", "overlay.mountopt=redirect_dir=on")
RUNNING = "{{.State.Running}}"
SSH_SECONDS = 120.0  # a busy machine; on a quiet one a host answers after 2 s
# What podman would set where it may; a machine without CAP_SYS_RESOURCE can't exceed its own limits.
WANTED_LIMITS = {"nofile": (resource.RLIMIT_NOFILE, 1048576), "nproc": (resource.RLIMIT_NPROC, 32768)}


@dataclass(frozen=True)
class Container:
    """One container of the lab as podman sees it; `state` is podman's word (running, exited, created, …)."""

    name: str
    state: str
    labels: Mapping[str, str]

    @property
    def running(self) -> bool:
        return self.state == "running"


def machine_has(capability: str, status: Path = Path("/proc/self/status")) -> bool:
    """Whether this machine can grant `capability` (its bounding set has it)."""
    for line in status.read_text().splitlines():
        if line.startswith("CapBnd:"):
            return bool(int(line.split()[1], 16) >> CAPABILITIES[capability] & 1)
    return False


def _limits() -> list[str]:
    if machine_has("SYS_RESOURCE"):
        return []
    limits = []
    for name, (number, wanted) in WANTED_LIMITS.items():
        hard = resource.getrlimit(number)[1]
        value = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        limits.append(f"{name}={value}:{value}")
    return limits


def settings() -> Path:
    """The containers.conf of the lab, written when it differs; podman reads it by CONTAINERS_CONF."""
    limits = _limits()
    lines = ["# written by xjops lab", "[containers]"]
    if limits:
        lines.append(f"default_ulimits = {json.dumps(limits)}")
    # crun can't run systemd on hybrid cgroups
    lines += ["[engine]", 'runtime = "runc"', "[network]", 'network_backend = "netavark"', ""]
    file = paths.cache() / "lab" / "containers.conf"
    text = "\n".join(lines)
    if not file.is_file() or file.read_text() != text:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return file


def podman(
    *words: str | Path, seconds: float = 60, check: bool = True, stdin: bytes | None = None, mend: str = ""
) -> str:
    """Run ``podman WORDS`` under the lab's settings; its output, stripped. Errors as `core.process.run`."""
    result = run(
        ["podman", *words],
        seconds=seconds,
        check=check,
        stdin=stdin,
        mend=mend,
        environment={"CONTAINERS_CONF": str(settings())},
    )
    return result.stdout.decode(errors="replace").strip()


def succeeds(*words: str | Path, seconds: float = 30) -> bool:
    """Whether ``podman WORDS`` exits with 0."""
    result = run(
        ["podman", *words], seconds=seconds, check=False, environment={"CONTAINERS_CONF": str(settings())}
    )
    return result.returncode == 0


def containers(**labels: str) -> dict[str, Container]:
    """Containers of any state that carry all `labels` (``site="lab"`` means ``xjops.site=lab``), by name."""
    filters = [word for key, value in labels.items() for word in ("--filter", f"label=xjops.{key}={value}")]
    found: list[dict[str, Any]] = json.loads(podman("ps", "--all", "--format", "json", *filters) or "[]")
    result = {}
    for item in found:
        name = str(item["Names"][0])
        result[name] = Container(name, str(item["State"]), dict(item.get("Labels") or {}))
    return result


def labels(values: Mapping[str, str]) -> list[str]:
    """The words that give a container or network our labels."""
    return [word for key, value in values.items() for word in ("--label", f"xjops.{key}={value}")]


def start(name: str, create: Sequence[str | Path]) -> str:
    """Bring the container `name` up: running stays, stopped starts again, missing is made by `create`.

    A container left half made by a killed run is made anew. Returns running, started or created.
    """
    state = podman("container", "inspect", "--format", "{{.State.Status}}", name, check=False)
    if state == "running":
        return "running"
    if state in ("exited", "stopped"):
        try:
            podman(*REDIRECT, "start", name)
        except XjopsError:
            # its network or mounts are gone after a reboot of the machine: try once more from its parts
            podman("container", "cleanup", name, check=False)
            podman(*REDIRECT, "start", name)
        return "started"
    if state:
        podman("rm", "--force", "--time", "2", name)
    podman(*REDIRECT, "run", "--detach", "--name", name, *create)
    return "created"


def wait_ssh(
    name: str,
    address: IPv4Address,
    seconds: float = SSH_SECONDS,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Wait until SSH answers at `address`, that is, until systemd in the container `name` has booted.

    Ends with `XjopsError` when `stopped` says so meanwhile.
    """
    wait_for(
        lambda: True if stopped() or _banner(address) else None,
        what=f"SSH of {name} at {address}",
        seconds=seconds,
        mend=f"podman logs {name}; podman exec {name} systemctl --failed",
    )
    if stopped():
        raise XjopsError(f"{name}: not waited for any longer")


def _banner(address: IPv4Address) -> bool:
    try:
        with socket.create_connection((str(address), 22), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_login(name: str) -> None:
    """Wait until the container `name` lets people in, after `wait_ssh`.

    sshd answers earlier: systemd lets nobody but root in until remote file systems were tried.
    """

    def attempt() -> bool | None:
        process = podman("container", "inspect", "--format", "{{.State.Pid}}", name)
        return None if Path(f"/proc/{process}/root/run/nologin").exists() else True

    mend = f"podman exec {name} systemctl list-jobs"
    wait_for(attempt, what=f"the end of the boot of {name}", seconds=SSH_SECONDS, mend=mend)


def remove(names: Sequence[str]) -> None:
    """Remove containers by name, running or not; their file systems are gone."""
    if not names:
        return
    # podman gives up on a container that stops by itself meanwhile; what it left is removed by a second call
    podman("rm", "--force", "--time", "2", "--ignore", *names, seconds=120, check=False)
    podman("rm", "--force", "--time", "2", "--ignore", *names, seconds=120)


def stop(names: Sequence[str]) -> None:
    """Shut containers down: systemd gets 10 s, then they are killed. Their file systems stay."""
    if not names:
        return
    # on a busy machine podman itself gives up waiting; what it left is killed
    podman("stop", "--time", "10", "--ignore", *names, seconds=300, check=False)
    alive = [name for name in names if podman("inspect", "-f", RUNNING, name, check=False) == "true"]
    if alive:
        podman("kill", *alive, seconds=120)


def graph_root() -> Path:
    """The folder of podman's storage."""
    return Path(podman("info", "--format", "{{.Store.GraphRoot}}"))


@dataclass(frozen=True)
class Stored:
    """A container's own folder in podman's storage, its image's id, and how it ended (0: cleanly)."""

    folder: Path
    image: str
    driver: str
    exit_code: int
    status: str


def stored(names: Sequence[str]) -> dict[str, Stored]:
    """Where podman keeps these containers, by name; those that are not there are left out."""
    if not names:
        return {}
    found: list[dict[str, Any]] = json.loads(podman("container", "inspect", *names, check=False) or "[]")
    return {
        str(item["Name"]): Stored(
            Path(item["GraphDriver"]["Data"]["UpperDir"]).parent,
            str(item["Image"]),
            str(item["GraphDriver"]["Name"]),
            int(item["State"]["ExitCode"]),
            str(item["State"]["Status"]),
        )
        for item in found
    }


def shut_down(names: Sequence[str], seconds: int) -> None:
    """Shut containers down, each in at most `seconds`, and unmount them; look at `stored` how they ended."""
    if names:
        podman("stop", "--time", str(seconds), *names, seconds=2 * seconds + 60, check=False)
        end_half_started(names)
        podman("container", "cleanup", *names, seconds=60, check=False)


def end_half_started(names: Sequence[str]) -> None:
    """End what a killed `podman start` left: podman takes it for ended, the runtime has it waiting for its
    start, with all its mounts.
    """
    if not names:
        return
    found: list[dict[str, Any]] = json.loads(podman("container", "inspect", *names, check=False) or "[]")
    for item in found:
        if not item["State"]["Running"]:
            run([str(item["OCIRuntime"]), "delete", "--force", str(item["Id"])], seconds=30, check=False)


def cut(names: Sequence[str]) -> None:
    """Cut the power of running containers: what they hold is thrown away anyhow."""
    if names:
        podman("kill", *names, seconds=120, check=False)
        podman("wait", *names, seconds=120, check=False)
        podman("container", "cleanup", *names, seconds=60, check=False)
