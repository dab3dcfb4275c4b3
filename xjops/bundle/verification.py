"""Is a bundle what was signed? Files against the manifest, the manifest against its signature.

Standard library only and Python 3.8 syntax: role package_repository ships this very file to the
repository host (roles/package_repository/module_utils), so that both sides apply one rule.

Beyond what gpgv proves, the signature file must be in the one form that gpg writes: gpgv accepts
changes in parts that are not signed (RFC 9580, 5.2.3: unhashed subpackets, the two check bytes,
armour), and a bundle with any byte changed is refused here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

MANIFEST = "manifest.json"
SIGNATURE = "manifest.json.asc"
GPGV_SECONDS = 30
_BLOCK = 1 << 20
_HASHES = {8: "sha256", 9: "sha384", 10: "sha512"}  # RFC 9580, 9.5


class Problem(NamedTuple):
    """One reason to refuse a bundle: the file (relative to the bundle) and what is wrong with it."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for block in iter(lambda: stream.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()


def files_below(folder: Path) -> dict[str, Path]:
    """Every entry below `folder` that is not a directory, by its relative path with slashes."""
    found = {}
    for where, folders, names in os.walk(folder):
        links = [name for name in folders if (Path(where) / name).is_symlink()]
        for name in (*names, *links):
            path = Path(where) / name
            found[path.relative_to(folder).as_posix()] = path
    return found


def verify(folder: Path, public_key: Path) -> tuple[dict[str, Any], list[Problem]]:
    """The manifest of the bundle in `folder` and every problem found; no problem: it is what was signed.

    A manifest whose signature is wrong is not read: it is reported alone, with an empty manifest.
    `OSError` when `public_key` or gpgv is missing.
    """
    problem = check_signature(folder, public_key)
    if problem:
        return {}, [problem]
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    return manifest, compare(folder, manifest)


def compare(folder: Path, manifest: dict[str, Any]) -> list[Problem]:
    """How the files in `folder` differ from `manifest`: missing, changed, extra; sorted by file."""
    wanted: dict[str, dict[str, Any]] = manifest["files"]
    present = files_below(folder)
    for name in (MANIFEST, SIGNATURE):
        present.pop(name, None)
    problems = [Problem(name, "missing") for name in wanted if name not in present]
    problems += [Problem(name, "extra: not in the manifest") for name in present if name not in wanted]
    common = sorted((name for name in wanted if name in present), key=lambda name: -wanted[name]["size"])
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        looked = pool.map(lambda name: Problem(name, _file(present[name], wanted[name])), common)
        problems += [problem for problem in looked if problem.what]
    return sorted(problems)


def _file(path: Path, wanted: dict[str, Any]) -> str:
    """What is wrong with one file; empty when nothing is."""
    if path.is_symlink() or not path.is_file():
        return "not a regular file"
    size = path.stat().st_size
    if size != wanted["size"]:
        return f"changed: {size} bytes instead of {wanted['size']}"
    return "" if sha256_of(path) == wanted["sha256"] else "changed: other SHA-256 than in the manifest"


def check_signature(folder: Path, public_key: Path) -> Problem | None:
    """What is wrong with the manifest's signature by `public_key` (OpenPGP, armoured or not), if anything."""
    keyring = dearmor(public_key.read_bytes(), "PUBLIC KEY BLOCK")
    for name in (MANIFEST, SIGNATURE):
        if (folder / name).is_symlink() or not (folder / name).is_file():
            return Problem(name, "missing")
    try:
        signature = dearmor((folder / SIGNATURE).read_bytes(), "SIGNATURE", exact=True)
    except ValueError as error:
        return Problem(SIGNATURE, f"not a signature as gpg writes it ({error})")
    status = _gpgv(keyring, signature, folder / MANIFEST)
    if "GOODSIG" not in status or "VALIDSIG" not in status:
        return _refusal(status)
    try:
        _exact(signature, (folder / MANIFEST).read_bytes(), status["VALIDSIG"].split()[0])
    except (ValueError, IndexError) as error:
        return Problem(SIGNATURE, f"changed ({error or 'cut off'})")
    return None


def _refusal(status: dict[str, str]) -> Problem:
    if "BADSIG" in status:
        return Problem(MANIFEST, f"it or its signature {SIGNATURE} was changed after signing")
    if "NO_PUBKEY" in status:
        return Problem(SIGNATURE, f"made by key {status['NO_PUBKEY']}, which is not the pinned key")
    for word in ("EXPKEYSIG", "REVKEYSIG", "EXPSIG"):
        if word in status:
            return Problem(SIGNATURE, f"no longer valid ({word})")
    return Problem(SIGNATURE, "not a valid signature of manifest.json")


def _gpgv(keyring: bytes, signature: bytes, signed: Path) -> dict[str, str]:
    """gpgv's status lines: keyword → the rest (GnuPG, doc/DETAILS)."""
    with tempfile.TemporaryDirectory(prefix="xjops-gpgv-") as name:
        folder = Path(name)
        (folder / "keyring.gpg").write_bytes(keyring)
        (folder / "signature").write_bytes(signature)
        result = subprocess.run(
            ["gpgv", "--homedir", name, "--status-fd", "1", "--keyring", str(folder / "keyring.gpg"),
             str(folder / "signature"), str(signed)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=GPGV_SECONDS, check=False,
        )  # fmt: skip
    lines = result.stdout.decode(errors="replace").splitlines()
    words = [line.split(" ", 2) for line in lines if line.startswith("[GNUPG:] ")]
    status = {parts[1]: parts[2] if len(parts) > 2 else "" for parts in words}
    if result.returncode:
        status.pop("GOODSIG", None)
    return status


def dearmor(data: bytes, kind: str, exact: bool = False) -> bytes:
    """The binary form of OpenPGP data; `kind` as in its BEGIN line.

    `exact`: it must be armoured, byte for byte as gpg does it. `ValueError` when it is not what it should be.
    """
    begin, end = f"-----BEGIN PGP {kind}-----", f"-----END PGP {kind}-----"
    if not exact and data[:1] and data[0] & 0x80:
        return data
    try:
        lines = data.decode("ascii").split("\n")
        start, stop = lines.index(begin), lines.index(end)
        body = [line for line in lines[lines.index("", start) : stop] if line and not line.startswith("=")]
        binary = base64.b64decode("".join(body), validate=True)
    except (ValueError, binascii.Error):
        raise ValueError(f"no OpenPGP {kind.lower()}") from None
    if exact and armor(binary, kind) != data:
        raise ValueError("armour differs")
    return binary


def armor(binary: bytes, kind: str) -> bytes:
    """`binary` in OpenPGP armour, as gpg writes it (RFC 9580, 6.2)."""
    text = base64.b64encode(binary).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    check = base64.b64encode(_crc24(binary).to_bytes(3, "big")).decode()
    return "\n".join(
        [f"-----BEGIN PGP {kind}-----", "", *lines, f"={check}", f"-----END PGP {kind}-----", ""]
    ).encode()


def _crc24(data: bytes) -> int:
    """RFC 9580, 6.1.1."""
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc <<= 1
            if crc & 0x1000000:
                crc ^= 0x1864CFB
    return crc & 0xFFFFFF


def _exact(packet: bytes, signed: bytes, fingerprint: str) -> None:
    """Raise `ValueError` unless the unsigned parts of a version 4 signature are what gpg writes.

    Header, hashed part (covered by the signature), one unhashed subpacket (issuer key ID),
    the first two bytes of the digest, and numbers with their exact bit counts.
    """
    wide = packet[0] == 0x89
    body = packet[3:] if wide else packet[2:]
    length = int.from_bytes(packet[1:3] if wide else packet[1:2], "big")
    if packet[0] not in (0x88, 0x89) or length != len(body) or (wide and length < 256):
        raise ValueError("packet header")
    hashed = body[: 6 + int.from_bytes(body[4:6], "big")]
    rest = body[len(hashed) :]
    if rest[:12] != b"\x00\x0a\x09\x10" + bytes.fromhex(fingerprint[-16:]):
        raise ValueError("unsigned part")
    digest = hashlib.new(_HASHES[body[3]]) if body[3] in _HASHES else None
    if digest is None or body[:2] != b"\x04\x00":
        raise ValueError("kind of signature")
    digest.update(signed + hashed + b"\x04\xff" + len(hashed).to_bytes(4, "big"))
    if rest[12:14] != digest.digest()[:2]:
        raise ValueError("check bytes")
    _numbers(rest[14:])


def _numbers(data: bytes) -> None:
    """Raise `ValueError` unless `data` is one or more OpenPGP numbers with exact bit counts."""
    while True:
        bits = int.from_bytes(data[:2], "big")
        value, data = data[2 : 2 + (bits + 7) // 8], data[2 + (bits + 7) // 8 :]
        if not bits or int.from_bytes(value, "big").bit_length() != bits:
            raise ValueError("numbers")
        if not data:
            return
