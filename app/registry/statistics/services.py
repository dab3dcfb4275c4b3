"""Counting students per school, and adding the counts up along the region tree."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, Q, QuerySet, Sum
from django.db.models.functions import Substr
from django.utils import timezone

from registry.orgs.models import School
from registry.statistics.models import SchoolCount
from registry.students.models import HOLDS_NUMBER, Student

COUNTS = {
    "students": Count("pk"),
    "girls": Count("pk", filter=Q(sex="2")),
    "boarders": Count("pk", filter=Q(attendance="2")),
    "left_behind": Count("pk", filter=~Q(left_behind__in=["", "0"])),
    "migrant": Count("pk", filter=Q(migrant_child="1")),
}
_BATCH = 500


@dataclass(frozen=True)
class Totals:
    """Sums over some schools; the share of each against the students is for the page to show."""

    schools: int = 0
    students: int = 0
    girls: int = 0
    boarders: int = 0
    left_behind: int = 0
    migrant: int = 0


def refresh(school_ids: Collection[int] | None = None) -> int:
    """Count the students of these schools (default: all) anew, and return the number of schools counted.

    One pass over the students; then short writes of some hundred rows, so that nothing waits for long.
    """
    schools = School.objects.all() if school_ids is None else School.objects.filter(pk__in=list(school_ids))
    students = Student.objects.filter(status__in=HOLDS_NUMBER)
    if school_ids is not None:
        students = students.filter(school__in=list(school_ids))
    counted = {row.pop("school"): row for row in students.order_by().values("school").annotate(**COUNTS)}
    wanted = sorted(schools.values_list("pk", flat=True))
    for at in range(0, len(wanted), _BATCH):
        batch = wanted[at : at + _BATCH]
        try:
            _write(batch, counted)
        except IntegrityError:  # another refresh inserted the same rows first: now they are there to update
            _write(batch, counted)
    return len(wanted)


def _write(school_ids: list[int], counted: dict[int, dict[str, int]]) -> None:
    """Update or insert the rows of these schools (Oracle knows no ON CONFLICT)."""
    now = timezone.now()
    nothing = dict.fromkeys(COUNTS, 0)
    with transaction.atomic():
        rows = SchoolCount.objects.select_for_update().in_bulk(school_ids)
        for school_id, row in rows.items():
            for name, value in counted.get(school_id, nothing).items():
                setattr(row, name, value)
            row.counted_at = now
        SchoolCount.objects.bulk_update(rows.values(), [*COUNTS, "counted_at"])
        SchoolCount.objects.bulk_create(
            SchoolCount(school_id=school_id, counted_at=now, **counted.get(school_id, nothing))
            for school_id in school_ids
            if school_id not in rows
        )


def totals(schools: QuerySet[School]) -> Totals:
    """The sums over `schools`; schools never counted add nothing."""
    sums: dict[str, Any] = schools.order_by().aggregate(
        schools=Count("pk"), **{name: Sum(f"count__{name}") for name in COUNTS}
    )
    return Totals(**{name: value or 0 for name, value in sums.items()})


def totals_by_path(schools: QuerySet[School], length: int) -> dict[str, Totals]:
    """The sums over `schools` for each region path cut to `length` digits, keyed by the cut path."""
    rows = (
        schools.order_by()
        .annotate(cut=Substr("region_path", 1, length))
        .values("cut")
        .annotate(schools=Count("pk"), **{name: Sum(f"count__{name}") for name in COUNTS})
    )
    return {row.pop("cut"): Totals(**{name: value or 0 for name, value in row.items()}) for row in rows}
