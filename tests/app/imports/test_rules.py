"""What must agree within a row, each rule broken and kept."""

from __future__ import annotations

from typing import Any

import pytest

from registry.imports.checking import Checked, Checker
from registry.imports.context import Context
from registry.imports.reader import Chunk
from registry.students.fields import all_fields

from .books import citizen_id, good_row

KEYS = [field.key for field in all_fields()]


def check(context: Context, *rows: dict[str, Any]) -> Checked:
    """Check rows as one chunk; they stand in the sheet's rows 2, 3, …"""
    chunk = Chunk(0, list(range(2, 2 + len(rows))), [[row.get(key, "") for row in rows] for key in KEYS])
    return Checker(list(all_fields()), context).check(chunk)


def errors(context: Context, **values: Any) -> dict[str, str]:
    """Field → text for one row that is good but for `values`."""
    checked = check(context, good_row(**values))
    return {key: text for _, key, text in checked.errors}


def test_a_good_row_is_good(context: Context) -> None:
    checked = check(context, good_row(), good_row())
    assert checked.errors == []
    assert checked.rejects == []
    assert checked.numbers == [2, 3]


def test_bad_rows_are_kept_apart_with_their_own_texts(context: Context) -> None:
    checked = check(context, good_row(), good_row(name=" 张3", phone="1"), good_row())
    assert checked.numbers == [2, 4]
    assert len(checked.columns["name"]) == 2
    assert [row for row, _ in checked.rejects] == [3]
    assert checked.rejects[0][1][KEYS.index("name")] == " 张3"
    assert [(row, key) for row, key, _ in checked.errors] == [(3, "name"), (3, "phone")]
    assert checked.keys[0] == [2, 3, 4]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("2161000002", "已撤销"),
        ("2161000003", "不在您的管理范围"),
        ("2161000004", "已作废，现为 2161000001"),
        ("2161000099", "没有这个学校"),
    ],
)
def test_schools(context: Context, code: str, words: str) -> None:
    assert words in errors(context, school_code=code)["school_code"]


class TestCitizenId:
    def test_birth_date_must_agree(self, context: Context) -> None:
        found = errors(
            context, id_number=citizen_id(born="20160101", sequence=1), birth_date="20160102", sex="1"
        )
        assert found == {"birth_date": "与身份证号中的出生日期 2016-01-01 不一致"}

    def test_sex_must_agree(self, context: Context) -> None:
        found = errors(
            context, id_number=citizen_id(born="20160101", sequence=2), birth_date="20160101", sex="1"
        )
        assert list(found) == ["sex"]
        assert "表示女" in found["sex"]

    def test_check_character(self, context: Context) -> None:
        good = citizen_id(born="20160101", sequence=1)
        wrong = good[:17] + ("1" if good[17] != "1" else "2")
        found = errors(context, id_number=wrong, birth_date="20160101", sex="1")
        assert list(found) == ["id_number"]
        assert "校验码" in found["id_number"]

    def test_lower_case_x_is_accepted(self, context: Context) -> None:
        number = next(
            n for n in (citizen_id(born="20160101", sequence=s) for s in range(1, 99, 2)) if n[-1] == "X"
        )
        assert errors(context, id_number=number.lower(), birth_date="20160101", sex="1") == {}

    @pytest.mark.parametrize("region", ["610125", "110105"])
    def test_retired_and_distant_regions_are_never_refused(self, context: Context, region: str) -> None:
        number = citizen_id(region, "20160101", 1)
        assert errors(context, id_number=number, birth_date="20160101", sex="1") == {}

    def test_a_region_that_never_was(self, context: Context) -> None:
        number = citizen_id("619999", "20160101", 1)
        assert "619999" in errors(context, id_number=number, birth_date="20160101", sex="1")["id_number"]

    def test_fifteen_digits(self, context: Context) -> None:
        assert "15 位" in errors(context, id_number="610113160101001")["id_number"]

    def test_other_documents_are_not_checked_as_citizen_ids(self, context: Context) -> None:
        assert errors(context, id_type="A", id_number="E12345678") == {}


class TestNoId:
    def test_other_type_needs_none_but_member1s(self, context: Context) -> None:
        found = errors(context, id_type="Z", id_number="")
        assert set(found) == {"member1_id_type", "member1_id_number"}

    def test_with_member1s_it_is_fine(self, context: Context) -> None:
        member = {"member1_id_type": "1", "member1_id_number": citizen_id("610113", "19850101", 1)}
        assert errors(context, id_type="Z", id_number="", **member) == {}

    def test_every_other_type_needs_one(self, context: Context) -> None:
        assert "必须填写证件号" in errors(context, id_type="1", id_number="")["id_number"]


class TestMembers:
    def test_a_members_id_is_checked_too(self, context: Context) -> None:
        good = citizen_id("610113", "19850101", 1)
        wrong = good[:17] + ("1" if good[17] != "1" else "2")
        found = errors(context, member1_id_type="1", member1_id_number=wrong)
        assert list(found) == ["member1_id_number"]

    def test_it_is_not_the_students(self, context: Context) -> None:
        row = good_row()
        row |= {"member1_id_type": "1", "member1_id_number": row["id_number"]}
        assert ("member1_id_number", "与学生本人的证件号相同") in [e[1:] for e in check(context, row).errors]

    def test_member2_without_name(self, context: Context) -> None:
        assert list(errors(context, member2_phone="13300000000")) == ["member2_name"]

    def test_member2_without_kinship(self, context: Context) -> None:
        assert list(errors(context, member2_name="王丽")) == ["member2_kinship"]


@pytest.mark.parametrize(
    ("disability", "mainstreamed", "fine"),
    [
        ("0", "0", True), ("0", "1", False), ("1", "1", True), ("1", "0", True), ("1", "2", False),
        ("2", "2", True), ("5", "3", True), ("5", "1", False), ("3", "4", True), ("8", "4", True),
        ("4", "3", False), ("", "0", True), ("", "4", False), ("7", "", True),
    ],
)  # fmt: skip
def test_disability_and_attendance_at_an_ordinary_school(
    context: Context, disability: str, mainstreamed: str, *, fine: bool
) -> None:
    found = errors(context, disability=disability, mainstreamed=mainstreamed)
    assert (found == {}) is fine
    assert fine or list(found) == ["mainstreamed"]


def test_disabled_must_agree_with_the_kind(context: Context) -> None:
    assert list(errors(context, disability="0", disabled="1")) == ["disabled"]
    assert list(errors(context, disability="1", disabled="0")) == ["disabled"]
    assert errors(context, disability="1", disabled="1") == {}


def test_nobody_enters_school_as_a_baby(context: Context) -> None:
    row = good_row()
    row |= {"birth_date": "20240101", "id_number": citizen_id(born="20240101", sequence=1), "sex": "1"}
    assert [key for _, key, _ in check(context, row).errors] == ["admission_month"]


def test_one_mistake_one_text(context: Context) -> None:
    """A cell that failed its own check is not blamed again by the rules."""
    found = errors(context, birth_date="20150231", sex="x")
    assert set(found) == {"birth_date", "sex"}
    assert "不一致" not in "".join(found.values())
