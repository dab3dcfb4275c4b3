"""Finding students."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from registry.students.models import Student
from registry.students.search import search
from registry.web.paging import PAGE_SIZE

from .. import factories


def names(words: str, cursor: str = "") -> list[str]:
    return [student.name for student in search(Student.objects.all(), words, cursor).page.rows]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("张小雨", ["张小雨"]),
        ("张", ["张小雨", "张小雪"]),
        (" 张小 ", ["张小雨", "张小雪"]),
        ("小雨", []),
        ("zhang", ["张小雪", "张小雨"]),
        ("ZhangXiaoYu", ["张小雨"]),
        ("zhang xiao yu", ["张小雨"]),
        ("zxy", ["张小雨"]),
        ("ZX", []),
        ("zxx", ["张小雪"]),
        ("ｚｘｙ", ["张小雨"]),
        ("shansiyuan", ["单思远"]),
        ("ssy", ["单思远"]),
        ("100%", []),
        ("张_", []),
    ],
)
@pytest.mark.usefixtures("world")
def test_names_and_pinyin(words: str, expected: list[str]) -> None:
    assert names(words) == expected


def test_numbers_by_prefix_and_whole(world: SimpleNamespace) -> None:
    student = world.students["near"]
    for words in (student.student_number, student.student_number[:17], student.student_number.lower()):
        assert names(words) == ["张小雨"], words
    for words in (
        student.id_number,
        student.id_number[:17],
        f" {student.id_number[:6]} {student.id_number[6:]}",
    ):
        assert names(words) == ["张小雨"], words


@pytest.mark.parametrize("words", ["61011", "G6101", "1", "张3"])
@pytest.mark.usefixtures("world")
def test_too_short_a_number_gets_a_hint(words: str) -> None:
    found = search(Student.objects.all(), words)
    assert not found.page.rows
    assert "6" in found.hint


@pytest.mark.usefixtures("world")
def test_one_letter_gets_a_hint() -> None:
    assert search(Student.objects.all(), "z").hint


def page_through(words: str) -> list[int]:
    seen: list[int] = []
    cursor = ""
    while True:
        page = search(Student.objects.all(), words, cursor).page
        seen += [student.pk for student in page.rows]
        if not page.after:
            return seen
        assert len(page.rows) == PAGE_SIZE
        cursor = page.after


@pytest.mark.parametrize("words", ["", "王", "wang", "wm", "wa", "610113", "G61011"])
def test_pages_show_everyone_exactly_once(world: SimpleNamespace, words: str) -> None:
    school = world.schools["near"]
    made = [
        factories.make_student(school, name="王明" if number % 3 else "王马")
        for number in range(2 * PAGE_SIZE + 7)
    ]
    seen = page_through(words)
    assert len(seen) == len(set(seen))
    assert {student.pk for student in made} <= set(seen)


@pytest.mark.usefixtures("world")
def test_a_forged_cursor_starts_over() -> None:
    assert names("zhang", "forged") == names("zhang")
