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

_BLOCK = 250  # rows a write: PostgreSQL works on one block while the next is put together
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"


class PostgresqlLoader(BulkLoader):
    """COPY."""

    def reserve_ids(self, model: type[models.Model], count: int) -> list[int]:
        """From the sequence behind the identity column, which is looked up once, not once a number."""
        with self.connection.cursor() as cursor:
            cursor.execute(
                "WITH s AS MATERIALIZED (SELECT pg_get_serial_sequence(%s, %s)::regclass AS name)"
                " SELECT array_agg(nextval(name)) FROM s, generate_series(1, %s)",
                [self.table(model), model._meta.pk.column, count],
            )
            return cursor.fetchone()[0] or []

    def insert(self, model: type[models.Model], columns: Columns) -> int:
        """One COPY for all rows.

        Foreign keys are looked at as the COPY ends, not all of them at COMMIT: so PostgreSQL does that while
        the caller makes its next rows ready.
        """
        height = self.height(columns)
        statement = f"COPY {self.table(model)} ({', '.join(self.names(model, columns))}) FROM STDIN"
        ready = [self._ready(model, name, values) for name, values in columns.items()]
        with self.connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
            # Django turns psycopg's errors into its own in calls alone, not at the end of a `with`
            with self.connection.wrap_database_errors, cursor.copy(statement) as copy:
                for start in range(0, height, _BLOCK):
                    copy.write(_block(ready, start, min(start + _BLOCK, height)))
        return height

    def _ready(
        self, model: type[models.Model], name: str, values: Sequence[Any] | Constant
    ) -> str | Sequence[Any]:
        """A column for `_block`: the one text of a constant, or the values as they are."""
        return _text(self.constant(model, name, values.value)) if isinstance(values, Constant) else values


def _text(value: object) -> str:
    """One value in COPY's text format."""
    return NULL if value is None else str(value).translate(_ESCAPES)


def _block(columns: Sequence[str | Sequence[Any]], start: int, stop: int) -> str:
    """Some rows of the columns (one text is a constant) as COPY wants them."""
    parts: Iterator[Any] = (
        repeat(column, stop - start) if isinstance(column, str) else _texts(column[start:stop])
        for column in columns
    )
    return "\n".join(map("\t".join, zip(*parts, strict=True))) + "\n"


def _texts(values: Sequence[Any]) -> Sequence[str]:
    """Values in COPY's text format; text that needs no escape, which most is, stays as it is."""
    try:
        special = _SPECIAL.search("".join(values))
    except TypeError:  # not all of them are text
        return [_text(value) for value in values]
    return [value.translate(_ESCAPES) for value in values] if special else values
