"""Jobs from upload to registry, on the test database."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest
from django.db import IntegrityError

from registry.accounts.models import Kind
from registry.imports import runner, submit
from registry.imports.errors import WorkbookError
from registry.imports.helpers import Helpers
from registry.imports.models import ImportChunk, ImportJob, State
from registry.imports.report import kind_of, rejected_rows
from registry.imports.runner import run
from registry.jobs import stopping
from registry.statistics.models import SchoolCount
from registry.students.models import FamilyMember, Student, StudentNumber

from . import books
from .books import good_row, good_rows

pytestmark = pytest.mark.django_db
Process = Callable[..., ImportJob]


def imported(school: Any) -> Any:
    """The students that imports brought, in the order of the sheet."""
    return Student.objects.filter(school=school, student_number__startswith="L").order_by("pk")


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


class TestRejection:
    def test_all_or_nothing(self, process: Process, school: Any) -> None:
        rows = good_rows(10)
        rows[4]["name"] = ""
        job = process(rows)
        assert (job.state, job.loaded_rows, job.rejected_rows, job.bad_cells) == (State.REJECTED, 0, 1, 1)
        assert not imported(school).exists()
        assert job.committed_at is None

    def test_good_rows_go_in_when_wanted(self, process: Process, school: Any) -> None:
        rows = good_rows(10)
        rows[4]["name"] = ""
        job = process(rows, accept_good=True)
        assert (job.state, job.loaded_rows, job.rejected_rows) == (State.DONE, 9, 1)
        assert imported(school).count() == 9
        assert not ImportChunk.objects.filter(job=job, payload__isnull=False, number__gte=0).exists()

    def test_good_rows_of_a_rejected_job_go_in_later(self, process: Process, school: Any) -> None:
        rows = good_rows(10)
        rows[4]["name"] = ""
        job = process(rows)
        job.path.unlink()  # staging is all that is needed
        assert submit.accept(job)
        run(job.pk)
        job.refresh_from_db()
        assert (job.state, job.loaded_rows, imported(school).count()) == (State.DONE, 9, 9)
        assert not submit.accept(job)

    def test_nothing_good_is_a_rejection_either_way(self, process: Process) -> None:
        job = process([good_row(name="")], accept_good=True)
        assert job.state == State.REJECTED

    def test_the_report_holds_the_rejected_rows_marked(self, process: Process) -> None:
        rows = good_rows(12)
        rows[2] |= {"name": "张3", "phone": "123"}
        rows[9]["ethnicity"] = "火星族"
        job = process(rows)
        book = openpyxl.load_workbook(job.report)
        sheet = book["退回的学生"]
        header = [cell.value for cell in sheet[1]]
        assert header[:2] == ["原表行号", "退回原因"]
        assert [row[0].value for row in sheet.iter_rows(min_row=2)] == [4, 11]
        name = sheet.cell(2, header.index("姓名") + 1)
        assert name.value == "张3"
        assert name.fill.fgColor.rgb == "FFFFC7CE"
        assert "姓名只能有" in name.comment.text
        assert sheet.cell(3, header.index("姓名") + 1).comment is None
        listed = [[cell.value for cell in row] for row in book["问题清单"].iter_rows(min_row=2)]
        assert [line[:4] for line in listed] == [
            [2, 4, "姓名", "张3"],
            [2, 4, "联系电话", "123"],
            [3, 11, "民族", "火星族"],
        ]

    def test_the_mended_report_can_be_sent_again(self, process: Process, school: Any, tmp_path: Path) -> None:
        rows = good_rows(12)
        rows[2]["name"] = "张3"
        job = process(rows, accept_good=True)
        book = openpyxl.load_workbook(job.report)
        sheet = book["退回的学生"]
        header = [cell.value for cell in sheet[1]]
        sheet.cell(2, header.index("姓名") + 1).value = "张三"
        book.save(tmp_path / "mended.xlsx")
        mended = process(tmp_path / "mended.xlsx")
        assert (mended.state, mended.loaded_rows) == (State.DONE, 1)
        assert imported(school).count() == 12

    def test_the_page_gets_a_summary_and_a_masked_preview(self, process: Process) -> None:
        rows = good_rows(9)
        for row in rows[:3]:
            row["phone"] = "1234567890"
        rows[5]["ethnicity"] = "火星族"
        job = process(rows)
        assert job.summary[0][0] == "联系电话"
        assert job.summary[0][2] == 3
        assert job.summary[1] == ["民族", "…不是民族的代码或名称", 1]
        assert [line[0] for line in job.preview] == [2, 3, 4, 7]
        assert job.preview[0][2] == "123****890"

    def test_many_bad_cells_stay_fast_and_readable(self, process: Process, settings: Any) -> None:
        settings.IMPORT_CHUNK_ROWS = 500
        rows = good_rows(1000)
        for row in rows:
            row |= {"phone": "1", "postcode": "x", "ethnicity": "?", "sex": "9", "name": "3"}
            row |= {"transport": "a", "attendance": "b", "admission_month": "c", "distance_km": "d"}
            row["household_type"] = "7"
        job = process(rows)
        assert (job.state, job.rejected_rows) == (State.REJECTED, 1000)
        assert job.bad_cells == 10_000
        assert len(job.preview) == 100
        assert len(job.summary) == 10
        assert job.timings["reporting"] < 60
        sheet = openpyxl.load_workbook(job.report, read_only=True)["问题清单"]
        assert sheet.max_row == 10_001

    def test_a_report_has_an_end(self, process: Process, settings: Any) -> None:
        settings.IMPORT_REPORT_ROWS = 5
        job = process([good_row(name="") for _ in range(8)])
        book = openpyxl.load_workbook(job.report)
        assert book["退回的学生"].max_row == 6
        listed = [row[0].value for row in book["问题清单"].iter_rows(min_row=2)]
        assert listed[:-1] == [2, 3, 4, 5, 6]
        assert "另有 3 行" in listed[-1]


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


class TestScope:
    def test_a_school_elsewhere_is_refused(self, process: Process, world: SimpleNamespace) -> None:
        job = process(good_rows(1), user=world.charlie)
        assert job.state == State.REJECTED
        assert job.preview[0][3] == "该学校不在您的管理范围内"

    def test_a_school_that_closed_after_the_check(self, process: Process, school: Any) -> None:
        rows = good_rows(3)
        rows[0]["name"] = ""
        job = process(rows)
        school.closed_on = dt.date(2020, 1, 1)
        school.save()
        submit.accept(job)
        run(job.pk)
        job.refresh_from_db()
        assert job.state == State.FAILED
        assert "已撤销" in job.message
        assert not imported(school).exists()

    def test_who_sees_a_job(self, process: Process, world: SimpleNamespace) -> None:
        job = process(good_rows(1))
        seen = {
            name: ImportJob.objects.visible_to(getattr(world, name)).filter(pk=job.pk).exists()
            for name in ("alice", "bob", "charlie", "dora", "adam", "paula")
        }
        assert seen == {
            "alice": True, "bob": False, "charlie": False, "dora": False, "adam": False, "paula": True,
        }  # fmt: skip
        assert world.bob.kind == Kind.LEADER

    def test_a_school_sees_its_own_jobs_only(self, process: Process, world: SimpleNamespace) -> None:
        own = process(good_rows(1), user=world.dora)
        assert list(ImportJob.objects.visible_to(world.dora)) == [own]


class TestSubmitting:
    def test_the_same_bytes_are_one_job(self, process: Process, send: Process, tmp_path: Path) -> None:
        path = books.write(tmp_path / "学生.xlsx", good_rows(3))
        first = process(path)
        again = send(path)
        assert again.pk == first.pk
        assert run(again.pk) == State.DONE
        assert ImportJob.objects.count() == 1
        uploads = list((first.path.parents[1]).rglob("*.xlsx"))
        assert uploads == [first.path]

    def test_another_unit_has_a_job_of_its_own(
        self, send: Process, tmp_path: Path, world: SimpleNamespace
    ) -> None:
        path = books.write(tmp_path / "学生.xlsx", good_rows(3))
        assert send(path).pk != send(path, user=world.paula).pk

    def test_a_rejected_file_sent_again_starts_over(
        self, process: Process, world: SimpleNamespace, school: Any, tmp_path: Path
    ) -> None:
        path = books.write(tmp_path / "学生.xlsx", [good_row(school="2161888888")])
        first = process(path)
        assert first.state == State.REJECTED
        school.code = "2161888888"
        school.save()
        again = process(path)
        assert (again.pk, again.state) == (first.pk, State.DONE)

    def test_what_is_no_workbook_makes_no_job(self, send: Process, tmp_path: Path, shared_root: Path) -> None:
        path = tmp_path / "学生.xlsx"
        path.write_bytes(b"MZ" + b"\0" * 100)
        with pytest.raises(WorkbookError, match="Windows 程序"):
            send(path)
        assert not ImportJob.objects.exists()
        assert not [found for found in (shared_root / "imports").rglob("*") if found.is_file()]

    def test_a_file_changed_in_the_storage_is_noticed(self, send: Process) -> None:
        job = send(good_rows(2))
        job.path.write_bytes(job.path.read_bytes() + b"x")
        assert run(job.pk) == State.FAILED
        job.refresh_from_db()
        assert "改动或损坏" in job.message

    def test_a_cancelled_job_is_left_alone(self, send: Process, school: Any) -> None:
        job = send(good_rows(2))
        assert submit.cancel(job)
        assert run(job.pk) == State.CANCELLED
        assert not imported(school).exists()
        assert not submit.cancel(job)

    def test_a_finished_job_cannot_be_cancelled(self, process: Process) -> None:
        assert not submit.cancel(process(good_rows(1)))


class TestOneWorkerAtATime:
    def test_a_run_that_lost_its_job_writes_nothing_more(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker thought dead wakes up after another one has finished the job."""
        job = send(good_rows(20))
        checked = runner.Run.keep
        woken = []

        def keep(self: Any, packed: Any) -> None:
            if not woken:
                woken.append(True)
                assert run(job.pk) == State.DONE  # the other worker
            checked(self, packed)

        monkeypatch.setattr(runner.Run, "keep", keep)
        assert run(job.pk) == State.DONE
        assert imported(school).count() == 20
        job.refresh_from_db()
        assert job.checked_rows == 20

    def test_cancelling_stops_a_run_at_its_next_chunk(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = send(good_rows(20))
        checked = runner.Run.keep

        def keep(self: Any, packed: Any) -> None:
            checked(self, packed)
            submit.cancel(ImportJob.objects.get(pk=job.pk))

        monkeypatch.setattr(runner.Run, "keep", keep)
        assert run(job.pk) == State.CANCELLED
        assert not imported(school).exists()

    def test_a_stopping_worker_hands_the_job_back(self, send: Process, school: Any) -> None:
        job = send(good_rows(20))
        stopping.request()
        try:
            with pytest.raises(stopping.HandBackError):
                run(job.pk)
        finally:
            stopping.clear()
        assert ImportChunk.objects.filter(job=job).count() == 1
        assert run(job.pk) == State.DONE
        assert imported(school).count() == 20

    def test_somebody_registering_the_same_student_meanwhile(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The unique key turns it into a second look, which finds the duplicate."""
        rows = good_rows(5)
        job = send(rows, accept_good=True)
        compared = runner.in_registry
        looks = []

        def in_registry(*args: Any) -> Any:
            looks.append(True)
            return {} if len(looks) == 1 else compared(*args)

        from .. import factories

        factories.make_student(
            school, id_number=rows[1]["id_number"], student_number="L" + rows[1]["id_number"]
        )
        monkeypatch.setattr(runner, "in_registry", in_registry)
        assert run(job.pk) == State.DONE
        job.refresh_from_db()
        assert (len(looks), job.loaded_rows, job.rejected_rows) == (2, 4, 1)

    def test_it_does_not_try_for_ever(self, send: Process, monkeypatch: pytest.MonkeyPatch) -> None:
        job = send(good_rows(1))

        def failing(*_args: Any) -> None:
            raise IntegrityError("again and again")

        monkeypatch.setattr(runner, "_decide_and_write", failing)
        with pytest.raises(IntegrityError):
            run(job.pk)


def test_texts_of_one_kind_are_counted_together() -> None:
    assert kind_of("与本文件第 12 行的证件号相同") == kind_of("与本文件第 7 行的证件号相同")
    assert kind_of("没有行政区划代码 619999") == kind_of("没有行政区划代码 619998")
    assert kind_of("应为 6 位") != kind_of("应为 8 位")
