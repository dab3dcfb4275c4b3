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
from typing import Any

from registry.imports.bulk import BulkLoader, Constant
from registry.imports.context import Context, SchoolRow
from registry.imports.errors import WorkbookError
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

    def __init__(self) -> None:
        self._taken: dict[str, set[str]] = {}

    def give(self, region: str, birth_date: str, also_taken: set[str]) -> str:
        """The next free L number of a region and a birth date, counted down from 999 [R]."""
        day = dt.date.fromisoformat(birth_date)
        prefix = f"{region[:6]}{day:%Y%m%d}"
        taken = self._taken.get(prefix)
        if taken is None:
            held = Student.objects.filter(student_number__startswith="L" + prefix)
            taken = self._taken[prefix] = set(held.values_list("student_number", flat=True))
        for sequence in range(999, 0, -1):
            number = self_made_number(region[:6], day, sequence, letter="L")
            if number not in taken and number not in also_taken:
                taken.add(number)
                return number
        raise ValueError(f"all 999 self-made numbers of {prefix} are taken")


def load_all(
    payloads: Iterable[dict[str, Any]],
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
    numbers = Numbers()
    given = {"L" + identity for identity in identities if identity}
    loaded, schools = 0, set()
    for batch in _prepared(payloads, rejected, context):
        if len(batch):
            _load(batch, loader, numbers, given, now=now, by_id=by_id)
            loaded += len(batch)
            schools.update(map(int, batch.students["school"]))
    return loaded, schools


def _prepared(payloads: Iterable[dict[str, Any]], rejected: set[int], context: Context) -> Iterator[Batch]:
    with ThreadPoolExecutor(max_workers=1) as beside:
        later = None
        for payload in payloads:
            following = beside.submit(prepare, payload, rejected, context)
            if later is not None:
                yield later.result()
            later = following
        if later is not None:
            yield later.result()


def prepare(payload: dict[str, Any], rejected: set[int], context: Context) -> Batch:
    """A staged chunk's columns as the models want them, derived columns included."""
    columns, numbers = payload["columns"], payload["numbers"]
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


def _load(
    batch: Batch, loader: BulkLoader, numbers: Numbers, given: set[str], *, now: dt.datetime, by_id: int
) -> None:
    students = batch.students
    student_numbers = students["student_number"]
    for at in batch.without_id:
        student_numbers[at] = numbers.give(students["birth_region"][at], students["birth_date"][at], given)
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
