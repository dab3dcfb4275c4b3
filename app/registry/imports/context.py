"""What the checks know about the world around the workbook, read once before a job is checked."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

# First two digits of GB/T 2260: a region of a province whose counties we don't hold is checked only this far.
_SERIES = (
    range(11, 16),
    range(21, 24),
    range(31, 38),
    range(41, 47),
    range(50, 55),
    range(61, 66),
    (71, 81, 82, 83),
)
PROVINCES = frozenset(str(number) for series in _SERIES for number in series)


@dataclass(frozen=True)
class SchoolRow:
    """What the checks and the loading need of a school."""

    pk: int
    name: str
    region_path: str
    stage: str
    closed: bool = False


@dataclass(frozen=True)
class Context:
    """The world as the checks see it. Plain data: it travels to other processes.

    `schools`: school code → row, of the uploader's scope; `foreign_schools`: codes that exist outside it;
    `void_schools`: code that is no longer valid → the code that took its place.
    `regions`: all region codes held, retired ones included; `complete`: provinces (first two digits) of which
    every county code is held. `date1904`: the workbook counts days from 1904.
    """

    today: dt.date
    schools: dict[str, SchoolRow] = field(default_factory=dict)
    foreign_schools: frozenset[str] = frozenset()
    void_schools: dict[str, str] = field(default_factory=dict)
    regions: frozenset[str] = frozenset()
    complete: frozenset[str] = frozenset()
    date1904: bool = False

    def region_known(self, code: str) -> bool:
        """Whether a six-digit code is, or once was, a region."""
        if code in self.regions:
            return True
        return code[:2] in PROVINCES and code[:2] not in self.complete
