"""Making the sample province, step by step; every step finds what an earlier run has done."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from registry.sample.geography import County, SampleSchool, make_schools
from registry.sample.people import People
from registry.sample.province import counties, save_accounts, save_schools
from registry.sample.workbooks import is_current, write_note, write_workbook


@dataclass
class Province:
    """A generated province: its schools, and what had to be done for it in this run."""

    students: int
    seed: int
    schools: list[SampleSchool]
    counties: list[County]
    new_schools: int = 0
    new_accounts: int = 0
    password: str = ""  # only where it was made up here
    workbooks: list[Path] = field(default_factory=list)
    written: int = 0


def plan(students: int, seed: int) -> Province:
    """The schools of a province of so many students; nothing is written."""
    found = counties()
    return Province(students, seed, make_schools(found, students, random.Random(seed)), found)  # noqa: S311


def save_units(province: Province, password: str = "") -> None:
    """Schools and accounts. Without a password one is made up, if any account is missing."""
    province.new_schools = save_schools(province.schools)
    chosen = password or secrets.token_urlsafe(12)
    province.new_accounts = save_accounts(province.schools, chosen)
    if province.new_accounts and not password:
        province.password = chosen


def write_workbooks(province: Province, *, by_county: bool) -> None:
    """The students as one workbook, or one a county, below SHARED_ROOT/imports/sample."""
    folder: Path = settings.SHARED_ROOT / "imports" / "sample"
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"sample-{province.students}-{province.seed}"
    if not by_county:
        _one(province, folder / f"{stem}.xlsx", province.schools)
        return
    for county in sorted({school.county.code for school in province.schools}):
        _one(
            province,
            folder / f"{stem}-{county}.xlsx",
            [s for s in province.schools if s.county.code == county],
        )


def _one(province: Province, path: Path, schools: list[SampleSchool]) -> None:
    parameters = {"students": province.students, "seed": province.seed, "schools": len(schools)}
    if not is_current(path, parameters):
        write_workbook(path, rows(province, schools))
        write_note(path, parameters)
        province.written += 1
    province.workbooks.append(path)


def rows(province: Province, schools: list[SampleSchool]) -> Iterator[dict[str, str]]:
    """The students of some schools. Every county draws from a generator of its own: its children are the
    same whether it is written alone or with the others.
    """
    by_county: dict[str, list[SampleSchool]] = {}
    for school in schools:
        by_county.setdefault(school.county.code, []).append(school)
    for county, members in by_county.items():
        people = People(province.counties, random.Random(f"{province.seed} {county}"))  # noqa: S311
        for school in members:
            yield from people.of_school(school)
