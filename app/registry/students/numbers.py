"""Rules of the numbers: citizen ids (GB 11643-1999), student numbers (S4), school codes. Pure functions.

A student number has 19 characters: a letter and 18 more. `G` + citizen id number; `J` + a self-made id for
those with no usable one (6 region + 8 birth date + 3 sequence + check character); `L`, a temporary number
of equal force given at first registration. The layouts of J and L and the allowed moves are
reconstructed from public practice where the seeds are silent.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"  # ISO 7064 MOD 11-2
CITIZEN_ID_TYPE = "1"
ALLOWED_MOVES = {("L", "G"), ("L", "J"), ("J", "G")}
EARLIEST_YEAR = 1900

_EIGHTEEN = re.compile(r"[1-9]\d{16}[\dX]", re.ASCII)
_SCHOOL_CODE = re.compile(r"\d{10}", re.ASCII)


class CitizenId(NamedTuple):
    """What a citizen id number says: the region at birth (retired codes included), birth date, sex 1 or 2."""

    region: str
    birth_date: dt.date
    sex: str


def check_character(seventeen: str) -> str:
    """The 18th character for 17 digits: `check_character("11010519491231002") == "X"`."""
    total = sum(int(digit) * weight for digit, weight in zip(seventeen, WEIGHTS, strict=True))
    return CHECK_CHARACTERS[total % 11]


def date_of(text: str) -> dt.date | None:
    """The day that eight digits (YYYYMMDD) name, or None where there is no such day."""
    try:
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def parse_citizen_id(number: str) -> CitizenId | None:
    """The parts of a valid 18-character citizen id; None where form, date or check character is wrong.

    The region is not looked up: it is the code at the time of birth, which may have been retired since.
    """
    if not _EIGHTEEN.fullmatch(number) or check_character(number[:17]) != number[17]:
        return None
    born = date_of(number[6:14])
    if born is None or born.year < EARLIEST_YEAR:
        return None
    return CitizenId(number[:6], born, "1" if int(number[16]) % 2 else "2")


def citizen_id_is_valid(number: str) -> bool:
    """Whether `number` is a well-formed citizen id with an existing date and the right check character."""
    return parse_citizen_id(number) is not None


def citizen_id_problem(number: str) -> str:
    """Which rule of GB 11643 a number breaks: "form", "date", "check", or "" for none."""
    if not _EIGHTEEN.fullmatch(number):
        return "form"
    born = date_of(number[6:14])
    if born is None or born.year < EARLIEST_YEAR:
        return "date"
    return "" if check_character(number[:17]) == number[17] else "check"


def student_number_for_citizen(citizen_id: str) -> str:
    """`G` + citizen id; ValueError where the id is not valid."""
    if not citizen_id_is_valid(citizen_id):
        raise ValueError(f"not a valid citizen id: {citizen_id!r}")
    return f"G{citizen_id}"


def self_made_number(region: str, birth_date: dt.date, sequence: int, letter: str = "J") -> str:
    """A `J` number (no usable id) or an `L` one (temporary): 6 region + 8 date + 3 sequence + check.

    `sequence` is 1 to 999; ValueError for anything else, and for a region that isn't six digits.
    """
    if letter not in {"J", "L"}:
        raise ValueError(f"only J and L numbers are self-made: {letter!r}")
    if not re.fullmatch(r"[1-9]\d{5}", region, re.ASCII):
        raise ValueError(f"not a six-digit region code: {region!r}")
    if not 1 <= sequence <= 999:
        raise ValueError(f"sequence {sequence}: 1 to 999")
    seventeen = f"{region}{birth_date:%Y%m%d}{sequence:03}"
    return letter + seventeen + check_character(seventeen)


def student_number_kind(number: str) -> str | None:
    """The letter of a well-formed student number (G, J, L), None for anything else.

    All three kinds carry 18 characters of the citizen id's form, date and check character included.
    """
    if len(number) != 19 or number[0] not in "GJL" or not citizen_id_is_valid(number[1:]):
        return None
    return number[0]


def move_is_allowed(old: str, new: str) -> bool:
    """Whether a student may go from number `old` to `new`: L to G, L to J, J to G; G never changes."""
    kinds = (student_number_kind(old), student_number_kind(new))
    return kinds in ALLOWED_MOVES


def school_code_is_valid(code: str) -> bool:
    """Whether `code` has the form of a school's code: ten digits, the third and fourth a province."""
    return bool(_SCHOOL_CODE.fullmatch(code)) and "11" <= code[2:4] <= "82"


def mask_id(number: str) -> str:
    """An id or student number for the page: the region and the last two characters stay."""
    return number if len(number) < 9 else f"{number[:6]}{'*' * (len(number) - 8)}{number[-2:]}"


def mask_phone(number: str) -> str:
    """A telephone number for the page: three digits at each end stay."""
    return "*" * len(number) if len(number) < 8 else f"{number[:3]}{'*' * (len(number) - 6)}{number[-3:]}"
