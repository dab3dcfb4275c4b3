"""Who may send what, and what one job is."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry.accounts.models import Kind
from registry.imports import submit
from registry.imports.errors import WorkbookError
from registry.imports.models import ImportJob, State
from registry.imports.runner import run

from . import books
from .books import good_row, good_rows
from .outcome import Process, imported

pytestmark = pytest.mark.django_db


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

    def test_what_is_no_workbook_makes_no_job(
        self, process: Process, send: Process, tmp_path: Path, shared_root: Path
    ) -> None:
        path = tmp_path / "学生.xlsx"
        path.write_bytes(b"MZ" + b"\0" * 100)
        with pytest.raises(WorkbookError, match="Windows 程序"):
            send(path)
        assert not ImportJob.objects.exists()
        assert not [found for found in (shared_root / "imports").rglob("*") if found.is_file()]
        assert process(books.write(path, good_rows(3))).state == State.DONE, "the right file goes in at once"

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
