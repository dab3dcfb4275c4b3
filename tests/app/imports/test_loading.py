"""Jobs whose rows are all good: what stands in the registry afterwards."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace
from typing import Any

import pytest

from registry.imports.helpers import Helpers
from registry.imports.models import State
from registry.statistics.models import SchoolCount
from registry.students.models import FamilyMember, Student, StudentNumber

from . import books
from .books import good_row, good_rows
from .outcome import Process, imported

pytestmark = pytest.mark.django_db


class TestGoodWorkbook:
    def test_everything_goes_in(self, process: Process, school: Any, world: SimpleNamespace) -> None:
        rows = good_rows(20)
        rows[3] |= {"member2_name": "王丽", "member2_kinship": "52"}
        job = process(rows)
        assert (job.state, job.loaded_rows, job.rejected_rows, job.total_rows) == (State.DONE, 20, 0, 20)
        assert job.committed_at is not None
        students = list(imported(school))
        assert [student.id_number for student in students] == [row["id_number"] for row in rows]
        fourth = students[3]
        assert [(m.position, m.name) for m in fourth.family.all()] == [(1, "李建国"), (2, "王丽")]
        assert FamilyMember.objects.filter(student__in=students).count() == 21

    def test_the_rows_are_what_saving_one_by_one_would_give(self, process: Process, school: Any) -> None:
        process([good_row(name="单小雨", grade="", distance_km="2", birth_date="2016-03-04")
                 | {"id_number": books.citizen_id(born="20160304", sequence=8), "sex": "女"}])  # fmt: skip
        student = imported(school).get()
        derived = {name: getattr(student, name) for name in student.derive()}
        student.refresh_from_db()
        assert {name: getattr(student, name) for name in derived} == derived
        assert (student.search_pinyin, student.name_pinyin) == ("shanxiaoyu", "shan xiao yu")
        assert (student.birth_date, student.sex, str(student.distance_km)) == (
            dt.date(2016, 3, 4),
            "2",
            "2.00",
        )
        assert student.active_key == student.student_number == "L" + student.id_number
        assert student.region_path == school.region_path
        student.full_clean()

    def test_every_number_has_its_history(
        self, process: Process, school: Any, world: SimpleNamespace
    ) -> None:
        process(good_rows(2))
        for student in imported(school):
            entry = StudentNumber.objects.get(student=student)
            assert (entry.number, entry.kind, entry.by) == (student.student_number, "L", world.alice)

    def test_an_empty_grade_follows_from_the_month_of_admission(self, process: Process, school: Any) -> None:
        process([good_row(admission_month="202309", birth_date="20170101")
                 | {"id_number": books.citizen_id(born="20170101", sequence=1), "sex": "1"}])  # fmt: skip
        year = dt.date.today().year - (dt.date.today().month < 8)  # noqa: DTZ011
        expected = str(10 + year - 2023 + 1) if year - 2023 < 6 else ""
        assert imported(school).get().grade == expected

    def test_students_without_id_get_self_made_numbers(self, process: Process, school: Any) -> None:
        member = {"member1_id_type": "1", "member1_id_number": books.citizen_id("610113", "19850101", 1)}
        blank = {"id_type": "Z", "id_number": "", "birth_date": "20180101", "sex": "1"}
        process([good_row(name=name, **blank, **member) for name in ("张一", "张二", "张三")])
        numbers = [student.student_number for student in imported(school)]
        assert [number[:18] for number in numbers] == [f"L61011320180101{n}" for n in (999, 998, 997)]
        more = process([good_row(name="张四", **blank, **member)], name="more.xlsx")
        assert more.state == State.DONE
        assert imported(school).last().student_number[:18] == "L61011320180101996"

    def test_statistics_follow(self, process: Process, school: Any) -> None:
        before = Student.objects.filter(school=school).count()
        process(good_rows(3))
        assert SchoolCount.objects.get(school=school).students == before + 3

    def test_a_second_process_gives_the_same(self, process: Process, school: Any, settings: Any) -> None:
        settings.IMPORT_PROCESSES = 2
        rows = good_rows(30)
        rows[17]["phone"] = "1"
        job = process(rows, accept_good=True)
        assert (job.state, job.loaded_rows, job.rejected_rows) == (State.DONE, 29, 1)
        assert [s.id_number for s in imported(school)] == [r["id_number"] for r in rows if r is not rows[17]]

    def test_a_helper_that_dies_costs_nothing(
        self, process: Process, settings: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.IMPORT_PROCESSES = 2
        started = Helpers.__enter__

        def killed(self: Helpers) -> Helpers:
            for helper in self._helpers:
                helper._process.kill()
                helper._process.join()
            return started(self)

        monkeypatch.setattr(Helpers, "__enter__", killed)
        monkeypatch.setattr("registry.imports.helpers.Helper.prepare", lambda *_: None)
        assert process(good_rows(30)).loaded_rows == 30
