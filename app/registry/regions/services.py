"""Loading the region tree from its data file (regions/data/regions.csv).

The file holds the country, every province, and all of Shaanxi's codes since 1980, retired ones included.
Dates are the month in which the yearly list first shows the change; empty means "since before 1981" or
"still in force". Source: GB/T 2260 and the Ministry of Civil Affairs' published lists.
"""

from __future__ import annotations

import csv
import datetime as dt
from importlib import resources
from typing import Any

from registry.regions.models import COUNTRY, Level


def level_of(code: str) -> Level:
    """The level that a GB/T 2260 code names by its zeros."""
    if code == COUNTRY:
        return Level.MINISTRY
    if code.endswith("0000"):
        return Level.PROVINCE
    return Level.CITY if code.endswith("00") else Level.COUNTY


def parent_code(code: str, known: set[str]) -> str | None:
    """The code of the region above: by the digits, or the province where no such city exists."""
    level = level_of(code)
    if level == Level.MINISTRY:
        return None
    if level == Level.PROVINCE:
        return COUNTRY
    city = code[:4] + "00"
    return city if level == Level.COUNTY and city in known else code[:2] + "0000"


def read_regions() -> list[dict[str, str]]:
    """The rows of the data file, parents before children."""
    text = resources.files("registry.regions").joinpath("data/regions.csv").read_text("utf-8")
    return sorted(csv.DictReader(text.splitlines()), key=lambda row: row["code"])


def _path(code: str, parents: dict[str, str | None]) -> str:
    above = parents[code]
    return "" if above is None else _path(above, parents) + code


def _day(text: str) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None


def load_regions(region_model: Any) -> int:
    """Insert the regions that are missing, and return how many there were; existing rows stay as they are.

    Takes the model class so that a migration can pass its historical one.
    """
    rows = read_regions()
    known = {row["code"] for row in rows}
    parents = {code: parent_code(code, known) for code in known}
    present = set(region_model.objects.values_list("code", flat=True))
    missing = [
        region_model(
            code=row["code"],
            name=row["name"],
            level=level_of(row["code"]).value,
            parent_id=parents[row["code"]],
            path=_path(row["code"], parents),
            valid_from=_day(row["valid_from"]),
            valid_to=_day(row["valid_to"]),
        )
        for row in rows
        if row["code"] not in present
    ]
    region_model.objects.bulk_create(missing)
    return len(missing)
