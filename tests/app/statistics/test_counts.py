"""Counts per school and their sums."""

from __future__ import annotations

from types import SimpleNamespace

from registry.orgs.models import School
from registry.statistics.models import SchoolCount
from registry.statistics.services import Totals, refresh, totals, totals_by_path

from .. import factories


def test_only_those_who_hold_their_number_are_counted(world: SimpleNamespace) -> None:
    near = world.schools["near"]
    factories.make_student(near, sex="2", attendance="2", left_behind="1", migrant_child="1")
    factories.make_student(near, status="suspended")
    factories.make_student(near, status="graduated")
    assert refresh() == 4
    count = SchoolCount.objects.get(school=near)
    assert count.students == 3
    assert (count.boarders, count.left_behind, count.migrant) == (1, 1, 1)
    assert count.girls == near.students.filter(sex="2", status__in=["active", "suspended"]).count()


def test_a_refresh_of_some_schools_leaves_the_others(world: SimpleNamespace) -> None:
    refresh()
    factories.make_student(world.schools["near"])
    factories.make_student(world.schools["far"])
    assert refresh([world.schools["near"].pk]) == 1
    assert SchoolCount.objects.get(school=world.schools["near"]).students == 2
    assert SchoolCount.objects.get(school=world.schools["far"]).students == 1


def test_a_school_whose_students_all_left_counts_zero(world: SimpleNamespace) -> None:
    refresh()
    world.schools["near"].students.all().delete()
    refresh()
    assert SchoolCount.objects.get(school=world.schools["near"]).students == 0


def test_sums(world: SimpleNamespace) -> None:
    assert totals(School.objects.none()) == Totals()
    assert totals(School.objects.all()) == Totals(schools=4)  # never counted yet
    refresh()
    assert totals(School.objects.all()).students == 4
    by_city = totals_by_path(School.objects.all(), 12)
    assert {path: (row.schools, row.students) for path, row in by_city.items()} == {
        "610000610100": (3, 3),
        "610000610800": (1, 1),
    }
