"""Checking by column: each distinct value of a column is read once, and the results are mapped back.

A sheet of pupils repeats itself: of 78 columns some sixty hold a few dozen distinct values in a whole county.
So a column costs one dictionary look-up a cell, and the Python code of a kind runs once a distinct value.
Of the others, names and numbers of people, most cells are proven by one pattern and stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from registry.imports.context import Context
from registry.imports.kinds import Reader, WrongError, plain_for, reader_for
from registry.imports.text import ERROR_VALUES, LOST_DIGITS, as_text, clean
from registry.students.fields import Field

_REMEMBER = 60_000  # distinct values a column keeps from chunk to chunk


class Bad(str):
    """A cell that failed its check: the text is what is wrong with it; `value` is what was in the cell."""

    __slots__ = ("value",)
    value: str

    def __new__(cls, text: str, value: str) -> Bad:
        """Make one from the error text and the cell's own text."""
        made = super().__new__(cls, text)
        made.value = value
        return made


class ColumnCheck(dict[Any, str]):
    """Raw cell value → normalized text or `Bad`, filled as values turn up.

    Excel's 1, 1.0 and TRUE are one key; they also read alike.
    """

    def __init__(self, field: Field, context: Context) -> None:
        super().__init__()
        self.field = field
        self.seen_bad = False
        self._read: Reader = reader_for(field, context)
        self._plain = plain_for(field)
        self._words = field.kind == "text"
        self._longest = 10 if field.kind == "date" else field.max_length  # a date grows to YYYY-MM-DD

    def __missing__(self, raw: Any) -> str:
        result = self.check(as_text(raw))
        if result.__class__ is Bad:
            self.seen_bad = True
        self[raw] = result
        return result

    def check(self, raw: str) -> str:
        """Clean and read one cell's text."""
        if raw[:1] == LOST_DIGITS:
            return Bad("Excel 把长数字存成了数值，末几位已丢失，请设为文本格式后重填", raw[1:])
        text = clean(raw, words=self._words)
        if not text:
            return Bad("必填项为空", "") if self.field.required == "R" else ""
        if text in ERROR_VALUES:
            return Bad("单元格是公式错误值，请改为实际内容", text)
        try:
            read = self._read(text)
        except WrongError as error:
            return Bad(str(error), text)
        if len(read) > self._longest:
            return Bad(f"超过 {self._longest} 个字（现有 {len(read)} 个）", text)
        return read

    def column(self, cells: Iterable[Any]) -> list[str]:
        """All cells of a column of one chunk."""
        if len(self) > _REMEMBER:
            self.clear()
            self.seen_bad = False
        if self._plain is None:
            return list(map(self.__getitem__, cells))
        plain = self._plain.fullmatch
        return [cell if cell.__class__ is str and plain(cell) else self[cell] for cell in cells]


def bad_cells(column: Sequence[str]) -> list[tuple[int, Bad]]:
    """The failed cells of a checked column: (position in the chunk, what is wrong)."""
    return [(at, value) for at, value in enumerate(column) if value.__class__ is Bad]
