"""A lab host as a container: what it is given at its first start, and the words podman needs to run it."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from xjops.lab.keys import write_private
from xjops.lab.podman import labels, machine_has

USER = "xjops"
USER_ID = 1000
# Own firewall, FUSE mounts, hardened units (they need mount namespaces), sudo's audit messages, VRRP.
WANTED_CAPABILITIES = (
    "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYS_NICE", "SYS_RESOURCE", "AUDIT_WRITE",
)  # fmt: skip
SHARED_MEMORY = "256m"  # PostgreSQL's dynamic shared memory; podman's default of 64 MB is too small


@dataclass(frozen=True)
class File:
    """A file laid down at the guest's first start: absolute path without the leading slash."""

    path: str
    content: bytes
    mode: int = 0o644
    owner: int = 0


@dataclass(frozen=True)
class Guest:
    """One host to start: its addresses by podman network, its mounts and devices."""

    name: str
    container: str
    addresses: Mapping[str, IPv4Address]
    labels: Mapping[str, str]
    volumes: Sequence[str] = ()
    devices: Sequence[str] = ()
    command: Sequence[str] = ("/sbin/init",)
    files: Sequence[File] = field(default=())


def ssh_files(private_key: bytes, public_key: str, authorized_key: str) -> list[File]:
    """The host's own key and the one key that may log in."""
    return [
        File("etc/ssh/ssh_host_ed25519_key", private_key, 0o600),
        File("etc/ssh/ssh_host_ed25519_key.pub", public_key.encode() + b"\n"),
        File(f"home/{USER}/.ssh/authorized_keys", authorized_key.encode() + b"\n", 0o600, USER_ID),
    ]


def fuse() -> list[str]:
    """The device that mounts the shared storage, where this machine has it."""
    return ["/dev/fuse"] if Path("/dev/fuse").exists() else []


def hosts_file(name: str, address: IPv4Address) -> File:
    """/etc/hosts of a host that knows only itself; roles add the others."""
    return File("etc/hosts", f"127.0.0.1 localhost\n{address} {name}\n".encode())


def write_seed(target: Path, files: Sequence[File]) -> Path:
    """The guest's first-start files as a tar at `target` (0600); the image's xjops-guest unit unpacks it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        home = tarfile.TarInfo(f"home/{USER}/.ssh")
        home.type, home.mode, home.uid, home.gid = tarfile.DIRTYPE, 0o700, USER_ID, USER_ID
        archive.addfile(home)
        for item in files:
            entry = tarfile.TarInfo(item.path)
            entry.mtime = int(time.time())
            entry.size, entry.mode, entry.uid, entry.gid = (
                len(item.content),
                item.mode,
                item.owner,
                item.owner,
            )
            archive.addfile(entry, io.BytesIO(item.content))
    write_private(target, buffer.getvalue())
    return target


def mac(address: IPv4Address) -> str:
    """A locally administered MAC address made of the IPv4 address: a host that comes again is found at once.

    With a new random one, the neighbours' ARP caches would hide a restarted host for several seconds.
    """
    return "0a:58:" + ":".join(f"{byte:02x}" for byte in address.packed)


def run_words(guest: Guest, image: str, seed: Path) -> list[str]:
    """The words after ``podman run --detach --name NAME`` that make this host."""
    words = ["--hostname", guest.name, "--no-hosts", "--dns", "none", *labels(guest.labels)]
    for number, (network, address) in enumerate(guest.addresses.items()):
        words += ["--network", f"{network}:ip={address},mac={mac(address)},interface_name=eth{number}"]
    for capability in WANTED_CAPABILITIES:
        if machine_has(capability):
            words += ["--cap-add", capability]
    # Debian's AppArmor profile for containers forbids mounting, which hardened units and FUSE need
    words += ["--security-opt", "apparmor=unconfined", "--shm-size", SHARED_MEMORY, "--pids-limit", "8192"]
    for device in guest.devices:
        words += ["--device", device]
    for volume in (f"{seed}:/var/lib/xjops-guest/seed.tar:ro", *guest.volumes):
        words += ["--volume", volume]
    if guest.command[0].endswith("/init"):
        words.append("--systemd=always")
    else:
        words += ["--stop-signal", "SIGKILL"]  # as process 1 it would ignore SIGTERM
    return [*words, image, *guest.command]
