"""Can the lab run on this machine? One line for each thing that is missing, each with its mend."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from xjops.core.errors import ConfigurationError, ExitCode

MEMORY_GB = 7.0  # a machine sold as 8 GB shows a little less
DISK_GB = 8.0
PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "iptables": "iptables",
    "ip": "iproute2",
    "ssh": "openssh-client",
    "gpg": "gnupg",
}
HELPER_FOLDERS = (
    "/usr/lib/podman",
    "/usr/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/local/libexec/podman",
)


# Every systemd takes about five inotify instances, and all hosts' root is one user to the kernel: its
# default of 128 ends at the 25th host, whose systemd then never gets to the end of its boot.
LIMITS = {"fs/inotify/max_user_instances": 2048, "fs/inotify/max_user_watches": 262144}


class MachineError(ConfigurationError):
    """The lab can't run here: not tried, so never a pass. `problems` has one line for each lack."""

    exit_code = ExitCode.NOT_RUN


def _programs(need_image: bool) -> list[str]:
    wanted = {**PROGRAMS, **({"mmdebstrap": "mmdebstrap"} if need_image else {})}
    lacks = [
        f"{program} is not installed → make tools (or: apt-get install {package})"
        for program, package in wanted.items()
        if shutil.which(program) is None
    ]
    helpers = [Path(folder) / "netavark" for folder in HELPER_FOLDERS]
    if shutil.which("netavark") is None and not any(file.is_file() for file in helpers):
        lacks.append("netavark is not installed → make tools (or: apt-get install netavark)")
    return lacks


def _resources(memory_file: Path, storage: Path) -> list[str]:
    lacks = []
    total = next(
        int(line.split()[1]) / 1024**2
        for line in memory_file.read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    if total < MEMORY_GB:
        lacks.append(f"this machine has {total:.1f} GB of memory → give it 8 GB or more")
    while not storage.exists():
        storage = storage.parent
    free = shutil.disk_usage(storage).free / 1024**3
    if free < DISK_GB:
        lacks.append(f"{storage} has {free:.1f} GB free → make room for {DISK_GB:g} GB of containers")
    return lacks


def lacks(
    *,
    need_image: bool = True,
    filesystems: Path = Path("/proc/filesystems"),
    memory: Path = Path("/proc/meminfo"),
    storage: Path = Path("/var/lib/containers"),
) -> list[str]:
    """What is missing for the lab, one line each; empty when it can run.

    `need_image`: the base image must be built as well. The files are parameters for the tests.
    """
    found = []
    if os.geteuid() != 0:
        found.append("the lab starts system containers and networks and needs root → sudo -E xjops lab up")
    found += _programs(need_image)
    # a module that isn't loaded yet is loaded by podman itself; then its file is there
    if "overlay" not in filesystems.read_text().split() and not list(
        Path("/lib/modules").glob(f"{os.uname().release}/kernel/fs/overlayfs/*")
    ):
        found.append(
            "the kernel has no overlay file system → use a kernel with CONFIG_OVERLAY_FS (Debian's has)"
        )
    return found + _resources(memory, storage)


def require(*, need_image: bool = True, kernel: Path = Path("/proc/sys")) -> None:
    """Raise `MachineError` naming everything that is missing; then raise the kernel's limits as needed.

    The limits are raised until the next boot only, and never lowered.
    """
    if found := lacks(need_image=need_image) or _raise_limits(kernel):
        raise MachineError("", problems=tuple(found))


def _raise_limits(kernel: Path) -> list[str]:
    refused = []
    for name, wanted in LIMITS.items():
        file = kernel / name
        try:
            if int(file.read_text()) < wanted:
                file.write_text(f"{wanted}\n")
        except (OSError, ValueError) as error:
            key = name.replace("/", ".")
            refused.append(f"{key} can't be raised to {wanted} ({error}) → sysctl -w {key}={wanted}")
    return refused
