"""Citizen id numbers by the column, with the reason for a refusal in Chinese.

The rules are those of `registry.students.numbers`. A sheet repeats its regions and birth dates, so what
their parts add to the check sum is remembered: a number is proven right by three look-ups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import nan

from registry.students.numbers import CHECK_CHARACTERS, EARLIEST_YEAR, WEIGHTS, check_character, date_of

_CHECKS: dict[float, str] = dict(enumerate(CHECK_CHARACTERS))
_SEXES = {digit: "1" if int(digit) % 2 else "2" for digit in "0123456789"}


class _Digits(dict[str, float]):
    """Digits at one place of a number → their part of the weighted sum; nan where they can't stand there.

    nan makes the whole sum nan, which no check character belongs to.
    """

    def __init__(self, start: int, allowed: Callable[[str], bool]) -> None:
        super().__init__()
        self._start = start
        self._allowed = allowed

    def __missing__(self, digits: str) -> float:
        number = digits.isascii() and digits.isdigit() and self._allowed(digits)
        part = (
            sum(WEIGHTS[self._start + at] * int(digit) for at, digit in enumerate(digits)) if number else nan
        )
        self[digits] = part
        return part


class _Days(dict[str, str]):
    """Eight digits → the day they name as YYYY-MM-DD; "" for none."""

    def __missing__(self, digits: str) -> str:
        day = date_of(digits) if digits.isascii() and digits.isdigit() else None
        self[digits] = text = day.isoformat() if day and day.year >= EARLIEST_YEAR else ""
        return text


class CitizenIds:
    """Checks citizen id numbers; `region_known` says whether six digits are a region's code."""

    def __init__(self, region_known: Callable[[str], bool]) -> None:
        self._regions = _Digits(0, region_known)
        self._days = _Days()
        self._births = _Digits(6, lambda digits: self._days[digits] != "")
        self._sequences = _Digits(14, lambda _: True)
        self._region_known = region_known

    def unproven(self, numbers: Iterable[str]) -> list[int]:
        """The positions of the numbers that aren't proven right: wrong ones, other documents', empty ones."""
        regions, births, sequences, checks = self._regions, self._births, self._sequences, _CHECKS
        return [
            at
            for at, number in enumerate(numbers)
            if checks.get((regions[number[:6]] + births[number[6:14]] + sequences[number[14:17]]) % 11)
            != number[17:]
        ]

    def unlike(self, numbers: Iterable[str], births: Iterable[str], sexes: Iterable[str]) -> list[int]:
        """The positions where a number's birth date (YYYY-MM-DD) or sex (1, 2) isn't the one beside it."""
        days = self._days
        return [
            at
            for at, (number, birth, sex) in enumerate(zip(numbers, births, sexes, strict=True))
            if days[number[6:14]] != birth or _SEXES.get(number[16:17]) != sex
        ]

    def problem(self, number: str) -> str:
        """What is wrong with the number itself, in Chinese; "" where nothing is."""
        if len(number) != 18:
            return (
                "15 位旧身份证号已停用，请填 18 位"
                if len(number) == 15
                else f"居民身份证号应为 18 位，现为 {len(number)} 位"
            )
        digits = number[:17]
        if not (digits.isascii() and digits.isdigit()) or number[17] not in CHECK_CHARACTERS:
            return "居民身份证号前 17 位应为数字，末位应为数字或 X"
        if not self.birth_date(number):
            return f"居民身份证号第 7 至 14 位“{number[6:14]}”不是有效日期"
        if check_character(digits) != number[17]:
            return "居民身份证号校验码不对，请逐位核对"
        if not self._region_known(number[:6]):
            # the region part is the code at birth: retired codes are as good as any
            return f"居民身份证号前 6 位 {number[:6]} 不是行政区划代码"
        return ""

    def birth_date(self, number: str) -> str:
        """The birth date (YYYY-MM-DD) in a number; "" where there is none."""
        return self._days[number[6:14]]
