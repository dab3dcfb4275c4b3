"""Putting the sample's schools and accounts into the database; what is there already is left alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.db import transaction

from registry.accounts.models import Kind, User
from registry.orgs.models import School
from registry.regions.models import Level, Region
from registry.sample.geography import County, SampleSchool

_NOT_A_PLACE = "市辖区"  # a code of the statisticians, not a county
_PROVINCE = "610000"


@dataclass(frozen=True)
class Account:
    """One sample account, as the hand-out list shows it."""

    username: str
    level: str
    kind: str
    unit: str


def counties() -> list[County]:
    """Shaanxi's counties in force, each with the code it had before, where the lists show one successor."""
    rows = [
        region
        for region in Region.objects.filter(path__startswith=_PROVINCE, level=Level.COUNTY).select_related(
            "parent"
        )
        if region.name != _NOT_A_PLACE
    ]
    return [
        County(
            code=region.code,
            name=region.name,
            full_name=_full_name(region),
            path=region.path,
            before=_before(region, rows),
        )
        for region in rows
        if region.valid_to is None
    ]


def _full_name(region: Region) -> str:
    parent = region.parent
    return "陕西省" + (parent.name if parent.code != _PROVINCE else "") + region.name


def _before(region: Region, rows: list[Region]) -> tuple[tuple[dt.date, str], ...]:
    """The county whose code ended on the day this one's began, in the same city, where it is the only one."""
    if region.valid_from is None:
        return ()
    ended = [one for one in rows if one.valid_to == region.valid_from and one.code[:4] == region.code[:4]]
    return ((region.valid_from, ended[0].code),) if len(ended) == 1 else ()


def save_schools(schools: list[SampleSchool]) -> int:
    """Insert the schools that are missing, and return how many there were."""
    present = set(School.objects.values_list("code", flat=True))
    missing = [
        School(
            code=school.code,
            name=school.name,
            stage=school.stage,
            region_id=school.county.code,
            region_path=school.county.path,
            address=school.address,
        )
        for school in schools
        if school.code not in present
    ]
    School.objects.bulk_create(missing, batch_size=500)
    return len(missing)


def save_accounts(schools: list[SampleSchool], password: str) -> int:
    """Give every unit of the sample its three accounts; returns how many were missing.

    The password is hashed once for all of them: they are throw-away accounts of made-up units, and may log
    in without changing it first. Accounts that exist keep their password.
    """
    regions = _units(schools)
    saved = dict(
        School.objects.filter(code__in=[school.code for school in schools]).values_list("code", "pk")
    )
    present = set(User.objects.values_list("username", flat=True))
    encoded = make_password(password)
    units = [(code, {"region_id": code}, name) for code, name in regions.items()]
    units += [(school.code, {"school_id": saved[school.code]}, school.name) for school in schools]
    missing = [
        User(
            username=username,
            display_name=f"{name}{Kind(kind).label}"[-36:],
            kind=kind,
            password=encoded,
            must_change_password=False,
            **unit,
        )
        for code, unit, name in units
        for kind in Kind.values
        if (username := f"{code}.{kind}") not in present
    ]
    with transaction.atomic():
        User.objects.bulk_create(missing, batch_size=500)
    return len(missing)


def _units(schools: list[SampleSchool]) -> dict[str, str]:
    """Province, cities and counties of the sample's schools: code → name."""
    codes = {_PROVINCE}
    for school in schools:
        path = school.county.path
        codes.update(path[at : at + 6] for at in range(0, len(path), 6))
    return dict(Region.objects.filter(code__in=codes).order_by("code").values_list("code", "name"))


def handed_out(schools: list[SampleSchool]) -> list[Account]:
    """A handful of the accounts: the three of the province, then one registrar a level."""
    county = schools[0].county
    regions = dict(
        Region.objects.filter(code__in=[county.path[6:12], county.code]).values_list("code", "name")
    )
    accounts = [Account(f"{_PROVINCE}.{kind}", "province", kind, "陕西省") for kind in Kind.values]
    for code, name in sorted(regions.items()):
        level = "city" if code.endswith("00") else "county"
        accounts.append(Account(f"{code}.registrar", level, "registrar", name))
    accounts.append(Account(f"{schools[0].code}.registrar", "school", "registrar", schools[0].name))
    return accounts
