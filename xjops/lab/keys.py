"""SSH keys of the lab: one key for the engineer, one host key a host, and known_hosts that names them all.

Host keys are made here and given to the hosts, so that no connection ever has to trust an unknown one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

# OpenSSH's own options: never ask, never learn an unknown key
SSH_OPTIONS = ("StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=5", "IdentitiesOnly=yes")


def write_private(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Write `content` whole or not at all, readable as `mode` says from the first byte."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    partial.rename(file)


def ensure_key(file: Path, comment: str) -> str:
    """An Ed25519 key pair at `file` and `file`.pub, made when missing; returns the public line."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    public = file.with_name(file.name + ".pub")
    if not (file.is_file() and public.is_file()):
        key = Ed25519PrivateKey.generate()
        line = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        write_private(
            file,
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.OpenSSH,
                serialization.NoEncryption(),
            ),
        )
        write_private(public, line + b" " + comment.encode() + b"\n", 0o644)
    return public.read_text().strip()


def known_hosts_line(names: Iterable[str], public_key: str) -> str:
    """One line of known_hosts: the names and addresses of a host and its key, without the comment."""
    return f"{','.join(names)} {' '.join(public_key.split()[:2])}"


def write_known_hosts(file: Path, lines: Iterable[str]) -> None:
    """Write known_hosts whole; nothing changes when it already says the same."""
    text = "".join(f"{line}\n" for line in lines)
    if not file.is_file() or file.read_text() != text:
        write_private(file, text.encode())


def ssh_words(folder: Path, user: str, address: str) -> list[str]:
    """The ssh command that reaches a host with the key and known_hosts of `folder`."""
    options = [*SSH_OPTIONS, f"UserKnownHostsFile={folder / 'known_hosts'}", "GlobalKnownHostsFile=/dev/null"]
    words = ["ssh", "-i", str(folder / "id_ed25519")]
    for option in options:
        words += ["-o", option]
    return [*words, f"{user}@{address}"]
