"""Bulk loading: many rows of one table at once, by what each database does fastest.

`loader_for(connection)` is the one door: PostgreSQL by COPY, Oracle by array binds, SQLite by executemany.
Signals and `save()` are passed over; whoever calls must have derived what the models derive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from registry.imports.bulk.base import BulkLoader, Columns, Constant
from registry.imports.bulk.oracle import OracleLoader
from registry.imports.bulk.postgresql import PostgresqlLoader
from registry.imports.bulk.sqlite import SqliteLoader

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper

__all__ = ["BulkLoader", "Columns", "Constant", "loader_for"]

_LOADERS: dict[str, type[BulkLoader]] = {
    "postgresql": PostgresqlLoader,
    "oracle": OracleLoader,
    "sqlite": SqliteLoader,
}


def loader_for(connection: BaseDatabaseWrapper | Any) -> BulkLoader:
    """The loader for a Django database connection. Raises KeyError for a vendor we don't serve."""
    return _LOADERS[connection.vendor](connection)
