"""Students twice in a file, or in the registry already."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from registry.imports.models import State
from registry.imports.report import rejected_rows

from . import books
from .books import good_row, good_rows
from .outcome import Process

pytestmark = pytest.mark.django_db


class TestDuplicates:
    def test_within_the_file_every_one_of_them_is_rejected(self, process: Process, school: Any) -> None:
        rows = good_rows(20)
        for key in ("id_number", "birth_date", "sex"):
            rows[15][key] = rows[2][key]
        job = process(rows, accept_good=True)
        assert (job.loaded_rows, job.rejected_rows) == (18, 2)
        found = {row: errors for row, _, errors in rejected_rows(job)}
        assert found[4] == [("id_number", "与本文件第 17 行的证件号相同")]
        assert found[17] == [("id_number", "与本文件第 4 行的证件号相同")]

    def test_with_a_row_that_is_bad_otherwise(self, process: Process) -> None:
        rows = good_rows(3)
        for key in ("id_number", "birth_date", "sex"):
            rows[2][key] = rows[0][key]
        rows[2]["phone"] = "1"
        job = process(rows, accept_good=True)
        assert (job.loaded_rows, job.rejected_rows) == (1, 2)

    def test_without_id_by_name_sex_and_birth_date(self, process: Process) -> None:
        member = {"member1_id_type": "1", "member1_id_number": books.citizen_id("610113", "19850101", 1)}
        blank = {"id_type": "Z", "id_number": "", "birth_date": "20180101", "sex": "1", "name": "张一"}
        job = process(
            [good_row(**blank, **member), good_row(**blank, **member), *good_rows(2)], accept_good=True
        )
        assert (job.loaded_rows, job.rejected_rows) == (2, 2)
        again = process([good_row(**blank, **member)], name="one.xlsx")
        assert again.state == State.DONE
        third = process([good_row(**blank, **member), *good_rows(1)], name="two.xlsx", accept_good=True)
        assert (third.loaded_rows, third.rejected_rows) == (1, 1)
        assert "姓名、性别、出生日期相同的学生已有学籍" in third.preview[0][3]

    def test_against_the_registry(self, process: Process, school: Any) -> None:
        rows = good_rows(5)
        process(rows[:2], name="first.xlsx")
        job = process(rows, accept_good=True)
        assert (job.loaded_rows, job.rejected_rows) == (3, 2)
        assert job.preview[0][3] == "该证件号已有学籍（雁塔第一小学）"

    def test_a_school_outside_the_scope_is_not_named(self, process: Process, world: SimpleNamespace) -> None:
        there = world.students["far"]
        row = good_row(id_number=there.id_number, birth_date=f"{there.birth_date:%Y%m%d}", sex=there.sex)
        job = process([row, *good_rows(1)])
        assert job.preview[0][3] == "该证件号已有学籍（不在您的管理范围内的学校）"

    def test_void_registrations_do_not_count(self, process: Process, world: SimpleNamespace) -> None:
        there = world.students["far"]
        there.status = "void"
        there.save()
        row = good_row(id_number=there.id_number, birth_date=f"{there.birth_date:%Y%m%d}", sex=there.sex)
        assert process([row]).state == State.DONE
