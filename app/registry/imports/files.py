"""Where the files of imports live, on the shared storage below SHARED_ROOT."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from django.conf import settings
from django.utils import timezone

from registry.imports.container import too_large
from registry.imports.limits import limit

_BLOCK = 1024 * 1024
_UPLOADS, _REPORTS = FOLDERS = ("imports/uploads", "imports/reports")  # each with a folder a month


def upload_path(public_id: object) -> str:
    """Where an upload is kept, relative to SHARED_ROOT."""
    return f"{_UPLOADS}/{timezone.localdate():%Y-%m}/{public_id}.xlsx"


def report_path(public_id: object) -> str:
    """Where a job's workbook of rejected rows is kept, relative to SHARED_ROOT."""
    return f"{_REPORTS}/{timezone.localdate():%Y-%m}/{public_id}.xlsx"


def store(source: BinaryIO, relative: str) -> tuple[int, str]:
    """Copy an upload to its place and return (bytes, SHA-256). Raises WorkbookError over the size limit.

    The file appears under its name only when it is whole.
    """
    target = settings.SHARED_ROOT / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    digest = hashlib.sha256()
    size = 0
    try:
        with part.open("wb") as file:
            while block := source.read(_BLOCK):
                size += len(block)
                if size > limit("IMPORT_MAX_BYTES"):
                    raise too_large(size)
                digest.update(block)
                file.write(block)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return size, digest.hexdigest()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
