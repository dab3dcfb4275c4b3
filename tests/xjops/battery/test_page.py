"""docs/reference/errors.md says what the battery proves."""

from __future__ import annotations

from tests.xjops.battery import page
from tests.xjops.battery.battery import BATTERY
from tests.xjops.battery.case import KILLED


def test_the_page_is_current() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.refreshed(text) == text, "run: python -m tests.xjops.battery.page"


def test_no_two_cases_are_called_the_same() -> None:
    for area, cases in BATTERY.items():
        names = [case.what for case in cases]
        assert len(set(names)) == len(names), area


def test_every_error_says_how_to_mend_it() -> None:
    silent = [
        (area, case.what)
        for area, cases in BATTERY.items()
        for case in cases
        if case.code not in (0, 130, KILLED) and not all(" → " in line for line in case.errors)
    ]
    assert silent == []
