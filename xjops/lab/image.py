"""The base image of every lab host: Debian 12 as a fresh machine has it, nothing of ours but the account.

Built once by mmdebstrap and kept as `<cache>/lab/base-<digest of the recipe>.tar`; a changed recipe makes
a new one. Podman knows it as `localhost/xjops-base:<digest>`.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from xjops.core import paths
from xjops.core.process import run
from xjops.lab.podman import podman, succeeds

FILES = Path(__file__).parent / "image_files"
SUITE = "bookworm"
PACKAGES = (
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "python3-apt",
    "sudo",
    "iproute2",
    "ca-certificates",
    "nftables",
)
# A throw-away host need not survive a power cut, and nobody reads manuals there.
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
)
BUILD_SECONDS = 1200


def digest() -> str:
    """Twelve hexadecimal digits that change with the recipe: packages, options, files, mirror."""
    recipe = hashlib.sha256(repr((SUITE, PACKAGES, DPKG_OPTIONS, _mirror())).encode())
    for file in sorted(FILES.iterdir()):
        recipe.update(file.name.encode() + b"\0" + file.read_bytes())
    return recipe.hexdigest()[:12]


def name() -> str:
    """The image's name for podman."""
    return f"localhost/xjops-base:{digest()}"


def tarball() -> Path:
    """Where the image's file tree is cached."""
    return paths.cache() / "lab" / f"base-{digest()}.tar"


def _mirror() -> list[str]:
    """Debian's own mirror (with updates and security), or the one named by XJOPS_DEBIAN_MIRROR."""
    mirror = os.environ.get("XJOPS_DEBIAN_MIRROR")
    return [mirror] if mirror else []


@contextmanager
def _lock() -> Iterator[None]:
    """Two runs at once: the second waits and then finds the image."""
    file = paths.cache() / "lab" / "base.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _build(target: Path) -> None:
    partial = target.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--format=tar",
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt={option}" for option in DPKG_OPTIONS),
            '--aptopt=Acquire::Languages "none"',
            f'--customize-hook=sh {FILES}/customize.sh "$1" {FILES}',
            SUITE,
            partial,
            *_mirror(),
        ],
        seconds=BUILD_SECONDS,
        mend="look at the package mirror (XJOPS_DEBIAN_MIRROR names another), then run again",
    )
    partial.rename(target)


def cached() -> bool:
    """Whether the image needs no building (its file tree is there)."""
    return tarball().is_file()


def ensure(say: Callable[[str], None] = lambda _: None) -> str:
    """Make the image ready and return its name; `say` gets a line for every step that takes long."""
    image = name()
    if succeeds("image", "exists", image):
        return image
    with _lock():
        if not cached():
            say("base image: building (about 2 minutes, only the first time)")
            _build(tarball())
        if not succeeds("image", "exists", image):
            say("base image: importing")
            podman("import", "--change", 'CMD ["/sbin/init"]', tarball(), image, seconds=180)
    return image
