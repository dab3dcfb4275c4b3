"""The scope rule: a unit sees its own subtree and nothing else, whatever the tree looks like."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.contrib.auth.models import AnonymousUser
from hypothesis import given
from hypothesis import strategies as st

from registry.accounts.models import Kind
from registry.orgs.models import School
from registry.regions.models import Region
from registry.scope import is_within, path_end, subtree
from registry.statistics.models import SchoolCount
from registry.students.models import Student

from . import factories

code = st.integers(110000, 829999).map(str)
path = st.lists(code, min_size=1, max_size=3).map("".join)

SEEN = {
    "mina": {"near", "next_door", "city", "far"},
    "paula": {"near", "next_door", "city", "far"},
    "bob": {"near", "next_door", "city"},
    "alice": {"near", "next_door"},
    "charlie": {"far"},
    "dora": {"near"},
    "adam": set(),
}


@given(path, path)
def test_the_range_of_a_subtree_is_exactly_its_prefix(ancestor: str, other: str) -> None:
    in_range = ancestor <= other < path_end(ancestor)
    assert in_range == is_within(other, ancestor)


@given(path, st.lists(code, max_size=2).map("".join))
def test_everything_below_is_in_range(ancestor: str, rest: str) -> None:
    assert ancestor <= ancestor + rest < path_end(ancestor)


@pytest.mark.parametrize(("username", "expected"), SEEN.items())
def test_each_account_sees_the_students_of_its_subtree(
    world: SimpleNamespace, username: str, expected: set[str]
) -> None:
    user = getattr(world, username)
    expected_ids = {world.students[name].pk for name in expected}
    assert set(Student.objects.visible_to(user).values_list("pk", flat=True)) == expected_ids


@pytest.mark.parametrize("username", SEEN)
def test_schools_follow_the_same_rule_but_administrators_see_them(
    world: SimpleNamespace, username: str
) -> None:
    expected = SEEN[username] or SEEN["paula"]
    visible = School.objects.visible_to(getattr(world, username))
    assert {school.pk for school in visible} == {world.schools[name].pk for name in expected}


def test_anonymous_and_inactive_users_see_nothing(world: SimpleNamespace) -> None:
    world.paula.is_active = False
    for user in (AnonymousUser(), world.paula):
        for model in (Student, School, Region, SchoolCount):
            assert not model.objects.visible_to(user).exists(), (user, model)


def test_a_student_of_the_city_itself_is_not_the_countys(world: SimpleNamespace) -> None:
    assert world.students["city"] not in Student.objects.visible_to(world.alice)


def test_a_school_that_moves_takes_its_students_along(world: SimpleNamespace) -> None:
    school = world.schools["next_door"]
    school.region = Region.objects.get(pk="610802")
    school.save()
    assert Student.objects.visible_to(world.charlie).count() == 2
    assert Student.objects.visible_to(world.alice).count() == 1


def test_regions_are_seen_from_the_own_unit_down(world: SimpleNamespace) -> None:
    codes = set(Region.objects.visible_to(world.bob).values_list("code", flat=True))
    assert {"610100", "610113"} <= codes
    assert not codes & {"000000", "610000", "610802"}
    assert not Region.objects.visible_to(world.dora).exists()


def test_the_empty_path_is_the_whole_country(world: SimpleNamespace) -> None:
    assert School.objects.filter(subtree("")).count() == 4


@pytest.mark.django_db
def test_a_leader_sees_like_a_registrar_but_may_not_import() -> None:
    leader = factories.make_user("leader", region="610113", kind=Kind.LEADER)
    assert leader.does_registry_business
    assert not leader.may_import
