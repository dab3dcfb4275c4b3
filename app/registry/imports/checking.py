"""Checking one chunk of rows: by column, then what must agree within a row. Pure: no database, no files."""

from __future__ import annotations

from dataclasses import dataclass

from registry.imports.columns import Bad, ColumnCheck, bad_cells
from registry.imports.context import Context
from registry.imports.identity import CitizenIds
from registry.imports.reader import Chunk
from registry.imports.rules import all_findings
from registry.imports.text import LOST_DIGITS, as_text
from registry.students.fields import Field, all_fields

Keys = tuple[list[int], list[str], list[str]]


@dataclass
class Checked:
    """What a chunk came to.

    `columns`: field key → normalized values of the good rows, whose sheet rows are `numbers`;
    `keys`: of every row its sheet row, its id key and its name key, as columns, for finding duplicates (""
    where there is none);
    `rejects`: (sheet row, the cells' texts in the order of `fields`); `errors`: (sheet row, field key, text).
    """

    number: int
    numbers: list[int]
    columns: dict[str, list[str]]
    keys: Keys
    rejects: list[tuple[int, list[str]]]
    errors: list[tuple[int, str, str]]

    @property
    def rows(self) -> int:
        """How many rows the chunk has."""
        return len(self.keys[0])


class Checker:
    """Checks chunks of one sheet; keeps what it has learnt about values from chunk to chunk."""

    def __init__(self, fields: list[Field], context: Context) -> None:
        self.fields = fields
        self.context = context
        self._checks = [ColumnCheck(field, context) for field in fields]
        self._citizens = CitizenIds(context.region_known)
        present = {field.key for field in fields}
        self._absent = [field.key for field in all_fields() if field.key not in present]

    def check(self, chunk: Chunk) -> Checked:
        """All checks that need no more than the chunk itself."""
        height = len(chunk.numbers)
        columns: dict[str, list[str]] = {}
        errors: dict[int, list[tuple[str, str]]] = {}
        for check, cells in zip(self._checks, chunk.columns, strict=True):
            columns[check.field.key] = values = check.column(cells)
            if check.seen_bad:
                for at, bad in bad_cells(values):
                    errors.setdefault(at, []).append((check.field.key, str(bad)))
        for key in self._absent:
            columns[key] = [""] * height
        for at, key, text in all_findings(columns, self.context, self._citizens):
            errors.setdefault(at, []).append((key, text))
        keys = _keys(chunk.numbers, columns)
        if errors:
            good = [at for at in range(height) if at not in errors]
            columns = {key: [values[at] for at in good] for key, values in columns.items()}
            numbers = [chunk.numbers[at] for at in good]
        else:
            numbers = chunk.numbers
        return Checked(
            number=chunk.number,
            numbers=numbers,
            columns=columns,
            keys=keys,
            rejects=[(chunk.numbers[at], _texts(chunk, at)) for at in sorted(errors)],
            errors=[(chunk.numbers[at], key, text) for at in sorted(errors) for key, text in errors[at]],
        )


def _texts(chunk: Chunk, at: int) -> list[str]:
    return [as_text(cells[at]).removeprefix(LOST_DIGITS) for cells in chunk.columns]


def _keys(numbers: list[int], columns: dict[str, list[str]]) -> Keys:
    """By id number; where there is none, by name, sex and birth date [R]."""
    identities = columns["id_number"]
    names = [""] * len(numbers)
    for at, identity in enumerate(identities):
        if not identity:
            parts = [columns[key][at] for key in ("name", "sex", "birth_date")]
            if not any(part.__class__ is Bad for part in parts):
                names[at] = "|".join(parts)
    return numbers, ["" if one.__class__ is Bad else one for one in identities], names
