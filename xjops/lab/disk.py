"""The storage host's disk: a sparse file with a file system of its own, as large as the site's storage.

Nothing is written until it is used: 4 TiB cost about 60 MB. A container's own file system is no use for a
brick: it has no `trusted.*` attributes, and its size is that of this machine.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from xjops.core.process import run
from xjops.core.waiting import wait_for

# Room for the file system's own tables, so that what is usable is at least what the site asks for.
OVERHEAD = 1.03

LET_GO_SECONDS = 20.0


def can_loop() -> bool:
    """Whether this machine has a free loop device."""
    return run(["losetup", "--find"], seconds=10, check=False).returncode == 0


def ensure(folder: Path, name: str, size_gb: int) -> Path:
    """The mounted disk `name` below `folder`, made and mounted when it isn't; returns its mount point."""
    image, mount_point = folder / f"{name}.img", folder / name
    mount_point.mkdir(parents=True, exist_ok=True, mode=0o755)
    if mount_point.is_mount():
        return mount_point
    if not image.is_file():
        _make(image, round(size_gb * OVERHEAD))
    run(["mount", "-o", "loop", image, mount_point], seconds=60)
    return mount_point


def _make(image: Path, size_gb: int) -> None:
    new = image.with_suffix(".partial")
    new.unlink(missing_ok=True)
    with new.open("wb") as stream:
        stream.truncate(size_gb * 1024**3)
    run(
        [
            "mkfs.ext4", "-q", "-F", "-T", "largefile4", "-m", "0", "-J", "size=32",
            "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", new,
        ],
        seconds=120,
        mend="apt-get install e2fsprogs",
    )  # fmt: skip
    new.rename(image)


def detach(folder: Path) -> list[Path]:
    """Unmount every disk below `folder`, so that its file system is whole; the image files.

    Raises `DeadlineError` when something else still has one open.
    """
    remove(folder)
    images = sorted(folder.glob("*.img"))
    for image in images:
        wait_for(
            partial(_let_go, image), what=f"the end of the use of {image}", seconds=LET_GO_SECONDS,
            mend=f"losetup -j {image}",
        )  # fmt: skip
    return images


def _let_go(image: Path) -> bool | None:
    return None if run(["losetup", "--associated", image], seconds=10).stdout else True


def copy(source: Path, target: Path, *, seconds: float) -> None:
    """Copy the image of a detached disk without its holes, whole or not at all."""
    new = target.with_suffix(".copying")
    run(["cp", "--sparse=always", source, new], seconds=seconds)
    new.rename(target)


def weight(image: Path) -> int:
    """Bytes that an image really takes."""
    return image.stat().st_blocks * 512


def remove(folder: Path) -> None:
    """Unmount every disk below `folder`; the files go with the state folder."""
    for mount_point in sorted(folder.glob("*")):
        if mount_point.is_mount():
            run(["umount", mount_point], seconds=60, mend=f"fuser -vm {mount_point} tells who uses it")
