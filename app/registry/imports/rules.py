"""What has to agree between the cells of a row.

Every rule looks at whole columns and reports (position, field key, text). Cells that already failed their own
check are left alone: one mistake, one text.
"""

from __future__ import annotations

from collections.abc import Iterator

from registry.imports.columns import Bad
from registry.imports.context import Context
from registry.imports.identity import CitizenIds
from registry.students.fields import all_fields

Columns = dict[str, list[str]]
Finding = tuple[int, str, str]

CITIZEN, OTHER_ID = "1", "Z"
# disability → the kinds of attendance at an ordinary school that go with it
MAINSTREAMED_FOR = {"0": "0", "1": "01", "2": "02", "5": "03"}
_OTHER_DISABILITY = "04"
_MEMBER_2 = [field.key for field in all_fields() if field.key.startswith("member2_")]


def all_findings(columns: Columns, context: Context, citizens: CitizenIds) -> Iterator[Finding]:
    """Everything the rules find in one chunk's columns (all 78 present, absent ones empty)."""
    yield from _student_id(columns, citizens)
    for member in ("member1", "member2"):
        yield from _member_id(columns, member, citizens)
    yield from _member1_needs_id(columns)
    yield from _member2_whole(columns)
    yield from _disability(columns)
    yield from _admission(columns)


def _student_id(columns: Columns, citizens: CitizenIds) -> Iterator[Finding]:
    """Field 13: required unless the type is Z; a citizen number agrees with region, birth date and sex."""
    kinds, numbers = columns["id_type"], columns["id_number"]
    births, sexes = columns["birth_date"], columns["sex"]
    doubtful = {at for at, kind in enumerate(kinds) if kind != CITIZEN}
    doubtful.update(citizens.unproven(numbers), citizens.unlike(numbers, births, sexes))
    for at in sorted(doubtful):
        kind, number, birth, sex = kinds[at], numbers[at], births[at], sexes[at]
        if kind.__class__ is Bad or number.__class__ is Bad:
            continue
        if not number:
            if kind not in {"", OTHER_ID}:
                yield at, "id_number", "身份证件类型不是“其他”时必须填写证件号"
            continue
        if kind != CITIZEN:
            continue
        problem = citizens.problem(number)
        if problem:
            yield at, "id_number", problem
            continue
        born = citizens.birth_date(number)
        if born != birth and birth.__class__ is not Bad:
            yield at, "birth_date", f"与身份证号中的出生日期 {born} 不一致"
        if sex != ("1" if number[16] in "13579" else "2") and sex.__class__ is not Bad:
            yield (
                at,
                "sex",
                f"与身份证号不一致（第 17 位 {number[16]} 表示{'男' if number[16] in '13579' else '女'}）",
            )


def _member_id(columns: Columns, member: str, citizens: CitizenIds) -> Iterator[Finding]:
    key = f"{member}_id_number"
    kinds, numbers, students = columns[f"{member}_id_type"], columns[key], columns["id_number"]
    wrong = {
        at: citizens.problem(numbers[at])
        for at in citizens.unproven(numbers)
        if kinds[at] == CITIZEN and numbers[at] and numbers[at].__class__ is not Bad
    }
    pairs = enumerate(zip(numbers, students, strict=True))
    own = {at for at, (number, student) in pairs if number and number == student}
    for at in sorted(wrong.keys() | own):
        if at in wrong:
            yield at, key, wrong[at]
        if at in own and numbers[at].__class__ is not Bad:
            yield at, key, "与学生本人的证件号相同"


def _member1_needs_id(columns: Columns) -> Iterator[Finding]:
    """Fields 54 and 55: required where the student has no id number."""
    if all(columns["id_number"]):
        return
    rows = zip(columns["id_number"], columns["member1_id_type"], columns["member1_id_number"], strict=True)
    for at, (student, kind, number) in enumerate(rows):
        if student:
            continue
        if not kind:
            yield at, "member1_id_type", "学生没有证件号时必须填写成员1的证件类型"
        if not number:
            yield at, "member1_id_number", "学生没有证件号时必须填写成员1的证件号"


def _member2_whole(columns: Columns) -> Iterator[Finding]:
    """Fields 59 to 70: a second member is there as a whole or not at all."""
    parts = [columns[key] for key in _MEMBER_2]  # name and kinship first
    for at, (name, kinship, *rest) in enumerate(zip(*parts, strict=True)):
        if name:
            if not kinship:
                yield at, "member2_kinship", "填写了成员2就必须填写关系"
        elif kinship or any(rest):
            yield at, "member2_name", "填写了成员2的其他信息却没有姓名"


def _disability(columns: Columns) -> Iterator[Finding]:
    """Fields 44, 46 and 75: the kind of disability and what follows from it."""
    keys = ("disability", "mainstreamed", "disabled")
    rows = list(zip(*(columns[key] for key in keys), strict=True))
    wrong = {row: found for row in set(rows) if (found := _disability_problems(*row))}
    if wrong:
        for at, row in enumerate(rows):
            yield from ((at, key, text) for key, text in wrong.get(row, ()))


def _disability_problems(disability: str, mainstreamed: str, disabled: str) -> list[tuple[str, str]]:
    """The same for one combination; a sheet holds a handful of them."""
    found: list[tuple[str, str]] = []
    if Bad in {disability.__class__, mainstreamed.__class__, disabled.__class__}:
        return found
    if mainstreamed and mainstreamed not in MAINSTREAMED_FOR.get(disability or "0", _OTHER_DISABILITY):
        found.append(("mainstreamed", "随班就读与残疾类型不相符"))
    if disabled and disability and (disabled == "1") != (disability != "0"):
        found.append(("disabled", "是否残疾人与残疾类型不相符"))
    return found


def _admission(columns: Columns) -> Iterator[Finding]:
    """Field 17: nobody enters school before the third birthday."""
    months, births = columns["admission_month"], columns["birth_date"]
    earliest = {
        birth: str(int(birth[:4]) + 3) if birth and birth.__class__ is not Bad else ""
        for birth in set(births)
    }
    for at, (month, birth) in enumerate(zip(months, births, strict=True)):
        if month < earliest[birth] and month and month.__class__ is not Bad:
            yield at, "admission_month", f"入学年月与出生日期 {birth} 相差不足 3 年"
