"""Opening a workbook: find the data sheet and its header, then hand out its rows chunk by chunk.

python-calamine parses a sheet outside Python's interpreter lock, so `inspect_parts` unpacks the same file on
the second core meanwhile. A parsed sheet stays in calamine's compact form; Python objects exist a chunk at
a time.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from registry.imports.container import SheetPart, check_container, inspect_parts
from registry.imports.errors import WorkbookError
from registry.imports.limits import limit
from registry.students.fields import (
    Field,
    Template,
    all_fields,
    default_template,
    detect_template,
    match_header,
    suggest_header,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Cell = str | float | int | bool | dt.date | dt.datetime | dt.time | dt.timedelta
PASSED_OVER = frozenset({"原表行号", "退回原因"})  # columns that the workbook of rejected rows adds
_HEADER_WITHIN = 10  # rows: a title and a line of instructions may stand above the header
_GET_TEMPLATE = "请下载最新模板，把数据粘贴进去后重新上传"


@dataclass(frozen=True)
class Chunk:
    """Some consecutive rows of the sheet, as columns: the cells of each field.

    `numbers`: their row numbers in the sheet, counted from 1.
    """

    number: int
    numbers: list[int]
    columns: list[Sequence[Cell]]


@dataclass
class Sheet:
    """The data sheet of a workbook.

    `fields[i]` is the field of the sheet's column `positions[i]`. `notices` are lines for the uploader.
    """

    name: str
    template: Template
    fields: list[Field]
    positions: list[int]
    header_row: int
    height: int
    date1904: bool
    notices: list[str] = field(default_factory=list)
    _source: CalamineSheet | None = None

    def chunks(self, skip: frozenset[int] = frozenset()) -> Iterator[Chunk]:
        """The rows below the header, blank ones left out, in chunks; those in `skip` are passed over.

        Chunk boundaries depend on row numbers alone, so a later run of the same file cuts alike.
        """
        size = limit("IMPORT_CHUNK_ROWS")
        rows = itertools.islice(self._source.iter_rows(), self.header_row, None)
        for number in itertools.count():
            block = list(itertools.islice(rows, size))
            if not block:
                return
            if number in skip:
                continue
            first = self.header_row + 1 + number * size
            numbers = [first + at for at, row in enumerate(block) if any(row)]
            cells = list(zip(*filter(any, block), strict=True))
            columns = [cells[position] if cells else () for position in self.positions]
            yield Chunk(number, numbers, columns)

    def row_total(self) -> int:
        """How many rows stand below the header, blank ones included."""
        return max(0, self.height - self.header_row)


def open_sheet(path: Path, *, vetted: bool = False) -> Sheet:
    """Open the workbook and find its data sheet. Raises WorkbookError.

    `vetted`: these very bytes have been through `inspect_parts` before (at the upload), so it runs beside
    the parser here instead of in front of it.
    """
    check_container(path)
    if vetted:
        with ThreadPoolExecutor(max_workers=1) as beside:
            parts_later = beside.submit(inspect_parts, path)
            sheets = _parse(path)
            parts = parts_later.result()
    else:
        parts = inspect_parts(path)
        sheets = _parse(path)
    name, source, header_row, cells = _data_sheet(sheets)
    _refuse_formulas(name, parts.sheets.get(name, SheetPart()))
    _refuse_merged(source, header_row)
    fields, positions = _columns(cells, source.start[1])
    sheet = Sheet(
        name=name,
        template=detect_template({item.key for item in fields}),
        fields=fields,
        positions=positions,
        header_row=header_row,
        height=source.end[0] + 1,
        date1904=parts.date1904,
        _source=source,
    )
    _check_shape(sheet)
    return sheet


def _parse(path: Path) -> list[tuple[str, CalamineSheet]]:
    try:
        workbook = CalamineWorkbook.from_path(path)
        visible = [
            item.name
            for item in workbook.sheets_metadata
            if str(item.typ).endswith("WorkSheet") and str(item.visible).endswith(".Visible")
        ]
        return [(name, workbook.get_sheet_by_name(name)) for name in visible]
    except PasswordError as error:
        raise WorkbookError(
            "encrypted", "工作簿设置了打开密码", "请在 Excel 或 WPS 中取消密码后重新上传"
        ) from error
    except (CalamineError, OSError, ValueError) as error:
        raise WorkbookError(
            "damaged", "工作簿已损坏，无法读取", "请用 Excel 打开原文件并另存后重新上传"
        ) from error


def _data_sheet(sheets: list[tuple[str, CalamineSheet]]) -> tuple[str, CalamineSheet, int, list[Cell]]:
    """The one sheet with a header of known fields: (name, sheet, header row from 1, header cells)."""
    found = []
    best: tuple[int, str, int, list[Cell]] = (0, "", 0, [])
    for name, sheet in sheets:
        if sheet.start is None:
            continue
        for at, row in enumerate(
            itertools.islice(sheet.iter_rows(), sheet.start[0] + _HEADER_WITHIN), start=1
        ):
            known = sum(1 for cell in row if isinstance(cell, str) and cell and match_header(cell))
            if known > best[0]:
                best = (known, name, at, row)
            if known >= 8:
                found.append((name, sheet, at, row))
                break
    if not sheets or all(sheet.start is None for _, sheet in sheets):
        raise WorkbookError("empty-sheet", "工作簿里没有任何数据", "请下载模板填写后上传")
    if len(found) > 1:
        names = "、".join(f"“{item[0]}”" for item in found)
        raise WorkbookError(
            "several-sheets", f"有 {len(found)} 个工作表都是学生数据：{names}", "请合并成一个或分开上传"
        )
    if not found:
        raise WorkbookError("wrong-headers", _no_header(best), _GET_TEMPLATE)
    return found[0]


def _no_header(best: tuple[int, str, int, list[Cell]]) -> str:
    known, name, at, row = best
    if not known:
        return f"前 {_HEADER_WITHIN} 行里找不到模板的列标题"
    strange = "、".join(f"“{cell}”" for cell in row if cell and not match_header(str(cell)))
    return f"工作表“{name}”第 {at} 行只有 {known} 个列标题是模板里的，其余不是：{_short(strange)}"


def _short(text: str) -> str:
    return text if len(text) <= 120 else text[:120] + "……"


def _refuse_formulas(name: str, part: SheetPart) -> None:
    if part.formulas:
        cells = "、".join(part.formula_cells)
        raise WorkbookError(
            "formulas",
            f"工作表“{name}”有 {part.formulas} 个公式单元格（{cells} 等）",
            "请全选后“选择性粘贴—数值”，再重新上传",
        )


def _refuse_merged(sheet: CalamineSheet, header_row: int) -> None:
    """A title merged above the header is fine; merged cells in the header or the data are not."""
    ranges = [area for area in sheet.merged_cell_ranges or [] if area[1][0] >= header_row - 1]
    if ranges:
        names = "、".join(f"{_cell_name(*area[0])}:{_cell_name(*area[1])}" for area in ranges[:3])
        raise WorkbookError(
            "merged-cells", f"有 {len(ranges)} 处合并单元格（{names} 等）", "请取消合并并逐格填写后重新上传"
        )


def column_letters(position: int) -> str:
    """The letters Excel shows above a column, counted from 0: 0 → A, 27 → AB."""
    letters = ""
    position += 1
    while position:
        position, rest = divmod(position - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _cell_name(row: int, column: int) -> str:
    return f"{column_letters(column)}{row + 1}"


def _columns(cells: list[Cell], offset: int) -> tuple[list[Field], list[int]]:
    """Match the header; unknown and doubled headers are refused by name."""
    fields: list[Field] = []
    positions: list[int] = []
    unknown: list[str] = []
    places: dict[str, list[int]] = {}
    for at, cell in enumerate(cells):
        text = str(cell).strip()
        if not text or text in PASSED_OVER:
            continue
        match = match_header(text)
        if match is None:
            near = suggest_header(text)
            hint = f"，是否应为“{near}”" if near else ""
            unknown.append(f"{column_letters(at + offset)} 列“{text[:20]}”{hint}")
            continue
        places.setdefault(match.name, []).append(at + offset)
        fields.append(match)
        positions.append(at)
    if unknown:
        listed = _short("；".join(unknown))
        raise WorkbookError(
            "wrong-headers", f"有 {len(unknown)} 个列标题不是模板里的：{listed}", "请改正或删除这些列"
        )
    doubled = {name: at for name, at in places.items() if len(at) > 1}
    if doubled:
        listed = "；".join(
            f"“{name}”在 {'、'.join(map(column_letters, at))} 列" for name, at in doubled.items()
        )
        raise WorkbookError("doubled-headers", f"列标题重复：{_short(listed)}", "请只保留一列")
    return fields, positions


def _check_shape(sheet: Sheet) -> None:
    present = {item.key for item in sheet.fields}
    missing = [item.name for item in all_fields() if item.required == "R" and item.key not in present]
    if missing:
        names = _short("、".join(missing))
        raise WorkbookError("wrong-headers", f"缺少 {len(missing)} 个必填列：{names}", _GET_TEMPLATE)
    if len(sheet.positions) > limit("IMPORT_MAX_COLUMNS"):
        raise WorkbookError("too-large", f"工作表有 {len(sheet.positions)} 列", _GET_TEMPLATE)
    if sheet.row_total() == 0:
        raise WorkbookError("empty-sheet", f"工作表“{sheet.name}”只有列标题，没有学生", "请填写后重新上传")
    if sheet.row_total() > limit("IMPORT_MAX_ROWS"):
        most = limit("IMPORT_MAX_ROWS")
        raise WorkbookError(
            "too-large", f"有 {sheet.row_total()} 行，超过 {most} 行的上限", "请按学校拆分后上传"
        )
    dropped = [item.name for item in sheet.template.fields if item.key not in present]
    if dropped:
        sheet.notices.append(f"没有这些选填列，按空白处理：{'、'.join(dropped)}")
    if sheet.template.version != default_template().version:
        sheet.notices.append(f"按模板 {sheet.template.version} 读取：{sheet.template.title}")
