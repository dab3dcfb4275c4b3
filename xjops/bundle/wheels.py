"""Wheels of pinned requirements, fetched by pip, which checks every hash."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xjops.bundle.verification import sha256_of
from xjops.core.errors import ConfigurationError, XjopsError
from xjops.core.process import run
from xjops.core.progress import Progress, silent

# The hosts' Python and C library: Debian 12.
PYTHON, GLIBC_MINOR = "3.11", 36
PLATFORMS = (
    *(f"manylinux_2_{minor}_x86_64" for minor in range(GLIBC_MINOR, 4, -1)),
    "manylinux2014_x86_64",
    "manylinux2010_x86_64",
    "manylinux1_x86_64",
)
DOWNLOAD_SECONDS = 900


@dataclass(frozen=True)
class Requirement:
    """One pinned requirement: its name (as written), version, allowed SHA-256 sums, and its own text."""

    name: str
    version: str
    hashes: frozenset[str]
    text: str


def parse(path: Path) -> list[Requirement]:
    """The requirements of a file made by ``uv pip compile --generate-hashes``.

    `ConfigurationError` names the first line that is not pinned or has no hash.
    """
    logical = path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    found = []
    for line in logical:
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        name, pinned, version = words[0].partition("==")
        hashes = frozenset(
            word[len("--hash=sha256:") :] for word in words if word.startswith("--hash=sha256:")
        )
        if not pinned or not hashes:
            raise ConfigurationError(
                f"At '{words[0]}' ({path.name}): not pinned with a hash",
                mend=f"uv pip compile --generate-hashes {path.stem}.in -o {path.name}",
            )
        # Environment markers stand between version and hashes; pip decides them, on the hosts' Python.
        found.append(Requirement(name, version, hashes, " ".join(words)))
    return found


def collect(requirements: Sequence[Requirement], cache: Path, progress: Progress = silent) -> dict[str, Path]:
    """The wheel of every requirement by its name, from `cache` or downloaded into it.

    Raises `XjopsError` naming the requirement for which there is no wheel with an allowed hash.
    """
    cache.mkdir(parents=True, exist_ok=True)
    have = _cached(cache)
    missing = [item for item in requirements if not item.hashes & have.keys()]
    if missing:
        progress("wheels", "download", f"{len(missing)} of {len(requirements)}")
        _download(missing, cache)
        have = _cached(cache)
    found = {}
    for item in requirements:
        matching = sorted(item.hashes & have.keys())
        if not matching:
            raise XjopsError(f"pip brought no wheel for {item.name}=={item.version}", mend="run it again")
        found[item.name] = have[matching[0]]
    return found


def _cached(cache: Path) -> dict[str, Path]:
    return {sha256_of(path): path for path in sorted(cache.glob("*.whl"))}


def _download(requirements: Sequence[Requirement], cache: Path) -> None:
    listing = cache / "wanted.txt"
    listing.write_text("".join(f"{item.text}\n" for item in requirements), encoding="utf-8")
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
         "--require-hashes", "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON,
         *platforms, "--dest", cache, "-r", listing],
        seconds=DOWNLOAD_SECONDS,
        mend="check the network of this machine (pip), then run it again",
    )  # fmt: skip
