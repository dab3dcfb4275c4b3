"""The synthetic province: the same for the same seed, valid throughout, and made once."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from registry.accounts.models import Kind, User
from registry.imports.checking import Checker
from registry.imports.context import Context, SchoolRow
from registry.imports.reader import Chunk
from registry.orgs.models import School
from registry.regions.models import Region
from registry.sample.geography import STAGES, make_schools
from registry.sample.portraits import SIZE, draw, has_portrait, portrait_name
from registry.sample.province import counties
from registry.sample.services import Province, plan, rows
from registry.students.fields import all_fields
from registry.students.models import Student

pytestmark = pytest.mark.django_db
KEYS = [field.key for field in all_fields()]


@pytest.fixture
def province() -> Province:
    return plan(1500, 7)


def everybody(province: Province) -> list[dict[str, str]]:
    return list(rows(province, province.schools))


def context_of(province: Province) -> Context:
    schools = {s.code: SchoolRow(at, s.name, s.county.path, s.stage) for at, s in enumerate(province.schools)}
    regions = frozenset(Region.objects.values_list("code", flat=True))
    import datetime as dt

    return Context(dt.date(2026, 11, 1), schools, regions=regions, complete=frozenset({"61"}))


def test_the_same_seed_gives_the_same_province(province: Province) -> None:
    assert everybody(province) == everybody(plan(1500, 7))
    assert everybody(province) != everybody(plan(1500, 8))


def test_a_county_alone_has_the_same_children(province: Province) -> None:
    county = province.schools[0].county
    alone = list(rows(province, [s for s in province.schools if s.county == county]))
    assert alone == everybody(province)[: len(alone)]


def test_every_row_passes_every_check(province: Province) -> None:
    people = everybody(province)
    assert len(people) == 1500
    chunk = Chunk(0, list(range(2, 1502)), [[row.get(key, "") for row in people] for key in KEYS])
    assert Checker(list(all_fields()), context_of(province)).check(chunk).errors == []
    numbers = [row["id_number"] for row in people if row["id_number"]]
    assert len(numbers) == len(set(numbers))


def test_people_are_varied(province: Province) -> None:
    people = everybody(province)
    girls = sum(row["sex"] == "2" for row in people)
    assert 0.40 < girls / len(people) < 0.56
    assert len({row["name"] for row in people}) > 1200
    assert any(row["birth_region"] != row["household_region"] for row in people)
    assert any(not row["id_number"] for row in people)
    families = {row["member1_id_number"] for row in people}
    assert len(families) < len(people)  # brothers and sisters


def test_schools_stand_in_real_counties() -> None:
    made = make_schools(counties(), 20_000, random.Random(1))
    assert len({school.code for school in made}) == len(made)
    assert {school.county.code for school in made} == {county.code for county in counties()}
    assert len(counties()) == 107
    assert sum(school.places for school in made) == 20_000
    assert {school.stage for school in made} == set(STAGES)


def test_a_county_remembers_its_former_code() -> None:
    import datetime as dt

    huyi = next(county for county in counties() if county.name == "鄠邑区")
    assert huyi.code_on(dt.date(2010, 1, 1)) == "610125"
    assert huyi.code_on(dt.date(2020, 1, 1)) == "610118"


def run_sample(*arguments: str) -> tuple[list[str], dict[str, Any]]:
    out = io.StringIO()
    call_command("sample", "--students", "300", "--seed", "3", *arguments, stdout=out)
    lines = out.getvalue().splitlines()
    return lines[:-1], json.loads(lines[-1])


def test_a_second_run_changes_nothing(monkeypatch: pytest.MonkeyPatch, shared_root: Path) -> None:
    monkeypatch.setenv("REGISTRY_SAMPLE_PASSWORD", "Gu-Lou 1384 bell")
    lines, outcome = run_sample()
    assert "password" not in " ".join(lines)
    book = shared_root / "imports" / "sample" / outcome["workbooks"][0]
    before = (book.read_bytes(), School.objects.count(), User.objects.count())
    lines, again = run_sample()
    assert (book.read_bytes(), School.objects.count(), User.objects.count()) == before
    assert again == outcome
    assert any("0 new" in line for line in lines)
    assert outcome["students"] == Student.objects.count() == 0


def test_accounts_of_every_level_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REGISTRY_SAMPLE_PASSWORD", raising=False)
    lines, outcome = run_sample()
    password = next(line for line in lines if line.startswith("password")).split(": ")[1]
    assert {account["level"] for account in outcome["accounts"]} == {"province", "city", "county", "school"}
    for account in outcome["accounts"]:
        user = User.objects.get(username=account["username"])
        assert user.check_password(password)
        assert not user.must_change_password
        assert (user.level, user.kind) == (account["level"], account["kind"])
    assert {account["kind"] for account in outcome["accounts"]} == set(Kind.values)


def test_portraits() -> None:
    picture = draw("610113201903050028", "2")
    assert picture.size == SIZE
    assert picture.tobytes() == draw("610113201903050028", "2").tobytes()
    assert picture.tobytes() != draw("610113201903050028", "1").tobytes()
    assert "610113" not in portrait_name("610113201903050028")
    chosen = sum(has_portrait(str(number), 10) for number in range(2000))
    assert 120 < chosen < 300
