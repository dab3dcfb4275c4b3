"""What every bulk loader offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models


@dataclass(frozen=True)
class Constant:
    """The same value in every row of a column: a Python value as the model field takes it."""

    value: Any


Columns = Mapping[str, "Sequence[Any] | Constant"]
"""Model field → its values (text, int or None; dates as YYYY-MM-DD), all of one length, or a Constant."""


class BulkLoader(ABC):
    """Loads columns into the table of a model, inside the caller's transaction."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @abstractmethod
    def reserve_ids(self, model: type[models.Model], count: int) -> list[int]:
        """Take `count` primary keys from the table's own sequence, so that rows can refer to each other."""

    @abstractmethod
    def insert(self, model: type[models.Model], columns: Columns) -> int:
        """Insert the rows and return how many. Raises django.db.IntegrityError as a plain insert would."""

    def table(self, model: type[models.Model]) -> str:
        """The quoted table name."""
        return self.connection.ops.quote_name(model._meta.db_table)

    def names(self, model: type[models.Model], columns: Columns) -> list[str]:
        """The quoted column names, in the order of `columns`."""
        return [self.connection.ops.quote_name(self.field(model, name).column) for name in columns]

    def field(self, model: type[models.Model], name: str) -> Any:
        """The model's field of that name."""
        return model._meta.get_field(name)

    def height(self, columns: Columns) -> int:
        """How many rows the columns have; ValueError where they differ."""
        heights = {len(values) for values in columns.values() if not isinstance(values, Constant)}
        if len(heights) != 1:
            raise ValueError(f"columns of different lengths: {sorted(heights)}")
        return heights.pop()

    def constant(self, model: type[models.Model], name: str, value: Any) -> Any:
        """A constant as this database's driver wants it."""
        return self.field(model, name).get_db_prep_save(value, self.connection)
