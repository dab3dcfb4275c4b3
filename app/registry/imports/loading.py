"""Turning staged chunks into students, family members and student numbers, by bulk load.

Runs inside the transaction that also finishes the job. Numbers: every newly registered student gets an
`L` number (registry.md: "given at first registration, before the national check"): L + citizen id, or L +
a self-made 18 characters for those without one. The national check later moves it to G or J.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import Q

from registry.imports.bulk import BulkLoader, Constant
from registry.imports.context import Context, SchoolRow
from registry.imports.errors import WorkbookError
from registry.imports.staging import load_payload
from registry.students.fields import all_fields
from registry.students.models import FamilyMember, Status, Student, StudentNumber
from registry.students.names import search_keys
from registry.students.numbers import CITIZEN_ID_TYPE, self_made_number

_DERIVED = {"school_code", "name_pinyin"}
_MEMBERS = ("member1", "member2")
STUDENT_KEYS = [
    field.key for field in all_fields() if field.key not in _DERIVED and not field.key.startswith(_MEMBERS)
]
MEMBER_KEYS = [
    field.key.removeprefix("member1_") for field in all_fields() if field.key.startswith("member1_")
]
_REASON = "数据导入时登记"
_NULLABLE = {"distance_km"}
_PREFIXES = 100  # regions and birth dates looked up by one query
_YEARS = {"primary": (10, 6), "junior": (20, 3), "senior": (30, 3)}

Columns = dict[str, list[Any]]


@dataclass
class Batch:
    """One chunk's rows as columns of `Student` and of `FamilyMember` (`owners`: position in the chunk)."""

    students: Columns
    family: Columns
    owners: list[int]
    without_id: list[int]

    def __len__(self) -> int:
        return len(self.students["name"])


class Numbers:
    """Hands out self-made numbers that nobody holds, in the registry or earlier in this file."""

    def __init__(self, given: set[str]) -> None:
        self._taken = given
        self._looked_up: set[str] = set()

    def look_up(self, places: Iterable[tuple[str, str]]) -> None:
        """Learn which numbers of these regions and birth dates are held: a hundred pairs a query."""
        new = sorted({_prefix(*place) for place in places} - self._looked_up)
        for start in range(0, len(new), _PREFIXES):
            several = new[start : start + _PREFIXES]
            held = Student.objects.filter(
                reduce(or_, (Q(student_number__startswith="L" + prefix) for prefix in several))
            )
            self._taken.update(held.values_list("student_number", flat=True))
            self._looked_up.update(several)

    def give(self, region: str, birth_date: str) -> str:
        """The next free L number of a region and a birth date, counted down from 999 [R]."""
        day = dt.date.fromisoformat(birth_date)
        for sequence in range(999, 0, -1):
            number = self_made_number(region[:6], day, sequence, letter="L")
            if number not in self._taken:
                self._taken.add(number)
                return number
        raise ValueError(f"all 999 self-made numbers of {_prefix(region, birth_date)} are taken")


def _prefix(region: str, birth_date: str) -> str:
    """The first fourteen of the eighteen characters: region and birth date."""
    return region[:6] + birth_date.replace("-", "")


def load_all(
    payloads: Iterable[bytes],
    rejected: set[int],
    loader: BulkLoader,
    context: Context,
    *,
    identities: Iterable[str],
    now: dt.datetime,
    by_id: int,
) -> tuple[int, set[int]]:
    """Load every staged row that is not in `rejected` (sheet rows); returns how many, and into which schools.

    `identities`: all id numbers of the file, which self-made numbers keep clear of. The next chunk is made
    ready in a thread while the database takes in the one before.
    """
    numbers = Numbers({"L" + identity for identity in identities if identity})
    loaded, schools = 0, set()
    for batch in _prepared(payloads, rejected, context):
        if len(batch):
            _load(batch, loader, numbers, now=now, by_id=by_id)
            loaded += len(batch)
            schools.update(map(int, batch.students["school"]))
    return loaded, schools


def _prepared(payloads: Iterable[bytes], rejected: set[int], context: Context) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1) as beside:
        later = None
        for payload in payloads:
            following = beside.submit(prepare, payload, rejected, context)
            if later is not None:
                yield later.result()
            later = following
        if later is not None:
            yield later.result()


def prepare(payload: bytes, rejected: set[int], context: Context) -> Batch:
    """A staged chunk's columns as the models want them, derived columns included."""
    numbers, columns = load_payload(payload)
    if rejected.intersection(numbers):
        kept = [at for at, row in enumerate(numbers) if row not in rejected]
        columns = {key: [values[at] for at in kept] for key, values in columns.items()}
        numbers = [numbers[at] for at in kept]
    height = len(numbers)
    blank = [""] * height
    cells = {key: columns.get(key, blank) for key in (field.key for field in all_fields())}
    schools = [_school(context, code) for code in cells["school_code"]]
    students: Columns = {key: cells[key] for key in STUDENT_KEYS}
    for key in _NULLABLE:
        students[key] = [value or None for value in students[key]]
    students["grade"] = [
        grade or _grade(school, month, context.today)
        for grade, school, month in zip(cells["grade"], schools, cells["admission_month"], strict=True)
    ]
    students["school"] = [str(school.pk) for school in schools]
    students["region_path"] = [school.region_path for school in schools]
    read = [search_keys(*pair) for pair in zip(cells["name"], cells["name_pinyin"], strict=True)]
    for position, key in enumerate(("name_pinyin", "search_pinyin", "search_initials")):
        students[key] = [keys[position] for keys in read]
    students["student_number"] = [
        "L" + number if kind == CITIZEN_ID_TYPE else ""
        for kind, number in zip(cells["id_type"], cells["id_number"], strict=True)
    ]
    family, owners = _family(cells)
    without = [at for at, number in enumerate(students["student_number"]) if not number]
    return Batch(students=students, family=family, owners=owners, without_id=without)


def _school(context: Context, code: str) -> SchoolRow:
    school = context.schools.get(code)
    if school is None or school.closed:
        raise WorkbookError(
            "school-gone", f"检查之后，学校 {code} 已撤销或划出您的管理范围", "请重新上传，再检查一遍"
        )
    return school


def _grade(school: SchoolRow, month: str, today: dt.date) -> str:
    """Field 77 where it is empty: from the month of admission, for schools of one stage; "" otherwise."""
    base, years = _YEARS.get(school.stage, (0, 0))
    year = (today.year if today.month >= 8 else today.year - 1) - int(month[:4]) + 1
    return str(base + year) if 1 <= year <= years else ""


def _family(cells: dict[str, list[str]]) -> tuple[Columns, list[int]]:
    family: Columns = {key: [] for key in (*MEMBER_KEYS, "position")}
    owners: list[int] = []
    for position, member in enumerate(_MEMBERS, start=1):
        present = [at for at, name in enumerate(cells[f"{member}_name"]) if name]
        owners += present
        family["position"] += [str(position)] * len(present)
        for key in MEMBER_KEYS:
            values = cells[f"{member}_{key}"]
            family[key] += [values[at] for at in present]
    return family, owners


def _load(batch: Batch, loader: BulkLoader, numbers: Numbers, *, now: dt.datetime, by_id: int) -> None:
    students = batch.students
    student_numbers = students["student_number"]
    places = [(students["birth_region"][at], students["birth_date"][at]) for at in batch.without_id]
    numbers.look_up(places)
    for at, place in zip(batch.without_id, places, strict=True):
        student_numbers[at] = numbers.give(*place)
    ids = [str(number) for number in loader.reserve_ids(Student, len(batch))]
    loader.insert(
        Student,
        {
            "id": ids,
            **students,
            "active_key": student_numbers,
            "status": Constant(Status.ACTIVE),
            "photo": Constant(""),
            "created_at": Constant(now),
            "updated_at": Constant(now),
        },
    )
    if batch.owners:
        loader.insert(FamilyMember, {"student": [ids[at] for at in batch.owners], **batch.family})
    loader.insert(
        StudentNumber,
        {
            "student": ids,
            "kind": Constant("L"),
            "number": student_numbers,
            "since": Constant(now),
            "reason": Constant(_REASON),
            "by": Constant(by_id),
        },
    )
