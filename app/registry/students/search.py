"""Finding students: by name, pinyin, initials, student number or id number; each by one index.

What was typed decides the index: Chinese characters look in the name, latin letters in the pinyin (and, up
to a few letters, in the initials), digits in the id number, a letter G, J or L with digits in the student
number. Every look-up is a prefix or an exact one, so that it stays quick with millions of students.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from heapq import merge

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from registry.students.models import Student
from registry.web.paging import PAGE_SIZE, Page, cursor_of, page_of

_STUDENT_NUMBER = re.compile(r"[GJL]\d{5,17}[\dX]?", re.ASCII)
_ID_NUMBER = re.compile(r"\d{5,17}[\dX]|[A-Z]{1,3}\d{5,}", re.ASCII)
_LATIN = re.compile(r"[a-z]+", re.ASCII)
_BLANKS = re.compile(r"[\s'’·-]+")

LETTERS_AT_LEAST, INITIALS_AT_MOST = 2, 5
BY_PINYIN = ("search_pinyin", "id")
BY_NAME = ("name", "birth_date", "id")
LATEST = ("-id",)
BY_CLASS = ("grade", "class_number", "search_pinyin", "id")
NOTHING: Page[Student] = Page([], "", first=True)


@dataclass(frozen=True)
class Found:
    """One page of results; `hint` says what to type instead when the words can't be looked up."""

    page: Page[Student]
    hint: str = ""


def search(
    students: QuerySet[Student], words: str, cursor: str = "", *, browse: tuple[str, ...] = LATEST
) -> Found:
    """Those of `students` that `words` find; with no words all of them in the order `browse`."""
    words = unicodedata.normalize("NFKC", words).strip()
    number = _BLANKS.sub("", words).upper()
    if not words:
        found = Found(page_of(students, browse, cursor))
    elif _STUDENT_NUMBER.fullmatch(number):
        found = _by_prefix(students, "student_number", number, cursor)
    elif _ID_NUMBER.fullmatch(number):
        found = _by_prefix(students, "id_number", number, cursor)
    elif any(character.isdigit() for character in number):
        found = Found(NOTHING, _("请至少输入证件号或学籍号的前 6 位。"))
    elif _LATIN.fullmatch(number.lower()):
        found = _by_pinyin(students, number.lower(), cursor)
    else:
        found = Found(page_of(students.filter(name__startswith=words), BY_NAME, cursor))
    return found


def _by_prefix(students: QuerySet[Student], column: str, prefix: str, cursor: str) -> Found:
    found = students.filter(**{f"{column}__startswith": prefix})
    return Found(page_of(found, (column, "id"), cursor))


def _by_pinyin(students: QuerySet[Student], letters: str, cursor: str) -> Found:
    """Pinyin by prefix and initials exactly: two index scans of a page each, merged.

    One query with OR would have to collect and sort every match before it knew the first page.
    """
    if len(letters) < LETTERS_AT_LEAST:
        return Found(NOTHING, _("拼音请至少输入 2 个字母。"))
    by_prefix = page_of(students.filter(search_pinyin__startswith=letters), BY_PINYIN, cursor)
    if len(letters) > INITIALS_AT_MOST:
        return Found(by_prefix)
    by_initials = page_of(students.filter(search_initials=letters), BY_PINYIN, cursor)

    def place(student: Student) -> tuple[str, int]:
        return student.search_pinyin, student.pk

    rows = list(merge(by_prefix.rows, by_initials.rows, key=place))
    rows = [row for at, row in enumerate(rows) if not at or row.pk != rows[at - 1].pk]
    more = len(rows) > PAGE_SIZE or bool(by_prefix.after or by_initials.after)
    rows = rows[:PAGE_SIZE]
    return Found(Page(rows, cursor_of(rows[-1], BY_PINYIN) if more else "", by_prefix.first))
