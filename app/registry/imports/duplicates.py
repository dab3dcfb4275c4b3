"""Who is in the file twice, and who is in the registry already.

By id number; by name, sex and birth date where the id is absent [R]. Every member of a group within the
file is rejected: which of them is right only the school can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from django.db import connection

from registry.imports.context import Context
from registry.students.models import Status, Student

Found = dict[int, tuple[str, str]]
"""Sheet row → (field key, text)."""

_BATCH = 10_000  # keys a query, where the database takes as many


def within_file(keys: Iterable[tuple[int, str, str]]) -> Found:
    """The rows that share an id number, or name, sex and birth date, with another row of the file."""
    found: Found = {}
    first: tuple[dict[str, int], dict[str, int]] = ({}, {})
    texts = (
        ("id_number", "与本文件第 {} 行的证件号相同"),
        ("name", "与本文件第 {} 行的姓名、性别、出生日期相同，且都没有证件号"),
    )
    for row, *pair in keys:
        for seen, key, (field, text) in zip(first, pair, texts, strict=True):
            if not key:
                continue
            other = seen.setdefault(key, row)
            if other != row:
                found[row] = (field, text.format(other))
                found.setdefault(other, (field, text.format(row)))
    return found


def in_registry(keys: Iterable[tuple[int, str, str]], context: Context) -> Found:
    """The rows whose student holds a registration already (void ones don't count)."""
    by_id: dict[str, int] = {}
    by_name: dict[str, int] = {}
    for row, identity, name in keys:
        if identity:
            by_id[identity] = row
        elif name:
            by_name[name] = row
    found: Found = {}
    standing = Student.objects.exclude(status=Status.VOID)
    for batch in _batches(by_id):
        rows = standing.filter(id_number__among=batch).values_list("id_number", "school__code")
        for identity, school in rows:
            found[by_id[identity]] = ("id_number", f"该证件号已有学籍（{_where(school, context)}）")
    for batch in _batches(by_name):
        names = {key.partition("|")[0] for key in batch}
        rows = standing.filter(name__among=names).values_list("name", "sex", "birth_date", "school__code")
        for name, sex, birth, school in rows:
            at = by_name.get(f"{name}|{sex}|{birth}")
            if at is not None:
                found[at] = ("name", f"姓名、性别、出生日期相同的学生已有学籍（{_where(school, context)}）")
    return found


def _where(school_code: str, context: Context) -> str:
    """A school outside the uploader's scope is not named."""
    school = context.schools.get(school_code)
    return school.name if school else "不在您的管理范围内的学校"


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    source = iter(keys)
    while batch := list(islice(source, connection.ops.max_in_list_size() or _BATCH)):
        yield batch
