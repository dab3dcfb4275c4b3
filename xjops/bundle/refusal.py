"""Verify a bundle and refuse it with errors that name the file."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from xjops.bundle import verification
from xjops.bundle.verification import MANIFEST, SIGNATURE, Problem
from xjops.core.errors import ConfigurationError, NotRunError, XjopsError

REBUILD = "xjops bundle build"


class BundleError(XjopsError):
    """The bundle is not what was signed, or is not there; `problems` says every file."""

    def __init__(self, folder: Path, problems: tuple[Problem, ...], *, mend: str = REBUILD) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"bundle {folder} refused: {problems[0]}{more}", mend=mend)
        self.folder = folder
        self.problems = problems


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: its folder, when it was made (ISO 8601, UTC), what it was made from, its files.

    `digest`: SHA-256 (hex) of the manifest, which stands for all of it.
    """

    folder: Path
    created: str
    inputs: str
    files: dict[str, dict[str, int | str]]
    digest: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(int(entry["size"]) for entry in self.files.values())


def verify(folder: Path, public_key: Path) -> Bundle:
    """Check every file of the bundle in `folder` against its manifest, and that against `public_key`.

    Raises `BundleError` naming each missing, changed or extra file, or the signature;
    `ConfigurationError` when `public_key` is no OpenPGP key; `NotRunError` without gpgv.
    """
    if not folder.is_dir():
        raise XjopsError(f"no bundle at {folder}", mend=REBUILD)
    if not (folder / MANIFEST).exists() and not (folder / SIGNATURE).exists():
        raise XjopsError(f"no complete bundle at {folder}: {MANIFEST} is missing", mend=REBUILD)
    try:
        verification.dearmor(public_key.read_bytes(), "PUBLIC KEY BLOCK")
    except FileNotFoundError:
        raise ConfigurationError(
            f"no public key {public_key}", mend="xjops bundle build (it makes and pins the site's key)"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"{public_key} is no OpenPGP public key ({error})", mend="pin the right key"
        ) from None
    try:
        manifest, problems = verification.verify(folder, public_key)
    except FileNotFoundError:
        raise NotRunError("gpgv is not installed", mend="apt-get install gpgv") from None
    if problems:
        raise BundleError(folder, tuple(problems))
    digest = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    return Bundle(
        folder, str(manifest["created"]), str(manifest.get("inputs", "")), manifest["files"], digest
    )
