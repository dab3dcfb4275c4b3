"""Jobs with bad rows: what is let in, and the workbook of what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import openpyxl
import pytest

from registry.imports import submit
from registry.imports.models import ImportChunk, State
from registry.imports.report import kind_of
from registry.imports.runner import run

from .books import good_row, good_rows
from .outcome import Process, imported

pytestmark = pytest.mark.django_db


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


def test_texts_of_one_kind_are_counted_together() -> None:
    assert kind_of("与本文件第 12 行的证件号相同") == kind_of("与本文件第 7 行的证件号相同")
    assert kind_of("没有行政区划代码 619999") == kind_of("没有行政区划代码 619998")
    assert kind_of("应为 6 位") != kind_of("应为 8 位")
