"""Snapshots of a lab: what each holds, which fit the lab as it is, and the one that a killed run left open.

| where | what |
|---|---|
| `<lab>/snapshots/<name>/manifest.json` | hosts, their layers, machines at vCenter, what it belongs to |
| `<lab>/snapshots/<name>/` | the storage's disk image, known_hosts (`<lab>` is `<state>/<site>/lab`) |
| `<lab>/snapshots/.open.json` | the take or restore under way; there when it was killed |
| `<podman's storage>/overlay/.xjops/<site>/` | the frozen file systems (`xjops.lab.layers`) |
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from xjops.core.errors import ConfigurationError, UsageError, XjopsError
from xjops.lab import image
from xjops.lab.credentials import lab_folder, ssh_folder
from xjops.lab.keys import write_private
from xjops.site import Site
from xjops.site.problems import similar

FORMAT = 1
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
KEPT_FREE = 1024**3  # bytes
Kind = Literal["snapshot", "restore"]


class SnapshotError(XjopsError):
    """A snapshot could not be taken or brought back; the message says how the lab stands."""


@dataclass(frozen=True)
class HostState:
    """A host in a snapshot: its layers (uppermost first), its base image's id, and whether it ran."""

    layers: tuple[str, ...]
    image: str
    running: bool
    address: str
    kind: str


@dataclass(frozen=True)
class Manifest:
    """One snapshot. `machines` are vCenter's by name (True: on), None when the lab had no vCenter.

    `image`, `site` and `secrets` say what it belongs to: the base image's name, and digests over the
    inventory and over what is secret (host file systems hold passwords, certificates and keys).
    """

    name: str
    taken: str
    seconds: float
    image: str
    site: str
    secrets: str
    hosts: dict[str, HostState]
    machines: dict[str, bool] | None
    disks: tuple[str, ...] = ()
    bytes: int = 0
    format: int = FORMAT

    def write(self, folder: Path) -> None:
        """Write it to `folder`."""
        write_private(folder / "manifest.json", json.dumps(asdict(self), indent=1).encode())


@dataclass(frozen=True)
class Open:
    """A take or restore under way. `layers` are what each host will stand on, its new layer first.

    `running` are the hosts that ran, `machines` as in `Manifest`.
    """

    kind: Kind
    name: str
    layers: dict[str, list[str]] = field(default_factory=dict)
    running: tuple[str, ...] = ()
    machines: dict[str, bool] | None = None

    @property
    def command(self) -> str:
        """What finishes it."""
        return f"xjops lab {self.kind} {self.name}"


def folder(site: str) -> Path:
    """The folder of the site's snapshots."""
    return lab_folder(site) / "snapshots"


def names(site: str) -> list[str]:
    """The snapshots there are, the oldest first."""
    found = folder(site).glob("[!.]*/manifest.json")
    return [path.parent.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def read(site: str, name: str) -> Manifest:
    """The snapshot `name`; `UsageError` when there is none, `SnapshotError` when it can't be read."""
    file = folder(site) / name / "manifest.json"
    if not NAME.fullmatch(name) or not file.is_file():
        there = [path.parent.name for path in folder(site).glob("[!.]*/manifest.json")]
        mend = similar(name, there) or "xjops lab snapshots"
        raise UsageError(f"{site} has no snapshot {name!r}", mend=mend)
    try:
        data: dict[str, Any] = json.loads(file.read_text())
        if data["format"] != FORMAT:
            raise SnapshotError(
                f"the snapshot {name} is of another version of xjops (format {data['format']}, not {FORMAT})",
                mend=f"xjops lab snapshots --delete {name}",
            )
        hosts = {
            host: HostState(**{**item, "layers": tuple(item["layers"])})
            for host, item in data.pop("hosts").items()
        }
        return Manifest(**{**data, "disks": tuple(data["disks"])}, hosts=hosts)
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"{file} can't be read: {error}", mend=f"xjops lab snapshots --delete {name}"
        ) from None


def latest(site: str) -> str:
    """The name of the newest snapshot; `UsageError` when there is none."""
    if not (found := names(site)):
        raise UsageError(f"{site} has no snapshot", mend="xjops lab snapshot")
    return found[-1]


def misfits(site: Site, manifest: Manifest) -> list[str]:
    """Why the snapshot doesn't belong to this lab as it is now, one line each; empty when it does."""
    reasons = []
    if manifest.image != image.name():
        reasons.append(f"its hosts are of the base image {manifest.image}, this is {image.name()}")
    if manifest.site != site_digest(site.folder):
        reasons.append(f"it was taken of another inventory than inventories/{site.name} is now")
    if manifest.secrets != secrets_digest(site):
        reasons.append("it was taken with other secrets (vault, certificates or keys were made anew)")
    return reasons


def check_fits(site: Site, manifest: Manifest) -> None:
    """Raise `ConfigurationError` with every reason why the snapshot can't be brought back here."""
    if reasons := misfits(site, manifest):
        mend = f"bring that back, or: xjops lab snapshots --delete {manifest.name}"
        lines = tuple(f"the snapshot {manifest.name} doesn't fit: {reason} → {mend}" for reason in reasons)
        raise ConfigurationError("", problems=lines)


def site_digest(inventory: Path) -> str:
    """A digest over what the inventory says of hosts and their values, the vault apart."""
    files = [inventory / "hosts.yml"]
    for part in ("group_vars", "host_vars"):
        files += [file for file in (inventory / part).rglob("*") if file.name != "vault.yml"]
    return _digest(inventory, files)


def secrets_digest(site: Site) -> str:
    """A digest over the vault, the certificates and the engineer's public key."""
    files = [site.folder / "group_vars" / "all" / "vault.yml", *(site.folder / "files").rglob("*")]
    key = (ssh_folder(site.name) / "id_ed25519.pub").read_bytes()
    return hashlib.sha256(_digest(site.folder, files).encode() + key).hexdigest()


def _digest(base: Path, files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in sorted(item for item in files if item.is_file()):
        total.update(f"{file.relative_to(base)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def _open_file(site: str) -> Path:
    return folder(site) / ".open.json"


def unfinished(site: str) -> Open | None:
    """The take or restore that a killed run left open."""
    try:
        data = json.loads(_open_file(site).read_text())
        return Open(**{**data, "running": tuple(data["running"])})
    except FileNotFoundError:
        return None


def begin(site: str, work: Open) -> None:
    """Note what is under way, before the lab is touched."""
    write_private(_open_file(site), json.dumps(asdict(work)).encode())


def finish(site: str) -> None:
    """Nothing is under way any more."""
    _open_file(site).unlink(missing_ok=True)


def refuse_unfinished(site: str) -> None:
    """Raise `SnapshotError` when a take or restore was killed: until it is finished this is half a lab."""
    if (work := unfinished(site)) is not None:
        raise SnapshotError(
            f"the {work.kind} {work.name} of the lab {site} was interrupted: its hosts are not whole",
            mend=f"{work.command} (finishes it)",
        )


def check_space(target: Path, needed: int) -> None:
    """Raise `SnapshotError` unless `target`'s file system has room for `needed` bytes, 1 GB kept free."""
    free = shutil.disk_usage(target).free
    if free < needed + KEPT_FREE:
        raise SnapshotError(
            f"{target} has {free / 1e9:.1f} GB free, {(needed + KEPT_FREE) / 1e9:.1f} GB are needed; "
            "nothing was changed",
            mend="xjops lab snapshots --delete NAME, or make room",
        )


def used_layers(site: str) -> set[str]:
    """The layers that snapshots stand on, those of an unfinished one included."""
    used = {
        layer
        for path in folder(site).glob("[!.]*/manifest.json")
        for host in read(site, path.parent.name).hosts.values()
        for layer in host.layers
    }
    work = unfinished(site)
    return used | {layer for chain in (work.layers.values() if work else ()) for layer in chain}
