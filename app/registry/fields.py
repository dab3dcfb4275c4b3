"""Model fields that behave the same on SQLite, PostgreSQL and Oracle."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Lookup


class BytewiseCharField(models.CharField):
    """Text compared byte by byte, whatever the database's own collation.

    With it a plain B-tree index serves equality, `LIKE 'prefix%'` and ORDER BY alike. SQLite and Oracle
    compare that way by default; PostgreSQL needs the collation "C" named on the column.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        """Add PostgreSQL's collation to what CharField says."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


@BytewiseCharField.register_lookup
class Among(Lookup):
    """`field__among=[…]`: like `__in`, for thousands of values.

    PostgreSQL gets them as one array; Django would make, and PostgreSQL parse, a parameter of each.
    """

    lookup_name = "among"

    def get_prep_lookup(self) -> list[str]:
        """The values as a list."""
        return list(self.rhs)

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """IN with a mark for each value. Oracle takes a thousand at most: `ops.max_in_list_size()`."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} IN ({', '.join(['%s'] * len(self.rhs))})", [*parameters, *self.rhs]

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        """= ANY with one array."""
        column, parameters = self.process_lhs(compiler, connection)
        return f"{column} = ANY(%s)", [*parameters, self.rhs]
