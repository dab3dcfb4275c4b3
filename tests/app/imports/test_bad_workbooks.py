"""Workbooks that can't be imported: each is refused with one line that names the mistake and the mend."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.imports.container import check_container, inspect_parts
from registry.imports.errors import WorkbookError
from registry.imports.reader import Sheet, open_sheet
from registry.students.fields import all_fields

from . import books
from .books import HEADERS, KEYS, Book, good_row, good_rows


def refusal(path: Path, opener: Callable[[Path], Any] = open_sheet) -> WorkbookError:
    """The error that opening a workbook ends in; always one line that ends with the mend."""
    with pytest.raises(WorkbookError) as caught:
        opener(path)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith("。")
    assert text.count("。") >= 2
    return caught.value


def opened(path: Path) -> Sheet:
    return open_sheet(path)


def rewritten(path: Path, part: str, change: Callable[[bytes], bytes]) -> Path:
    """The same workbook with one part of the zip changed."""
    target = path.with_name("changed-" + path.name)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            body = old.read(info)
            new.writestr(info.filename, change(body) if info.filename == part else body)
    return target


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return books.write(tmp_path / "good.xlsx", good_rows(3))


def test_a_good_workbook_opens(good: Path) -> None:
    sheet = opened(good)
    assert (sheet.name, sheet.template.version, len(sheet.fields)) == ("学生信息", "2014-78", 78)
    assert [chunk.numbers for chunk in sheet.chunks()] == [[2, 3, 4]]


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.xlsx"
    path.touch()
    assert refusal(path).code == "empty-file"


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"MZ\x90\x00" + b"\0" * 600, "program", "Windows 程序"),
        (b"\x7fELF" + b"\0" * 600, "program", "可执行程序"),
        (b"%PDF-1.7 ...", "not-a-workbook", "PDF"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "old-format", "97-2003"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"),
            "encrypted",
            "密码",
        ),
        ("学校,姓名\n一小,张三\n".encode("gb18030"), "not-a-workbook", "不是 Excel"),
        (b"<html><table><tr><td>1</td></tr></table>", "not-a-workbook", "HTML"),
        (b"PK\x03\x04 and then nothing", "damaged", "损坏"),
    ],
    ids=["exe", "elf", "pdf", "xls", "encrypted", "csv", "html", "truncated"],
)
def test_what_is_no_workbook(tmp_path: Path, content: bytes, code: str, words: str) -> None:
    path = tmp_path / "学生.xlsx"
    path.write_bytes(content)
    error = refusal(path)
    assert error.code == code
    assert words in str(error)


def test_a_plain_zip(tmp_path: Path) -> None:
    path = tmp_path / "学生.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("学生.txt", "张三")
    assert "普通压缩包" in str(refusal(path))


def test_macros(good: Path) -> None:
    with zipfile.ZipFile(good, "a") as archive:
        archive.writestr("xl/vbaProject.bin", b"\0" * 10)
    assert refusal(good).code == "macro"


def test_200_megabytes_are_refused_without_reading(tmp_path: Path) -> None:
    path = tmp_path / "large.xlsx"
    with path.open("wb") as file:
        file.truncate(200 * 1024**2)
    error = refusal(path)
    assert error.code == "too-large"
    assert "200 MB" in str(error)
    assert "100 MB" in str(error)


def test_a_zip_bomb_by_its_ratio(good: Path) -> None:
    with zipfile.ZipFile(good, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.bin", b"\0" * (40 * 1024**2))
    error = refusal(good, check_container)
    assert error.code == "bomb"
    assert "bomb.bin" in str(error)


def test_a_zip_that_lies_about_its_sizes(tmp_path: Path, good: Path) -> None:
    """The directory says 1 kB, the part unpacks to much more: no parser may see it."""
    honest = rewritten(good, "xl/worksheets/sheet1.xml", lambda body: body + b" " * 3_000_000)
    with zipfile.ZipFile(honest) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    blob = honest.read_bytes().replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path = tmp_path / "liar.xlsx"
    path.write_bytes(blob)
    assert refusal(path).code == "damaged"


def test_an_xml_bomb(good: Path) -> None:
    entity = b'<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>'
    path = rewritten(
        good, "xl/worksheets/sheet1.xml", lambda body: body.replace(b"<worksheet", entity + b"<worksheet", 1)
    )
    error = refusal(path)
    assert error.code == "bomb"
    assert "实体声明" in str(error)


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/sharedStrings.xml", "xl/styles.xml"])
def test_an_xml_bomb_in_any_part(good: Path, part: str) -> None:
    path = rewritten(good, part, lambda body: b'<!DOCTYPE a [<!ENTITY b "c">]>' + body)
    assert refusal(path).code == "bomb"


def test_a_cell_far_out(good: Path) -> None:
    """One cell at the sheet's far corner would make a dense parser ask for terabytes."""
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    path = rewritten(good, "xl/worksheets/sheet1.xml", lambda body: body.replace(b"</sheetData>", far))
    error = refusal(path, inspect_parts)
    assert error.code == "bomb"
    assert "16384" in str(error)


def test_formulas_are_named(tmp_path: Path) -> None:
    book = Book(tmp_path / "formulas.xlsx").rows(good_rows(2))
    book.sheet.write_formula(1, 1, '="张"&"三"', None, "张三")
    book.sheet.write_formula(2, 31, "=1+0.5", None, 1.5)
    error = refusal(book.save())
    assert error.code == "formulas"
    assert "2 个公式" in str(error)
    assert "B2、AF3" in str(error)


def test_merged_cells_are_named(tmp_path: Path) -> None:
    book = Book(tmp_path / "merged.xlsx").rows(good_rows(3))
    book.sheet.merge_range("T2:T4", "同一住址")
    error = refusal(book.save())
    assert error.code == "merged-cells"
    assert "T2:T4" in str(error)


def test_a_merged_title_above_the_header_is_fine(tmp_path: Path) -> None:
    book = Book(tmp_path / "title.xlsx", headers=["雁塔区新生信息"])
    book.sheet.merge_range("A1:F1", "雁塔区新生信息")
    book.write_line(HEADERS)
    sheet = opened(book.rows(good_rows(2)).save())
    assert sheet.header_row == 2
    assert [chunk.numbers for chunk in sheet.chunks()] == [[3, 4]]


def test_unknown_headers_are_named_with_a_suggestion(tmp_path: Path) -> None:
    headers = list(HEADERS)
    headers[6], headers[77] = "名族", "备注"
    error = refusal(Book(tmp_path / "headers.xlsx", headers=headers).rows(good_rows(1)).save())
    assert error.code == "wrong-headers"
    assert "G 列“名族”，是否应为“民族”" in str(error)
    assert "BZ 列“备注”" in str(error)


def test_missing_required_headers_are_named(tmp_path: Path) -> None:
    kept = [field for field in all_fields() if field.key not in {"name", "phone", "talent"}]
    book = Book(tmp_path / "missing.xlsx", headers=[f.name for f in kept], keys=[f.key for f in kept]).rows(
        good_rows(1)
    )
    error = refusal(book.save())
    assert error.code == "wrong-headers"
    assert "缺少 2 个必填列：姓名、联系电话" in str(error)


def test_no_header_at_all(tmp_path: Path) -> None:
    book = Book(tmp_path / "none.xlsx", headers=["甲", "乙", "丙"])
    book.write_line(["1", "2", "3"])
    assert "找不到模板的列标题" in str(refusal(book.save()))


def test_few_known_headers(tmp_path: Path) -> None:
    book = Book(tmp_path / "few.xlsx", headers=["姓名", "性别", "语文", "数学"])
    error = refusal(book.save())
    assert "只有 2 个列标题是模板里的" in str(error)
    assert "“语文”、“数学”" in str(error)


def test_doubled_headers_are_named(tmp_path: Path) -> None:
    book = Book(tmp_path / "doubled.xlsx", headers=[*HEADERS[:77], "学生姓名"])
    error = refusal(book.rows(good_rows(1)).save())
    assert error.code == "doubled-headers"
    assert "“姓名”在 B、BZ 列" in str(error)


def test_two_data_sheets(tmp_path: Path) -> None:
    book = Book(tmp_path / "two.xlsx").rows(good_rows(1))
    book.book.add_worksheet("一年级2班").write_row(0, 0, HEADERS)
    error = refusal(book.save())
    assert error.code == "several-sheets"
    assert "“学生信息”、“一年级2班”" in str(error)


def test_a_header_and_nothing_below(tmp_path: Path) -> None:
    assert refusal(Book(tmp_path / "bare.xlsx").save()).code == "empty-sheet"


def test_a_workbook_without_any_cell(tmp_path: Path) -> None:
    assert refusal(Book(tmp_path / "blank.xlsx", headers=[]).save()).code == "empty-sheet"


def test_too_many_rows(tmp_path: Path, settings: Any) -> None:
    settings.IMPORT_MAX_ROWS = 5
    error = refusal(books.write(tmp_path / "rows.xlsx", good_rows(6)))
    assert error.code == "too-large"
    assert "6 行" in str(error)


def test_columns_in_any_order_with_aliases_and_numbers(tmp_path: Path) -> None:
    """Matched by name and alias, with stars, blanks and numbers in front; never by position."""
    order = list(reversed(range(len(KEYS))))
    headers = [f"{HEADERS[at]} ★" for at in order]
    headers[order.index(KEYS.index("id_number"))] = "13.身份证号码"
    headers[order.index(KEYS.index("name"))] = "学生姓名："
    row = good_row(name="王小明")
    book = Book(tmp_path / "order.xlsx", headers=headers, keys=[KEYS[at] for at in order]).rows([row])
    sheet = opened(book.save())
    chunk = next(sheet.chunks())
    cells = dict(
        zip([field.key for field in sheet.fields], [column[0] for column in chunk.columns], strict=True)
    )
    assert cells["name"] == "王小明"
    assert cells["id_number"] == row["id_number"]


def test_an_older_template_is_recognised(tmp_path: Path) -> None:
    book = Book(tmp_path / "2013.xlsx", headers=HEADERS[:71], keys=KEYS[:71]).rows(good_rows(1))
    sheet = opened(book.save())
    assert sheet.template.version == "2013-71"
    assert any("2013-71" in notice for notice in sheet.notices)


def test_blank_rows_are_passed_over_and_numbers_stay_the_sheets_own(tmp_path: Path) -> None:
    book = Book(tmp_path / "gaps.xlsx").rows(good_rows(2))
    book.line += 9
    sheet = opened(book.rows(good_rows(1)).save())
    assert [number for chunk in sheet.chunks() for number in chunk.numbers] == [2, 3, 13]
    assert [chunk.number for chunk in sheet.chunks(skip=frozenset({0}))] == [1]
