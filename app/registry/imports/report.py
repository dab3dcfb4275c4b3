"""The workbook of rejected rows: those rows alone, bad cells marked, ready to be mended and sent in again.

Sheet 1 holds the rows as they were sent, with two columns in front (row number and reasons) that an
import passes over; a bad cell is red and, up to a limit that Excel still opens quickly, carries its text
as a note. Sheet 2 lists one line a bad cell.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import xlsxwriter
from django.conf import settings

from registry.imports.limits import limit
from registry.imports.models import ImportChunk, ImportJob
from registry.imports.staging import load
from registry.students.fields import Field, field_by_key
from registry.students.numbers import mask_id, mask_phone

ROW_HEADER, REASON_HEADER = "原表行号", "退回原因"
PREVIEW_ROWS, SUMMARY_ROWS = 100, 30
_NOTES = 2000
_LISTED = 50_000
# What differs from cell to cell in texts of one kind: quoted values, remarks, dates, rows, codes.
_VARIABLE = re.compile(
    r"^“[^”]*”|，应填.*|（[^）]*）|(?<=没有 )\d+ 年 \d+ 月 \d+ 日(?=这)|(?<=第 )\d+(?= 行)"
    r"|\d{4}-\d\d-\d\d|(?<=代码 )\d{6}|(?<=现为 )\d+|(?<=前 6 位 )\d+"
)

Error = tuple[str, str]


def rejected_rows(job: ImportJob) -> Iterator[tuple[int, list[str], list[Error]]]:
    """Every rejected row: (sheet row, cell texts in the order of `job.columns`, [(field key, text)])."""
    chunks = ImportChunk.objects.filter(job=job, rejected__gt=0).order_by("number")
    for rejects, errors in chunks.values_list("rejects", "errors").iterator():
        by_row: dict[int, list[Error]] = {}
        for row, key, text in load(errors):
            by_row.setdefault(row, []).append((key, text))
        for row, cells in load(rejects):
            yield row, cells, by_row.get(row, [])


def summarize(job: ImportJob) -> tuple[list[list[Any]], list[list[Any]]]:
    """What the job's page shows: ([[field, text, how many]] by frequency, [[row, field, value, text]])."""
    names = {key: field.name for key, field in field_by_key().items()}
    positions = {key: at for at, key in enumerate(job.columns)}
    counts: Counter[tuple[str, str]] = Counter()
    preview: list[list[Any]] = []
    for row, cells, errors in rejected_rows(job):
        for key, text in errors:
            counts[names[key], kind_of(text)] += 1
            if len(preview) < PREVIEW_ROWS:
                value = cells[positions[key]] if key in positions else ""
                preview.append([row, names[key], _masked(key, value)[:60], text])
    preview.sort(key=itemgetter(0))
    summary = [[name, text, count] for (name, text), count in counts.most_common(SUMMARY_ROWS)]
    return summary, preview


def kind_of(text: str) -> str:
    """An error text without what is this cell's own, so that alike ones can be counted."""
    return _VARIABLE.sub(lambda match: "" if match.group()[0] in "，（" else "…", text)


def _masked(key: str, value: str) -> str:
    """Personal numbers are masked on the page; the workbook, whose download is recorded, has them whole."""
    kind = field_by_key()[key].kind
    return mask_id(value) if kind == "id_number" else mask_phone(value) if kind == "phone" else value


def write_report(job: ImportJob, relative: str) -> None:
    """Write the workbook to `relative` below SHARED_ROOT; it appears there only when it is whole."""
    target = settings.SHARED_ROOT / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    with xlsxwriter.Workbook(part, {"constant_memory": True, "strings_to_formulas": False}) as book:
        _Report(book, job).write()
    part.replace(target)


class _Report:
    def __init__(self, book: xlsxwriter.Workbook, job: ImportJob) -> None:
        font = {"font_name": "宋体", "font_size": 11}
        self.job = job
        self.fields: list[Field] = [field_by_key()[key] for key in job.columns]
        self.text = book.add_format({**font, "num_format": "@"})
        self.bad = book.add_format(
            {**font, "num_format": "@", "bg_color": "#FFC7CE", "font_color": "#9C0006"}
        )
        self.head = book.add_format({**font, "bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF"})
        self.grey = book.add_format({**font, "font_color": "#7F7F7F", "bg_color": "#F2F2F2"})
        self.rows = book.add_worksheet("退回的学生")
        self.list = book.add_worksheet("问题清单")
        self.notes = 0

    def write(self) -> None:
        self._heads()
        position = {field.key: at + 2 for at, field in enumerate(self.fields)}
        line = 1
        most = limit("IMPORT_REPORT_ROWS")
        for at, (row, cells, errors) in enumerate(itertools.islice(rejected_rows(self.job), most), start=1):
            self._row(at, row, cells, errors, position)
            line = self._listed(line, at, row, cells, errors, position)
        left = self.job.rejected_rows - most
        if left > 0:
            self.list.write_string(
                line, 0, f"另有 {left} 行未列出：请先改正以上各行，或按问题类型批量修改原表"
            )

    def _heads(self) -> None:
        self.rows.freeze_panes(1, 2)
        self.rows.set_column(0, 0, 9, self.grey)
        self.rows.set_column(1, 1, 40, self.grey)
        self.rows.set_column(2, len(self.fields) + 1, 16, self.text)
        for at, name in enumerate([ROW_HEADER, REASON_HEADER, *(field.name for field in self.fields)]):
            self.rows.write_string(0, at, name, self.head)
        self.list.freeze_panes(1, 0)
        self.list.set_column(0, 1, 10)
        self.list.set_column(2, 2, 22)
        self.list.set_column(3, 4, 48)
        for at, name in enumerate(("本表行", "原表行", "列", "内容", "问题")):
            self.list.write_string(0, at, name, self.head)

    def _row(
        self, at: int, row: int, cells: list[str], errors: list[Error], position: dict[str, int]
    ) -> None:
        names = {field.key: field.name for field in field_by_key().values()}
        self.rows.write_number(at, 0, row, self.grey)
        reasons = "；".join(f"{names[key]}：{text}" for key, text in errors)
        self.rows.write_string(at, 1, reasons[:32_000], self.grey)
        wrong = dict(errors)
        for column, (field, value) in enumerate(zip(self.fields, cells, strict=True), start=2):
            if field.key in wrong:
                self.rows.write_string(at, column, value, self.bad)
                if self.notes < _NOTES:
                    self.notes += 1
                    self.rows.write_comment(at, column, wrong[field.key], {"x_scale": 1.6, "y_scale": 0.7})
            elif value:
                self.rows.write_string(at, column, value)

    def _listed(
        self, line: int, at: int, row: int, cells: list[str], errors: list[Error], position: dict[str, int]
    ) -> int:
        for key, text in errors:
            if line > _LISTED:
                break
            value = cells[position[key] - 2] if key in position else ""
            self.list.write_number(line, 0, at + 1)
            self.list.write_number(line, 1, row)
            self.list.write_string(line, 2, field_by_key()[key].name)
            self.list.write_string(line, 3, value)
            self.list.write_string(line, 4, text)
            line += 1
        return line
