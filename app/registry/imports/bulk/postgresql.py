"""PostgreSQL: COPY FROM STDIN by psycopg.

The text of a block is put together by column: a column is escaped only where it needs it, and rows are
joined in C. That costs a tenth of handing psycopg one row at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any

from django.db import models

from registry.imports.bulk.base import BulkLoader, Columns, Constant

_BLOCK = 5000  # rows a write
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


class PostgresqlLoader(BulkLoader):
    """COPY."""

    def reserve_ids(self, model: type[models.Model], count: int) -> list[int]:
        """From the sequence behind the identity column."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT nextval(pg_get_serial_sequence(%s, %s)) FROM generate_series(1, %s)",
                [self.table(model), model._meta.pk.column, count],
            )
            return [row[0] for row in cursor.fetchall()]

    def insert(self, model: type[models.Model], columns: Columns) -> int:
        """One COPY for all rows."""
        height = self.height(columns)
        statement = f"COPY {self.table(model)} ({', '.join(self.names(model, columns))}) FROM STDIN"
        texts = [self._texts(model, name, values) for name, values in columns.items()]
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for start in range(0, height, _BLOCK):
                copy.write(_block(texts, start, min(start + _BLOCK, height)))
        return height

    def _texts(
        self, model: type[models.Model], name: str, values: Sequence[Any] | Constant
    ) -> str | list[str] | Sequence[str]:
        """A column as COPY text: one text for a constant, else one a row."""
        if isinstance(values, Constant):
            return _text(self.constant(model, name, values.value))
        if values.__class__ is list and all(value.__class__ is str for value in values):
            return [v.translate(_ESCAPES) for v in values] if _SPECIAL.search("".join(values)) else values
        return [_text(value) for value in values]


def _text(value: object) -> str:
    """One value in COPY's text format."""
    return NULL if value is None else str(value).translate(_ESCAPES)


def _block(texts: list[str | Sequence[str]], start: int, stop: int) -> str:
    parts: Iterator[Any] = (
        repeat(text, stop - start) if isinstance(text, str) else text[start:stop] for text in texts
    )
    return "\n".join(map("\t".join, zip(*parts, strict=True))) + "\n"
