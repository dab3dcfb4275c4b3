"""From a cell's value to clean text, before any check.

Excel turns codes into numbers, dates into serials and leaves blanks and full-width digits behind; what can be
undone without guessing is undone here, the rest is left for the check to name.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from decimal import Decimal

LOST_DIGITS = "\ue000"  # private use: marks a number too long for Excel, whose last digits are gone
ERROR_VALUES = frozenset(
    {"#N/A", "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NULL!", "#NUM!", "#SPILL!", "#CALC!"}
)
_WIDE = re.compile("[\uff01-\uff5e]")
_WIDE_WORD = {
    code: code - 0xFEE0 for code in [*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B)]
}
_WIDE_ALL = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_LARGEST = 10**15  # Excel keeps 15 significant digits


def as_text(value: object) -> str:
    """A cell's value as text: numbers without ".0", dates as YYYY-MM-DD, a lossy number marked."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, (int, float)):
        if abs(value) >= _LARGEST:
            return LOST_DIGITS + str(Decimal(value).to_integral_value())
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    return str(value)


def clean(text: str, *, words: bool) -> str:
    """Strip blanks, drop invisible characters and make full-width letters and digits half-width.

    `words`: the field is free text, so Chinese punctuation stays full-width.
    """
    text = text.strip()
    if not text.isprintable():
        text = "".join(" " if char.isspace() else char for char in text if _visible(char)).strip()
    if not text.isascii() and _WIDE.search(text):
        text = text.translate(_WIDE_WORD if words else _WIDE_ALL)
    return text


def _visible(char: str) -> bool:
    return char.isspace() or unicodedata.category(char) not in {"Cc", "Cf"}
