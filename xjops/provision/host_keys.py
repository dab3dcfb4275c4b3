"""Learn the SSH host keys of virtual machines from vCenter, never from the network.

A machine tells its own key through VMware Tools: a unit of the template runs
``vmware-rpctool "info-set guestinfo.xjops.ssh_host_key $(cat /etc/ssh/ssh_host_ed25519_key.pub)"`` at
every boot; in the lab the lab's agent does. Only a machine that carries the site's mark is heard, and
only for its own planned address, so a guest can speak for nobody but itself.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from xjops.adapters.ssh import known_hosts
from xjops.adapters.vcenter import VCenter
from xjops.core.errors import XjopsError
from xjops.core.locking import lock
from xjops.provision.model import Progress
from xjops.site.model import Host, Site

_POLL_SECONDS = 0.5
_KEY = re.compile(
    r"(?P<kind>ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(?:256|384|521)) (?P<body>[A-Za-z0-9+/]+=*)(?: .*)?"
)


class HostKeyError(XjopsError):
    """A machine gave no usable host key."""


@dataclass(frozen=True)
class Learned:
    """Names of machines by what became of their key."""

    added: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()  # known with another key before: made anew
    kept: tuple[str, ...] = ()


def learn(session: VCenter, names: Iterable[str] | None, *, seconds: float, progress: Progress) -> Learned:
    """Read the keys until all are there or `seconds` are over, and remember them; see the package."""
    site = session.site
    chosen = None if names is None else set(names)
    left = {host.name: host for host in site.virtual_machines if chosen is None or host.name in chosen}
    keys: dict[Host, str] = {}
    reasons: dict[str, str] = {}
    end = time.monotonic() + seconds
    while left:
        for machine in session.machines():
            host = left.get(machine.name)
            if host is None or machine.site != site.name or machine.template:
                continue
            if machine.host_key is None:
                reasons[host.name] = "set none"
                continue
            try:
                keys[host] = parse(machine.host_key)
            except ValueError as error:
                reasons[host.name] = str(error)
                continue
            progress(host.name, "host-key", keys[host].split()[0])
            del left[host.name]
        if not left or time.monotonic() >= end:
            break
        time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))
    learned = remember(site, keys)
    if left:
        text = ", ".join(f"{name} ({reasons.get(name, 'is not there')})" for name in left)
        raise HostKeyError(
            f"no SSH host key from vCenter within {seconds:g} s: {text}",
            mend="xjops lab status"
            if site.site.kind == "lab"
            else "does the template's unit set guestinfo.xjops.ssh_host_key? (docs/guide/vcenter.md)",
        )
    return learned


def parse(text: str) -> str:
    """Kind and body of a public key line, without its comment; ValueError says what is wrong with it."""
    match = _KEY.fullmatch(text.strip())
    if match is None:
        raise ValueError("set something that is no public key")
    try:
        body = base64.b64decode(match["body"], validate=True)
    except binascii.Error:
        raise ValueError("set a damaged public key") from None
    kind = match["kind"].encode()
    if body[:4] != len(kind).to_bytes(4) or body[4 : 4 + len(kind)] != kind:
        raise ValueError("set a damaged public key")
    return f"{match['kind']} {match['body']}"


def remember(site: Site, keys: Mapping[Host, str]) -> Learned:
    """Write host keys ("ssh-ed25519 AAAA…") to the site's known_hosts; other hosts' lines stay.

    The file is replaced whole, under a lock, so that nobody ever reads half of it.
    """
    if not keys:
        return Learned()
    added: list[str] = []
    replaced: list[str] = []
    kept: list[str] = []
    with _changing(known_hosts(site)) as lines:
        for host, key in keys.items():
            old = [item for item in lines if _speaks_of(item, _names(host))]
            if any(item.split()[1:3] == key.split() for item in old):
                kept.append(host.name)
            else:
                (replaced if old else added).append(host.name)
            lines[:] = [item for item in lines if item not in old] + [f"{','.join(_names(host))} {key}"]
    return Learned(tuple(added), tuple(replaced), tuple(kept))


def forget(site: Site, names: Iterable[str]) -> tuple[str, ...]:
    """Take the keys of deleted machines out of the site's known_hosts; the names that had one.

    A machine that is no longer in the inventory is found by its name alone: its address may be another
    host's by now. The name of a physical machine is left alone.
    """
    inventory = {host.name: host for host in site.hosts}
    virtual = {host.name for host in site.virtual_machines}
    gone = []
    file = known_hosts(site)
    if not file.is_file():
        return ()
    with _changing(file) as lines:
        for name in names:
            if name in inventory and name not in virtual:
                continue
            spoken = _names(inventory[name]) if name in inventory else [name]
            if any(_speaks_of(line, spoken) for line in lines):
                gone.append(name)
            lines[:] = [line for line in lines if not _speaks_of(line, spoken)]
    return tuple(gone)


@contextmanager
def _changing(file: Path) -> Iterator[list[str]]:
    """The lines of known_hosts, written back as the block leaves them, if it ends well."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lock(
        file.with_name("known_hosts.lock"), what="change of known_hosts", seconds=10, mend=f"rm {file}.lock"
    ):
        before = file.read_text().splitlines() if file.is_file() else []
        lines = list(before)
        yield lines
        if lines == before and file.is_file():
            return
        partial = file.with_name(f".known_hosts.{os.getpid()}")
        partial.write_text("".join(f"{line}\n" for line in lines))
        partial.chmod(0o600)
        partial.rename(file)


def _names(host: Host) -> list[str]:
    """How OpenSSH looks the host up: with its port unless that is 22."""
    plain = [str(host.address), host.name]
    return plain if host.port == 22 else [f"[{name}]:{host.port}" for name in plain]


def _speaks_of(line: str, names: Iterable[str]) -> bool:
    first = line.split(" ", 1)[0]
    return not line.startswith("#") and not set(first.split(",")).isdisjoint(names)
