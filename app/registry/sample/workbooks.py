"""Writing the sample's students as workbooks of the collection template."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import xlsxwriter

from registry.students.fields import Template, default_template

GENERATION = 1  # raise it when the same seed gives other rows


def write_workbook(path: Path, rows: Iterable[dict[str, str]], template: Template | None = None) -> int:
    """Write rows to a workbook that appears only when it is whole; returns how many.

    The same rows give the same bytes.
    """
    fields = (template or default_template()).fields
    part = path.with_suffix(".part")
    written = 0
    with xlsxwriter.Workbook(part, {"constant_memory": True, "strings_to_formulas": False}) as book:
        book.set_properties({"created": dt.datetime(2026, 9, 1), "title": "学生信息"})  # noqa: DTZ001
        text = book.add_format({"num_format": "@"})
        head = book.add_format({"bold": True, "bg_color": "#DDEBF7"})
        sheet = book.add_worksheet("学生信息")
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(fields) - 1, 16, text)
        for at, field in enumerate(fields):
            sheet.write_string(0, at, field.name, head)
        keys = [(at, field.key) for at, field in enumerate(fields)]
        for written, row in enumerate(rows, start=1):
            for at, key in keys:
                value = row.get(key)
                if value:
                    sheet.write_string(written, at, value)
    part.replace(path)
    return written


def note_path(path: Path) -> Path:
    """The note beside a workbook that says what it was made from."""
    return path.with_suffix(".json")


def is_current(path: Path, parameters: dict[str, object]) -> bool:
    """Whether the workbook is there, whole, and made from these parameters."""
    try:
        note = json.loads(note_path(path).read_text(encoding="utf-8"))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):
        return False
    return note == {**parameters, "generation": GENERATION, "sha256": digest}


def write_note(path: Path, parameters: dict[str, object]) -> None:
    """Note what the workbook was made from."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    note = {**parameters, "generation": GENERATION, "sha256": digest}
    note_path(path).write_text(json.dumps(note, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
