"""A flat apt repository of the bundle's packages, signed by the bundle's key."""

from __future__ import annotations

from pathlib import Path

from xjops.bundle.signing import Signer
from xjops.core.process import run

MEND = "apt-get install apt-utils"
# One strong hash is what apt needs; fewer hashes build faster.
HASHES = [word for name in ("MD5", "SHA1", "SHA512") for word in ("-o", f"APT::FTPArchive::{name}=false")]


def index(folder: Path, database: Path, release: str, architecture: str, signer: Signer) -> None:
    """Write Packages, Packages.gz, Release and InRelease for the .deb files in `folder`.

    `database` is apt-ftparchive's cache of what it read from packages before.
    """
    packages = run(
        ["apt-ftparchive", *HASHES, "--db", str(database), "packages", "."],
        cwd=folder,
        seconds=300,
        mend=MEND,
    ).stdout
    (folder / "Packages").write_bytes(packages)
    (folder / "Packages.gz").write_bytes(_gzip(packages))
    names = {
        "Origin": "xjops",
        "Label": "xjops bundle",
        "Suite": "bundle",
        "Codename": release,
        "Architectures": f"{architecture} all",
        "Description": "What the hosts of a site install from",
    }
    options = [
        word for key, value in names.items() for word in ("-o", f"APT::FTPArchive::Release::{key}={value}")
    ]
    text = run(
        ["apt-ftparchive", *HASHES, *options, "release", "."], cwd=folder, seconds=60, mend=MEND
    ).stdout
    (folder / "Release").write_bytes(text)
    signer.clear(folder / "Release", folder / "InRelease")


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)
