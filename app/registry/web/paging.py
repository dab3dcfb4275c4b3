"""Paging by the last row seen: no COUNT and no OFFSET, so page 1000 costs what page 1 costs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core import signing
from django.db import models
from django.db.models import Q, QuerySet

PAGE_SIZE = 25
Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the cursor from which the next page goes on ("" when there is none)."""

    rows: list[Row]
    after: str
    first: bool


def cursor_of(row: models.Model, ordering: tuple[str, ...]) -> str:
    """The row's place in the ordering, signed so that only we make them."""
    values = [getattr(row, name.lstrip("-")) for name in ordering]
    texts = [value.isoformat() if hasattr(value, "isoformat") else value for value in values]
    return signing.dumps(texts, salt="paging", compress=True)


def _values(cursor: str, ordering: tuple[str, ...]) -> list[Any] | None:
    try:
        values = signing.loads(cursor, salt="paging")
    except signing.BadSignature:
        return None
    return values if isinstance(values, list) and len(values) == len(ordering) else None


def after_cursor(ordering: tuple[str, ...], values: list[Any]) -> Q:
    """The condition "later in the ordering than these values", written out: tuples aren't portable."""
    later = Q()
    same: dict[str, Any] = {}
    for name, value in zip(ordering, values, strict=True):
        field, look = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        later |= Q(**same, **{f"{field}__{look}": value})
        same[field] = value
    first = ordering[0].lstrip("-")
    bound = "lte" if ordering[0].startswith("-") else "gte"
    return Q(**{f"{first}__{bound}": values[0]}) & later


def page_of(
    rows: QuerySet[Row], ordering: tuple[str, ...], cursor: str = "", size: int = PAGE_SIZE
) -> Page[Row]:
    """The page of `rows` after `cursor` (a bad one is ignored); `ordering` must end in a unique column."""
    values = _values(cursor, ordering) if cursor else None
    ordered = rows.order_by(*ordering)
    if values is not None:
        ordered = ordered.filter(after_cursor(ordering, values))
    found = list(ordered[: size + 1])
    more = len(found) > size
    found = found[:size]
    return Page(found, cursor_of(found[-1], ordering) if more else "", values is None)
