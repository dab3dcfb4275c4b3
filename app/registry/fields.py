"""Model fields that behave the same on SQLite, PostgreSQL and Oracle."""

from __future__ import annotations

from typing import Any

from django.db import models


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
