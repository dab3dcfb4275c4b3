"""The storage host's disk: a sparse file with a file system of its own, as large as the site's storage.

Nothing is written until it is used: 4 TiB cost about 60 MB. A container's own file system is no use for a
brick: it has no `trusted.*` attributes, and its size is that of this machine.
"""

from __future__ import annotations

from pathlib import Path

from xjops.core.process import run

# Room for the file system's own tables, so that what is usable is at least what the site asks for.
OVERHEAD = 1.03


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
    partial = image.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with partial.open("wb") as stream:
        stream.truncate(size_gb * 1024**3)
    run(
        [
            "mkfs.ext4", "-q", "-F", "-T", "largefile4", "-m", "0", "-J", "size=32",
            "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", partial,
        ],
        seconds=120,
        mend="apt-get install e2fsprogs",
    )  # fmt: skip
    partial.rename(image)


def remove(folder: Path) -> None:
    """Unmount every disk below `folder`; the files go with the state folder."""
    for mount_point in sorted(folder.glob("*")):
        if mount_point.is_mount():
            run(["umount", mount_point], seconds=60, mend=f"fuser -vm {mount_point} tells who uses it")
