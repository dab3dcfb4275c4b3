"""Hosts' file systems frozen and brought back without copying a byte.

A container's own files are the upper folder (`diff`) of an overlay mount. Freezing renames that folder into
a store of the lab's and gives the container an empty one; the frozen folder becomes a read-only layer below
it. containers/storage itself mounts what is called `diff1`, `diff2`, … beside a container's `diff`, in this
order, between `diff` and the image. Here these are links into the store, so a layer serves any number of
snapshots and outlives its container. Bringing back is an empty `diff` above other links.

What an overlay can't do, it can't do here either: a hard link of two names in a layer is broken by the first
change. Folders of a layer can be renamed, because the lab mounts with `redirect_dir` (`xjops.lab.podman`).

The containers must be stopped: every function here refuses a mounted one.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from xjops.core.errors import XjopsError

MAX_LAYERS = 30  # a mount's options have room for about three times as many
TRASH = ".trash"


class LayerError(XjopsError):
    """A container's file system is not in the state that it must be in."""


def store(graph_root: Path, site: str) -> Path:
    """The folder of a lab's layers. Podman mounts `overlay` onto itself: only inside it can be renamed."""
    return graph_root / "overlay" / ".xjops" / site


@dataclass(frozen=True)
class Rootfs:
    """The folder of one container's own file system: `<graph root>/overlay/<id>`."""

    host: str
    folder: Path

    @property
    def upper(self) -> Path:
        """Where what the container writes ends."""
        return self.folder / "diff"

    def mounted(self, mounts: Path = Path("/proc/self/mounts")) -> bool:
        """Whether the container's file system is mounted."""
        target = str(self.folder / "merged")
        return any(line.split()[1] == target for line in mounts.read_text().splitlines())

    def check_stands(self, mounts: Path = Path("/proc/self/mounts")) -> None:
        """Raise `LayerError` when the running container's mount has fewer layers than it stands on.

        That containers/storage mounts them is written in its source only.
        """
        target, wanted = str(self.folder / "merged"), len(self.chain())
        for line in mounts.read_text().splitlines():
            if line.split()[1] == target and wanted and f"/diff{wanted}" not in line:
                raise LayerError(
                    f"podman started {self.host} without the {wanted} layers of its snapshot",
                    mend="this podman can't do it: xjops lab down --purge, then make up",
                )

    def check_unmounted(self) -> None:
        """Raise `LayerError` while the container's file system is mounted."""
        if self.mounted():
            raise LayerError(
                f"the file system of {self.host} is still mounted", mend="xjops lab down, then again"
            )

    def chain(self) -> list[str]:
        """The store's layers below `diff`, the uppermost first."""
        names = []
        for number in range(1, MAX_LAYERS + 2):
            link = self.folder / f"diff{number}"
            if not link.is_symlink():
                if link.exists():
                    raise LayerError(f"{link} is not the lab's", mend=f"xjops lab up --recreate {self.host}")
                break
            names.append(link.readlink().name)
        return names

    def set_chain(self, store: Path, chain: Sequence[str]) -> None:
        """Have exactly these layers below `diff`; may be done again after it was interrupted."""
        for number, name in enumerate(chain, 1):
            partial = self.folder / ".diff-link"
            partial.unlink(missing_ok=True)
            partial.symlink_to(store / name)
            partial.rename(self.folder / f"diff{number}")
        number = len(chain) + 1
        while (link := self.folder / f"diff{number}").is_symlink():
            link.unlink()
            number += 1

    def freeze(self, store: Path, chain: Sequence[str]) -> None:
        """Make what is in `diff` the layer ``chain[0]`` of the store, above the others of `chain`.

        May be done again after it was interrupted, as long as the container was not started meanwhile.
        """
        self.check_unmounted()
        layer = store / chain[0]
        if not layer.exists():
            _rename(self.upper, layer)
        self._ensure_upper(layer)
        self.set_chain(store, chain)

    def reset(self, store: Path, chain: Sequence[str]) -> None:
        """Throw away what is in `diff`, and stand on `chain`; what is thrown away is in the trash."""
        self.check_unmounted()
        if self.upper.exists():
            trash = store / TRASH
            trash.mkdir(parents=True, exist_ok=True, mode=0o700)
            _rename(self.upper, trash / uuid.uuid4().hex)
        self._ensure_upper(store / chain[0])
        self.set_chain(store, chain)

    def _ensure_upper(self, like: Path) -> None:
        """An empty `diff` whose owner and mode are those of `like`: they are the host's root folder's."""
        if not self.upper.exists():
            about = like.stat()
            partial = self.folder / ".diff-new"
            partial.mkdir(exist_ok=True)
            os.chown(partial, about.st_uid, about.st_gid)
            partial.chmod(about.st_mode & 0o7777)
            partial.rename(self.upper)

    def file(self, store: Path, path: str) -> Path | None:
        """Where a file of the stopped host is, by its path without the leading slash; None in the image only.

        Whiteouts (deleted files) count as files that are not there.
        """
        for layer in (self.upper, *(store / name for name in self.chain())):
            found = layer / path
            if found.is_file():
                return found
            if found.is_char_device():
                return None
        return None


def _rename(folder: Path, target: Path) -> None:
    try:
        folder.rename(target)
    except OSError as error:
        raise LayerError(
            f"{folder} can't be renamed to {target}: {error.strerror}", mend="keep both in one file system"
        ) from None


def unused(store: Path, used: Collection[str]) -> list[Path]:
    """The layers of the store that nothing stands on."""
    if not store.is_dir():
        return []
    return [item for item in store.iterdir() if item.name != TRASH and item.name not in used]


def throw_away(store: Path, layers: Collection[Path] = ()) -> None:
    """Remove these layers and all that is in the trash."""
    trash = store / TRASH
    for layer in layers:
        trash.mkdir(parents=True, exist_ok=True, mode=0o700)
        layer.rename(trash / uuid.uuid4().hex)  # never half a layer under its name
    shutil.rmtree(trash, ignore_errors=True)
