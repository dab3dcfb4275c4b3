"""Is the upload a workbook that is safe to open? Looks at the container only, never parses a cell.

`check_container` costs milliseconds and is meant for the moment of upload; `inspect_parts` unpacks every part
once in bounded memory (proving the sizes that the zip directory claims) and notes formulas on the way.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from registry.imports.errors import WorkbookError
from registry.imports.limits import limit

MEBIBYTE = 1024**2
_BLOCK = 1 * MEBIBYTE
_OVERLAP = 512
_SAVE_AS_XLSX = "请在 Excel 或 WPS 中另存为“Excel 工作簿（*.xlsx）”后重新上传"
_FILL_TEMPLATE = "请下载模板填写后重新上传"

# what a file really is, by its first bytes; the name's ending is not believed
_MAGIC = (
    (b"MZ", "program", "文件其实是 Windows 程序，只是改了扩展名", "请勿打开它，并从原始数据重新导出工作簿"),
    (b"\x7fELF", "program", "文件其实是可执行程序，只是改了扩展名", "请勿打开它，并从原始数据重新导出工作簿"),
    (b"%PDF", "not-a-workbook", "文件其实是 PDF", _FILL_TEMPLATE),
    (b"Rar!", "not-a-workbook", "文件其实是 RAR 压缩包", "请解压后上传其中的工作簿"),
    (b"7z\xbc\xaf", "not-a-workbook", "文件其实是 7z 压缩包", "请解压后上传其中的工作簿"),
)
_FORMULA = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?f[\s/>]")
_CELL = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?c\s[^<>]*?\br=\"([A-Z]{1,3}[0-9]{1,7})\"")
# Cells far out: calamine keeps a sheet as one dense rectangle, so one cell at XFD1048576 would be its end.
_FAR_CELL = re.compile(rb"r=\"([A-Z]{3}|[D-Z][A-Z]|[A-Z]{1,2}(?=[0-9]{6}))([0-9]{1,7})\"")
_NEAR_COLUMNS, _NEAR_ROWS = 104, 99_999  # what that pattern leaves out: up to CZ99999
_LARGEST_AREA = 32_000_000  # cells, about 1 GB in calamine
_DECLARATION = re.compile(rb"<!(?:DOCTYPE|ENTITY)")


@dataclass
class SheetPart:
    """What was seen in one worksheet's XML: how many formulas, where the first are, how far it reaches."""

    formulas: int = 0
    rows: int = _NEAR_ROWS
    columns: int = _NEAR_COLUMNS
    formula_cells: list[str] = field(default_factory=list)


@dataclass
class Parts:
    """The parts of a workbook that matter here. `sheets`: sheet name → what was seen in it."""

    sheets: dict[str, SheetPart]
    date1904: bool


def check_container(path: Path) -> None:
    """Refuse what is no xlsx workbook, or one that would unpack to too much.

    Raises WorkbookError; reads the first bytes and the zip directory only.
    """
    size = path.stat().st_size
    if size == 0:
        raise WorkbookError("empty-file", "文件是空的（0 字节）", "请重新导出后上传")
    if size > limit("IMPORT_MAX_BYTES"):
        raise too_large(size)
    with path.open("rb") as file:
        head = file.read(4096)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        raise _old_or_encrypted(path)
    for magic, code, what, mend in _MAGIC:
        if head.startswith(magic):
            raise WorkbookError(code, what, mend)
    if not head.startswith(b"PK"):
        if b"<html" in head.lower() or b"<table" in head.lower():
            raise WorkbookError("not-a-workbook", "文件其实是网页（HTML）表格，只是改了扩展名", _SAVE_AS_XLSX)
        raise WorkbookError("not-a-workbook", "文件不是 Excel 工作簿", _SAVE_AS_XLSX)
    _check_directory(path)


def too_large(size: int) -> WorkbookError:
    """The error for a file over the limit."""
    most = limit("IMPORT_MAX_BYTES") // MEBIBYTE
    return WorkbookError(
        "too-large", f"文件有 {size / MEBIBYTE:.0f} MB，超过 {most} MB 的上限", "请按学校或年级拆成几个工作簿"
    )


def _old_or_encrypted(path: Path) -> WorkbookError:
    with path.open("rb") as file:
        blob = file.read(4 * MEBIBYTE)
    if "EncryptedPackage".encode("utf-16-le") in blob:
        return WorkbookError("encrypted", "工作簿设置了打开密码", "请在 Excel 或 WPS 中取消密码后重新上传")
    return WorkbookError("old-format", "文件是旧版 Excel 97-2003 格式（.xls）", _SAVE_AS_XLSX)


def _check_directory(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise _damaged() from error
    _check_kind(infos)
    if len(infos) > limit("IMPORT_MAX_PARTS"):
        raise _bomb(f"压缩包内有 {len(infos)} 个文件")
    if len({info.filename for info in infos}) != len(infos):
        raise _bomb("压缩包内有重名文件")
    unpacked = sum(info.file_size for info in infos)
    if unpacked > limit("IMPORT_MAX_UNPACKED"):
        raise _bomb(f"解压后有 {unpacked / MEBIBYTE:.0f} MB")
    for info in infos:
        if info.file_size > 10 * MEBIBYTE and info.file_size > limit("IMPORT_MAX_RATIO") * info.compress_size:
            raise _bomb(f"{info.filename} 解压后膨胀 {info.file_size // max(info.compress_size, 1)} 倍")


def _check_kind(infos: list[zipfile.ZipInfo]) -> None:
    """Refuse zips that are no plain xlsx workbook."""
    names = {info.filename for info in infos}
    if any(info.flag_bits & 1 for info in infos):
        raise WorkbookError("encrypted", "压缩包设置了密码", "请取消密码后重新上传")
    if "xl/workbook.bin" in names:
        raise WorkbookError("old-format", "文件是 Excel 二进制格式（.xlsb）", _SAVE_AS_XLSX)
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise WorkbookError("macro", "工作簿带有宏", _SAVE_AS_XLSX)
    if "xl/workbook.xml" not in names:
        what = "文件是 ODS 表格" if "mimetype" in names else "文件是普通压缩包，不是 Excel 工作簿"
        raise WorkbookError("not-a-workbook", what, _SAVE_AS_XLSX)


def _bomb(what: str) -> WorkbookError:
    return WorkbookError("bomb", f"工作簿异常：{what}，疑似压缩炸弹", _FILL_TEMPLATE)


def _damaged() -> WorkbookError:
    return WorkbookError("damaged", "工作簿已损坏，无法解压", "请用 Excel 打开原文件并另存后重新上传")


def inspect_parts(path: Path) -> Parts:
    """Unpack every XML part once, without keeping it: true sizes, forbidden declarations, formulas.

    A zip directory may lie about sizes; here a part that unpacks to something else than it claims is
    refused before any parser sees it. Raises WorkbookError.
    """
    seen: dict[str, SheetPart] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if info.filename.endswith((".xml", ".rels", ".vml")):
                    seen[info.filename] = _scan(archive, info)
            workbook = _xml(archive, "xl/workbook.xml")
            relations = _xml(archive, "xl/_rels/workbook.xml.rels")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, KeyError, NotImplementedError) as error:
        raise _damaged() from error
    targets = {item.get("Id", ""): _part_name(item.get("Target", "")) for item in relations}
    sheets = {}
    for item in workbook.iter():
        if item.tag.endswith("}sheet"):
            relation = next((value for key, value in item.attrib.items() if key.endswith("}id")), "")
            sheets[item.get("name", "")] = seen.get(targets.get(relation, ""), SheetPart())
    properties = next((item for item in workbook.iter() if item.tag.endswith("}workbookPr")), None)
    date1904 = properties is not None and properties.get("date1904") in {"1", "true"}
    return Parts(sheets=sheets, date1904=date1904)


def _part_name(target: str) -> str:
    return target.lstrip("/") if target.startswith("/") else "xl/" + target


def _xml(archive: zipfile.ZipFile, name: str) -> Element:
    try:
        return fromstring(archive.read(name), forbid_dtd=True)
    except (ParseError, DefusedXmlException) as error:
        raise _damaged() from error


def _scan(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> SheetPart:
    """Read one part block by block; formulas are looked for in worksheets only.

    Single bytes are looked for first: that runs at memory speed, and most blocks hold neither.
    """
    found = SheetPart()
    worksheet = info.filename.startswith("xl/worksheets/")
    tail = b""
    with archive.open(info) as part:
        while block := part.read(_BLOCK):
            text = tail + block
            if not tail and text[:2] in {b"\xff\xfe", b"\xfe\xff"}:
                raise WorkbookError("damaged", f"{info.filename} 的编码不是 UTF-8", _SAVE_AS_XLSX)
            if b"!" in text and _DECLARATION.search(text):
                raise _bomb(f"{info.filename} 含有实体声明")
            if worksheet and b"f" in text and (b"<f" in text or b":f" in text):
                _note_formulas(text, len(tail), found)
            if worksheet:
                _note_reach(text, found)
            tail = text[-_OVERLAP:]
    if found.rows * found.columns > _LARGEST_AREA:
        raise _bomb(f"有单元格远在第 {found.columns} 列、第 {found.rows} 行之外")
    return found


def _note_reach(text: bytes, found: SheetPart) -> None:
    for letters, digits in _FAR_CELL.findall(text):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        found.columns = max(found.columns, column)
        found.rows = max(found.rows, int(digits))


def _note_formulas(text: bytes, old: int, found: SheetPart) -> None:
    """Count the formulas that end after the first `old` bytes, which the last block has already shown."""
    for match in _FORMULA.finditer(text):
        if match.end() <= old:
            continue
        found.formulas += 1
        if len(found.formula_cells) < 3:
            before = _CELL.findall(text, max(0, match.start() - _OVERLAP), match.start())
            found.formula_cells.append(before[-1].decode() if before else "?")
