"""How large a workbook may be, how long it is kept; Django's settings may hold another value of each name."""

from __future__ import annotations

from django.conf import settings

_DEFAULTS = {
    "IMPORT_MAX_BYTES": 100 * 1024**2,  # a county of 100 000 pupils is about 60 MB
    "IMPORT_MAX_UNPACKED": 1024**3,
    "IMPORT_MAX_RATIO": 250,  # of a part over 10 MB; real sheets are packed 10 to 60 times
    "IMPORT_MAX_PARTS": 2000,
    "IMPORT_MAX_ROWS": 200_000,
    "IMPORT_MAX_COLUMNS": 300,
    "IMPORT_CHUNK_ROWS": 2000,
    "IMPORT_PROCESSES": 2,
    "IMPORT_KEEP_DAYS": 180,  # after a job's end its files and staging go (`registry job purge-imports`)
    "IMPORT_REPORT_ROWS": 20_000,  # rejected rows in one workbook; the rest is told, not written
}


def limit(name: str) -> int:
    """The limit `name` (see the table above)."""
    return int(getattr(settings, name, _DEFAULTS[name]))
