"""A lock across hosts, held by the database for as long as the connection lives."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

_POLL_SECONDS = 0.5


class LockedError(Exception):
    """Somebody else holds the lock."""


@contextmanager
def database_lock(name: str, *, wait_seconds: float = 0) -> Iterator[None]:
    """Hold the lock `name` on PostgreSQL (an advisory lock); elsewhere nothing is held.

    Waits at most `wait_seconds`, then raises `LockedError`. A killed holder lets go at once.
    """
    if connection.vendor != "postgresql":
        yield
        return
    key = zlib.crc32(f"registry:{name}".encode())
    deadline = time.monotonic() + wait_seconds
    while not _ask("SELECT pg_try_advisory_lock(%s)", key):
        if time.monotonic() >= deadline:
            raise LockedError(f"{name}: another host holds the lock (waited {wait_seconds:.0f} s)")
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        _ask("SELECT pg_advisory_unlock(%s)", key)


def _ask(sql: str, key: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(sql, [key])
        return bool(cursor.fetchone()[0])
