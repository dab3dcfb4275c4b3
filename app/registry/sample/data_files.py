"""The lists that the generator draws from (data/*.csv), read once."""

from __future__ import annotations

import csv
from functools import cache
from itertools import accumulate
from pathlib import Path

DATA = Path(__file__).with_name("data")


def _rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@cache
def surnames() -> tuple[list[str], list[int]]:
    """Surnames and their cumulated weights (per mille, rounded from published frequencies)."""
    rows = _rows("surnames.csv")
    return [row["surname"] for row in rows], list(accumulate(int(row["weight"]) for row in rows))


@cache
def given_characters() -> dict[str, str]:
    """Characters of given names: boy, girl, father, mother."""
    return {row["kind"]: row["characters"] for row in _rows("given_names.csv")}


@cache
def words() -> dict[str, list[str]]:
    """Words for schools and addresses: stem, street, village, estate, workplace, talent."""
    return {row["kind"]: row["names"].split("|") for row in _rows("schools.csv")}


@cache
def elsewhere() -> dict[str, str]:
    """Code → full name of counties of other provinces, for those born or registered there."""
    return {row["code"]: row["name"] for row in _rows("birth_elsewhere.csv")}
