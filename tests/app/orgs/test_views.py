"""The tree of regions and schools."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from registry.statistics.services import refresh

from .. import factories


@pytest.mark.parametrize("address", ["/", "/regions/610113/", "/schools/", "/schools/2161000001/"])
@pytest.mark.usefixtures("world")
def test_everything_needs_a_login(client: Client, address: str) -> None:
    response = client.get(address)
    assert response.status_code == 302
    assert response.url.startswith(reverse("accounts:login"))


@pytest.mark.parametrize(
    ("username", "unit"),
    [("mina", "全国"), ("paula", "陕西省"), ("bob", "西安市"), ("alice", "雁塔区"), ("dora", "雁塔第一小学")],
)
def test_home_is_the_own_unit(world: SimpleNamespace, as_user: Any, username: str, unit: str) -> None:
    response = as_user(getattr(world, username)).get(reverse("web:home"))
    assert f'<h1 class="page-title">{unit}</h1>' in " ".join(response.content.decode().split()).replace(
        "> ", ">"
    ).replace(" <", "<")


@pytest.mark.parametrize(
    ("username", "region", "status"),
    [
        ("alice", "610113", 200),
        ("alice", "610100", 404),
        ("alice", "610112", 404),
        ("bob", "610113", 200),
        ("charlie", "610113", 404),
        ("dora", "610113", 404),
        ("adam", "610113", 200),
        ("paula", "999999", 404),
    ],
)
def test_regions_outside_the_subtree_are_404(
    world: SimpleNamespace, as_user: Any, username: str, region: str, status: int
) -> None:
    response = as_user(getattr(world, username)).get(reverse("orgs:region", args=[region]))
    assert response.status_code == status


@pytest.mark.parametrize(
    ("username", "status"), [("alice", 200), ("dora", 200), ("adam", 200), ("charlie", 404)]
)
def test_schools_outside_the_subtree_are_404(
    world: SimpleNamespace, as_user: Any, username: str, status: int
) -> None:
    address = reverse("orgs:school", args=[world.schools["near"].code])
    assert as_user(getattr(world, username)).get(address).status_code == status


def test_counts_add_up_along_the_tree(world: SimpleNamespace, as_user: Any) -> None:
    refresh()
    context = as_user(world.paula).get(reverse("web:home")).context
    assert (context["totals"].schools, context["totals"].students) == (4, 4)
    by_name = {row.region.name: row.totals for row in context["rows"]}
    assert by_name["西安市"].students == 3
    assert by_name["榆林市"].students == 1
    assert by_name["宝鸡市"].schools == 0
    city = as_user(world.bob).get(reverse("web:home")).context
    assert {row.region.name: row.totals.schools for row in city["rows"] if row.totals.schools} == {
        "雁塔区": 2
    }
    assert [school.name for school in city["schools"]] == ["西安市直属中学"]


def test_only_regions_in_force_are_listed(world: SimpleNamespace, as_user: Any) -> None:
    names = [row.region.code for row in as_user(world.bob).get(reverse("web:home")).context["rows"]]
    assert "610118" in names
    assert "610125" not in names  # 户县, retired


def test_administrators_see_schools_but_no_student_figures(world: SimpleNamespace, as_user: Any) -> None:
    refresh()
    client = as_user(world.adam)
    for address in (reverse("web:home"), reverse("orgs:school", args=[world.schools["near"].code])):
        html = client.get(address).content.decode()
        assert "在籍学生" not in html
        assert reverse("students:list") not in html


def test_classes_of_a_school_count_its_students(world: SimpleNamespace, as_user: Any) -> None:
    factories.make_student(world.schools["near"], class_number="02", grade="13")
    factories.make_student(world.schools["near"], class_number="02", grade="13", status="left")
    context = as_user(world.dora).get(reverse("web:home")).context
    found = [(row["grade"], row["class_number"], row["students"]) for row in context["classes"]]
    assert found == [("13", "01", 1), ("13", "02", 1)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("", {"near", "next_door", "city"}), ("第一", {"near"}), ("直属", {"city"}), ("nothing", set())],
)
def test_schools_are_found_by_name(
    world: SimpleNamespace, as_user: Any, words: str, expected: set[str]
) -> None:
    response = as_user(world.bob).get(reverse("orgs:schools"), {"q": words}, headers={"HX-Request": "true"})
    assert {school.pk for school in response.context["schools"]} == {
        world.schools[name].pk for name in expected
    }


def test_schools_are_found_by_code_and_stage(world: SimpleNamespace, as_user: Any) -> None:
    client = as_user(world.bob)
    by_code = client.get(reverse("orgs:schools"), {"q": world.schools["near"].code}).context["schools"]
    assert [school.name for school in by_code] == ["雁塔第一小学"]
    assert not client.get(reverse("orgs:schools"), {"stage": "senior"}).context["schools"]


def test_query_counts(world: SimpleNamespace, as_user: Any, django_assert_num_queries: Any) -> None:
    for _ in range(10):
        factories.make_school("610113")
    client = as_user(world.bob)
    client.get(reverse("web:home"))
    with django_assert_num_queries(8):
        # session, account, region, sums by path, regions below, sums, breadcrumbs, own schools
        client.get(reverse("web:home"))
    with django_assert_num_queries(3):  # session, account, page
        client.get(reverse("orgs:schools"))
