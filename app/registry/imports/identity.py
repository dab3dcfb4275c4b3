"""Citizen id numbers by the column, with the reason for a refusal in Chinese.

The rules are those of `registry.students.numbers`. A sheet repeats its regions and birth dates, so their
parts of the weighted sum are remembered: a number costs three look-ups.
"""

from __future__ import annotations

from registry.students.numbers import CHECK_CHARACTERS, EARLIEST_YEAR, WEIGHTS, date_of


class CitizenIds:
    """Checks citizen id numbers, remembering what their parts add to the check sum."""

    def __init__(self) -> None:
        self._regions: dict[str, int | None] = {}
        self._days: dict[str, tuple[int, str] | None] = {}
        self._sequences: dict[str, int | None] = {}

    def problem(self, number: str) -> str:
        """What is wrong with the number itself, in Chinese; "" where nothing is."""
        if len(number) != 18:
            return (
                "15 位旧身份证号已停用，请填 18 位"
                if len(number) == 15
                else f"居民身份证号应为 18 位，现为 {len(number)} 位"
            )
        region, day, sequence = (
            self._region(number[:6]),
            self._day(number[6:14]),
            self._sequence(number[14:17]),
        )
        if (
            region is None
            or sequence is None
            or not number[6:14].isdigit()
            or number[17] not in CHECK_CHARACTERS
        ):
            return "居民身份证号前 17 位应为数字，末位应为数字或 X"
        if day is None:
            return f"居民身份证号第 7 至 14 位“{number[6:14]}”不是有效日期"
        if CHECK_CHARACTERS[(region + day[0] + sequence) % 11] != number[17]:
            return "居民身份证号校验码不对，请逐位核对"
        return ""

    def birth_date(self, number: str) -> str:
        """The birth date (YYYY-MM-DD) of a number without problem."""
        day = self._day(number[6:14])
        return day[1] if day else ""

    def _region(self, digits: str) -> int | None:
        if digits not in self._regions:
            self._regions[digits] = _weighted(digits, 0)
        return self._regions[digits]

    def _sequence(self, digits: str) -> int | None:
        if digits not in self._sequences:
            self._sequences[digits] = _weighted(digits, 14)
        return self._sequences[digits]

    def _day(self, digits: str) -> tuple[int, str] | None:
        if digits not in self._days:
            weighted = _weighted(digits, 6)
            day = date_of(digits) if weighted is not None else None
            self._days[digits] = (
                (weighted or 0, day.isoformat()) if day and day.year >= EARLIEST_YEAR else None
            )
        return self._days[digits]


def _weighted(digits: str, start: int) -> int | None:
    if not (digits.isascii() and digits.isdigit()):
        return None
    return sum(WEIGHTS[start + at] * int(digit) for at, digit in enumerate(digits))
