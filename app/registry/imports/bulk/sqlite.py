"""SQLite: one prepared INSERT, executed many times; for running alone and for tests."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat
from typing import Any

from django.db import models

from registry.imports.bulk.base import BulkLoader, Columns, Constant


class SqliteLoader(BulkLoader):
    """executemany. SQLite keeps dates and decimals as the text they come in."""

    def reserve_ids(self, model: type[models.Model], count: int) -> list[int]:
        """After the largest ever given (AUTOINCREMENT's own table): the transaction holds the write lock."""
        with self.connection.cursor() as cursor:
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [model._meta.db_table])
            row = cursor.fetchone()
        last = int(row[0]) if row else 0
        return list(range(last + 1, last + 1 + count))

    def insert(self, model: type[models.Model], columns: Columns) -> int:
        """One statement for all rows."""
        height = self.height(columns)
        marks = ", ".join(["%s"] * len(columns))
        statement = (
            f"INSERT INTO {self.table(model)} ({', '.join(self.names(model, columns))}) VALUES ({marks})"  # noqa: S608
        )
        values = [self._values(model, name, column, height) for name, column in columns.items()]
        with self.connection.cursor() as cursor:
            cursor.executemany(statement, list(zip(*values, strict=True)))
        return height

    def _values(
        self, model: type[models.Model], name: str, values: Sequence[Any] | Constant, height: int
    ) -> Sequence[Any]:
        if isinstance(values, Constant):
            return list(repeat(self.constant(model, name, values.value), height))
        return values
