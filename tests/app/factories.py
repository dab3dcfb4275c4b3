"""Small, valid rows for the tests. Every name and number is made up."""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

from registry.accounts.models import Kind, User
from registry.orgs.models import School, Stage
from registry.regions.models import Region
from registry.students import numbers
from registry.students.models import FamilyMember, Student

PASSWORD = "Gu-Lou 1384 bell"  # of test accounts
_sequence = itertools.count(1)


def citizen_id(region: str = "610113", born: dt.date = dt.date(2012, 5, 6), order: int = 1) -> str:
    """A valid citizen id; an even `order` makes a girl's."""
    seventeen = f"{region}{born:%Y%m%d}{order:03}"
    return seventeen + numbers.check_character(seventeen)


def make_school(region: str = "610113", **values: Any) -> School:
    """A school of that region."""
    number = next(_sequence)
    values = {
        "code": f"2161{number:06}",
        "name": f"第{number}小学",
        "stage": Stage.PRIMARY,
        "region": Region.objects.get(pk=region),
    } | values
    return School.objects.create(**values)


def make_user(
    username: str, *, region: str | None = None, school: School | None = None, **values: Any
) -> User:
    """An account (registrar unless said otherwise) whose password needs no change."""
    values = {
        "kind": Kind.REGISTRAR,
        "display_name": username.title(),
        "must_change_password": False,
    } | values
    return User.objects.create_user(
        username, PASSWORD, region=Region.objects.get(pk=region) if region else None, school=school, **values
    )


def student_values(number: int, **values: Any) -> dict[str, Any]:
    """All required columns of a student, with an id number that no other student of the tests has."""
    born = dt.date(2008, 1, 1) + dt.timedelta(days=number % 4000)
    identity = citizen_id(born=born, order=number % 999 + 1)
    return {
        "name": "李小雨",
        "sex": "1" if int(identity[16]) % 2 else "2",
        "birth_date": born,
        "birth_region": "610113",
        "native_place": "陕西西安",
        "ethnicity": "01",
        "nationality": "CHN",
        "id_type": "1",
        "overseas": "00",
        "health": "10",
        "political": "13",
        "id_number": identity,
        "student_number": f"G{identity}",
        "household_type": "1",
        "household_region": "610113",
        "class_number": "01",
        "grade": "13",
        "admission_month": "201909",
        "admission_way": "11",
        "attendance": "1",
        "current_address": "雁塔区小寨路1号",
        "postal_address": "雁塔区小寨路1号",
        "home_address": "雁塔区小寨路1号",
        "phone": "13900001234",
        "postcode": "710061",
        "only_child": "1",
        "preschool": "1",
        "left_behind": "0",
        "needs_aid": "0",
        "receives_subsidy": "0",
        "orphan": "0",
        "martyr_family": "0",
        "distance_km": "1.5",
        "transport": "1",
        "needs_bus": "0",
        "migrant_child": "0",
    } | values


def make_student(school: School, *, family: bool = False, **values: Any) -> Student:
    """A student of that school, with one parent when `family`."""
    student = Student.objects.create(school=school, **student_values(next(_sequence), **values))
    if family:
        FamilyMember.objects.create(
            student=student,
            position=1,
            name="李建国",
            kinship="51",
            address="雁塔区小寨路1号",
            household_region="610113",
            phone="13900005678",
            guardian="1",
            id_type="1",
            id_number=citizen_id("610324", dt.date(1984, 3, 2), 117),
        )
    return student
