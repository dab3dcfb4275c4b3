"""An append-only file of JSON lines, each carrying the hash of the one before it.

A line that is changed, removed or inserted breaks the chain, and `verify` names it. What was cut off
the end leaves no trace in the file itself: compare `head` with a copy kept elsewhere.
A line torn by a killed process is kept as a `torn` entry, never silently dropped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xjops.core.errors import XjopsError

GENESIS = "0" * 64


class JournalError(XjopsError):
    """The journal's chain is broken."""


@dataclass(frozen=True)
class Entry:
    """One line: `hash` is the SHA-256 (hex) over all the rest, `previous` the hash of the line before."""

    sequence: int
    previous: str
    data: dict[str, Any]
    hash: str


def _digest(sequence: int, previous: str, data: Mapping[str, Any]) -> str:
    text = json.dumps([sequence, previous, data], ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Journal:
    """The journal in one file; safe for several processes at once (an advisory lock on the file)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, data: Mapping[str, Any]) -> Entry:
        """Add `data` (JSON values) as the next entry, on disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            sequence, previous, torn = _tail(file.read())
            if torn:
                file.write(b"\n")
                sequence, previous = self._write(file, sequence, previous, {"event": "torn", "text": torn})
            entry = Entry(sequence, previous, dict(data), _digest(sequence, previous, data))
            self._write(file, sequence, previous, entry.data)
            file.flush()
            os.fsync(file.fileno())
        return entry

    @staticmethod
    def _write(file: Any, sequence: int, previous: str, data: Mapping[str, Any]) -> tuple[int, str]:
        digest = _digest(sequence, previous, data)
        entry = Entry(sequence, previous, dict(data), digest)
        file.write(json.dumps(asdict(entry), ensure_ascii=False).encode() + b"\n")
        return sequence + 1, digest

    def entries(self) -> Iterator[Entry]:
        """Every whole entry, oldest first; torn remains of a killed write are passed over."""
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines():
            entry = _parse(line)
            if entry is not None:
                yield entry

    def verify(self) -> int:
        """The number of entries when the chain holds; `JournalError` naming the first line that breaks it."""
        count, previous = 0, GENESIS
        lines = self.path.read_bytes().splitlines() if self.path.exists() else []
        torn: set[str] = {entry.data["text"] for entry in self.entries() if entry.data.get("event") == "torn"}
        for number, line in enumerate(lines, 1):
            entry = _parse(line)
            if entry is None:
                if line.decode(errors="replace") in torn or number == len(lines):
                    continue
                raise self._broken(number, "is no journal entry")
            if entry.hash != _digest(entry.sequence, entry.previous, entry.data):
                raise self._broken(number, "was changed after it was written")
            if entry.sequence != count or entry.previous != previous:
                raise self._broken(number, "does not follow the line before it")
            count, previous = count + 1, entry.hash
        return count

    def head(self) -> str:
        """The hash of the last entry: note it elsewhere to prove later that nothing was cut off."""
        last = GENESIS
        for entry in self.entries():
            last = entry.hash
        return last

    def _broken(self, number: int, why: str) -> JournalError:
        return JournalError(
            f"{self.path}:{number} {why}",
            mend="compare with the copy on host backup; keep this file as evidence",
        )


def _parse(line: bytes) -> Entry | None:
    try:
        entry = Entry(**json.loads(line))
    except (ValueError, TypeError):
        return None
    return entry if isinstance(entry.data, dict) else None


def _tail(content: bytes) -> tuple[int, str, str]:
    """Next sequence number, last hash and the torn remains (a last line without its newline)."""
    torn = "" if not content or content.endswith(b"\n") else content.splitlines()[-1].decode(errors="replace")
    lines = content.splitlines()[: -1 if torn else None]
    for line in reversed(lines):
        entry = _parse(line)
        if entry is not None:
            return entry.sequence + 1, entry.hash, torn
    return 0, GENESIS, torn
