"""The rules of a cell again, as plainly as they can be said and with nothing of the code under test.

Each oracle takes a cell's text as typed and answers the normalized text, or None where the cell is wrong.
"""

from __future__ import annotations

import calendar
import unicodedata

PROVINCES = set()
for tens, units in (("1", "12345"), ("2", "123"), ("3", "1234567"), ("4", "123456"), ("5", "01234")):
    PROVINCES.update(tens + unit for unit in units)
PROVINCES.update(("61", "62", "63", "64", "65", "71", "81", "82", "83"))


def tidy(text: str) -> str:
    """Half-width, without blanks around."""
    narrow = "".join(
        chr(ord(char) - 0xFEE0) if 0xFF01 <= ord(char) <= 0xFF5E else " " if char == "\u3000" else char
        for char in text
    )
    return narrow.strip()


def digits_only(text: str) -> bool:
    return text != "" and all(char in "0123456789" for char in text)


def valid_day(year: int, month: int, day: int) -> bool:
    return 1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]


def date(text: str, today: tuple[int, int, int]) -> str | None:
    """Eight digits, or year, month and day with one kind of separator."""
    text = tidy(text)
    if len(text) == 8 and digits_only(text):
        parts = (int(text[:4]), int(text[4:6]), int(text[6:]))
    else:
        for separator in "-/.":
            pieces = text.split(separator)
            if len(pieces) == 3 and all(digits_only(piece) for piece in pieces):
                break
        else:
            return None
        if len(pieces[0]) != 4 or len(pieces[1]) > 2 or len(pieces[2]) > 2:
            return None
        parts = (int(pieces[0]), int(pieces[1]), int(pieces[2]))
    if not valid_day(*parts) or not (1970, 1, 1) <= parts <= today:
        return None
    return f"{parts[0]:04d}-{parts[1]:02d}-{parts[2]:02d}"


def region(text: str, known: set[str], complete: set[str]) -> str | None:
    """Six or twelve digits; a province held completely must know the county."""
    text = tidy(text)
    if not digits_only(text) or len(text) not in (6, 12):
        return None
    code = text[:6]
    if code in known:
        return text
    return text if code[:2] in PROVINCES and code[:2] not in complete else None


def postcode(text: str) -> str | None:
    """Six digits; five are six whose zero Excel dropped."""
    text = tidy(text)
    if not digits_only(text) or len(text) not in (5, 6):
        return None
    return "0" * (6 - len(text)) + text


def class_number(text: str) -> str | None:
    """Up to four digits, not all zero, filled up to four."""
    text = tidy(text)
    if not digits_only(text) or len(text) > 4 or set(text) == {"0"}:
        return None
    return "0" * (4 - len(text)) + text


def mobile(text: str) -> str | None:
    """A bare mobile number."""
    text = tidy(text)
    if digits_only(text) and len(text) == 11 and text[0] == "1" and text[1] in "3456789":
        return text
    return None


def code(text: str, table: dict[str, str]) -> str | None:
    """A code (leading zero or not), a name, or "code-name"; `table`: code → name."""
    text = tidy(text)
    for known, name in table.items():
        shapes = {known, name, f"{known}-{name}", f"{known} {name}"}
        if text.casefold() in {unicodedata.normalize("NFKC", shape).casefold() for shape in shapes}:
            return known
        if known.startswith("0") and digits_only(text) and text == str(int(known)):
            return known
    return None


def citizen_id(number: str) -> bool:
    """GB 11643: eighteen characters, a real day, ISO 7064 MOD 11-2 by its definition (digit · 2^position)."""
    if len(number) != 18 or not digits_only(number[:17]) or number[17] not in "0123456789X":
        return False
    if not valid_day(int(number[6:10]), int(number[10:12]), int(number[12:14])) or int(number[6:10]) < 1900:
        return False
    values = [int(char) for char in number[:17]] + [10 if number[17] == "X" else int(number[17])]
    return sum(value * 2 ** (17 - at) for at, value in enumerate(values)) % 11 == 1
