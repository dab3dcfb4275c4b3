"""Workbooks for the tests: valid rows, and every way to spoil a workbook."""

from __future__ import annotations

import datetime as dt
import itertools
from pathlib import Path
from typing import Any

import xlsxwriter

from registry.students.fields import all_fields
from registry.students.numbers import check_character

HEADERS = [field.name for field in all_fields()]
KEYS = [field.key for field in all_fields()]
_sequence = itertools.count(1)


def citizen_id(region: str = "610113", born: str = "20190305", sequence: int = 1) -> str:
    """A valid citizen id; an odd sequence makes a boy's."""
    first17 = f"{region}{born}{sequence:03d}"
    return first17 + check_character(first17)


def good_row(school: str = "2161000001", **values: Any) -> dict[str, Any]:
    """One valid row, keyed as in registry.students.fields; every call another child."""
    number = next(_sequence)
    born = dt.date(2015, 1, 1) + dt.timedelta(days=number % 1499)
    boy = number % 2 == 1
    row: dict[str, Any] = {
        "school_code": school,
        "name": "李小雨",
        "sex": "1" if boy else "2",
        "birth_date": f"{born:%Y%m%d}",
        "birth_region": "610113",
        "native_place": "陕西西安",
        "ethnicity": "01",
        "nationality": "CHN",
        "id_type": "1",
        "overseas": "00",
        "health": "10",
        "political": "13",
        "id_number": citizen_id(born=f"{born:%Y%m%d}", sequence=number % 1000),
        "household_type": "2",
        "household_region": "610113",
        "class_number": "0101",
        "admission_month": "202509",
        "admission_way": "11",
        "attendance": "1",
        "current_address": "雁塔区小寨路1号",
        "postal_address": "雁塔区小寨路1号",
        "home_address": "雁塔区小寨路1号",
        "phone": "13300000000",
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
        "disability": "0",
        "mainstreamed": "0",
        "member1_name": "李建国",
        "member1_kinship": "51",
        "member1_address": "雁塔区小寨路1号",
        "member1_household_region": "610113",
        "member1_phone": "13300000001",
        "member1_guardian": "1",
        "migrant_child": "0",
    }
    return row | values


def good_rows(count: int, school: str = "2161000001") -> list[dict[str, Any]]:
    """Some valid rows."""
    return [good_row(school) for _ in range(count)]


class Book:
    """A workbook being made; write what you like beside the rows."""

    def __init__(
        self, path: Path, *, headers: list[str] | None = None, keys: list[str] | None = None
    ) -> None:
        self.path = path
        self.keys = KEYS if keys is None else keys
        self.book = xlsxwriter.Workbook(path, {"strings_to_formulas": False})
        self.sheet = self.book.add_worksheet("学生信息")
        self.day = self.book.add_format({"num_format": "yyyy-mm-dd"})
        self.line = 0
        self.write_line(HEADERS if headers is None else headers)

    def write_line(self, cells: list[Any]) -> None:
        """Write one line as it is: text as text, numbers as numbers, dates as dates."""
        for at, cell in enumerate(cells):
            if isinstance(cell, dt.date):
                self.sheet.write_datetime(self.line, at, dt.datetime.combine(cell, dt.time()), self.day)
            elif isinstance(cell, str):
                self.sheet.write_string(self.line, at, cell)
            elif cell is not None:
                self.sheet.write(self.line, at, cell)
        self.line += 1

    def rows(self, rows: list[dict[str, Any]]) -> Book:
        """Write rows under the header."""
        for row in rows:
            self.write_line([row.get(key) for key in self.keys])
        return self

    def save(self) -> Path:
        """Close the file."""
        self.book.close()
        return self.path


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """A plain workbook of these rows."""
    return Book(path).rows(rows).save()
