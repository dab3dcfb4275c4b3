"""One cell at a time: how each kind of field is read, and what is wrong with it.

A reader takes clean, non-empty text and returns the normalized text, or raises `WrongError` with the
Chinese text shown beside the cell. `registry.imports.columns` applies them by column, each distinct value
once.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from registry.imports.context import Context
from registry.students.fields import Field
from registry.students.fields_codes import CodeSet, code_sets


class WrongError(ValueError):
    """What is wrong with a cell, in Chinese, for the person who filled it in."""


Reader = Callable[[str], str]

_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:[ T]00:00:00)?")
_MONTH = re.compile(r"(\d{4})[-/.年](\d{1,2})月?(?:[-/.]01(?:[ T]00:00:00)?)?")
_NAME = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af·A-Za-z .'’\-]+")
_INNER_BLANK = re.compile(r"(?<=[\u3400-\u9fff])\s+(?=[\u3400-\u9fff])")
_USUAL_NAME = "\u4e00-\u9fa5"
_USUAL_TEXT = _USUAL_NAME + "A-Za-z0-9"
_MOBILE = re.compile(r"1[3-9][0-9]{9}")
_LANDLINE = re.compile(r"(0(?:10|2\d|[3-9]\d{2}))-?([2-9]\d{6,7})(?:[-转](\d{1,6}))?")
_COUNTRY = re.compile(r"(?:\+|\b00)86[\s\-]?")
_PHONE_SEPARATOR = re.compile(r"[,;/、，；\s]+")
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]+@[A-Za-z0-9](?:[A-Za-z0-9\-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9\-]+)+")
_URL = re.compile(r"(?:https?://)?[A-Za-z0-9](?:[A-Za-z0-9.\-]*)\.[A-Za-z]{2,}(?:[:/?#]\S*)?")
_CITIZEN_ID = re.compile(r"[1-9][0-9]{16}[0-9X]")
_DOCUMENT = re.compile(r"[A-Z0-9()/\-]{4,20}")
_DISTANCE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:公里|千米|km|KM|Km)?")
_EPOCH, _EPOCH_1904 = dt.date(1899, 12, 30), dt.date(1904, 1, 1)
_SERIALS = range(18_264, 73_051)  # 1950 to 2099 in Excel's day numbers


def reader_for(field: Field, context: Context) -> Reader:
    """The reader of a field's kind."""
    kind = field.kind
    if kind == "yes_no" or kind.startswith("code:"):
        return _code(code_sets()[field.code_set])
    if kind == "text":
        return _name if field.key.endswith("name") else str
    made: dict[str, Callable[[Context], Reader]] = {
        "school_code": _school,
        "region": _region,
        "date": _date,
        "month": _month,
    }
    if kind in made:
        return made[kind](context)
    plain: dict[str, Reader] = {
        "id_number": _id_number,
        "class_number": _class_number,
        "phone": _phone,
        "postcode": _postcode,
        "decimal_km": _distance,
        "date_range": _date_range,
        "email": _email,
        "url": _url,
    }
    return plain[kind]


def plain_for(field: Field) -> re.Pattern[str] | None:
    """A pattern of cells that need no reading: what matches whole is right, and stays as it is.

    Only for kinds whose values hardly repeat (names, addresses, numbers of people and telephones); it covers
    the usual spelling, and whatever else may be right is left to the reader.
    """
    if field.kind == "text":
        usual = _USUAL_NAME if field.key.endswith("name") else _USUAL_TEXT
        return re.compile(f"[{usual}]{{1,{field.max_length}}}")
    return {"id_number": _CITIZEN_ID, "phone": _MOBILE}.get(field.kind)


def _code(table: CodeSet) -> Reader:
    def read(text: str) -> str:
        code = table.code_of(text)
        if code is None:
            raise WrongError(f"“{text[:20]}”不是{table.title}的代码或名称，应填 {_choices(table)}")
        return code

    return read


def _choices(table: CodeSet) -> str:
    if len(table.entries) > 8:
        first = table.entries[0]
        return f"{table.standard} 的代码，如“{first.code}”（{first.name}），见模板的“代码表”"
    return "、".join(f"{entry.code}（{entry.name}）" for entry in table.entries)


def _name(text: str) -> str:
    text = _INNER_BLANK.sub("", text.replace("•", "·").replace("．", "·").replace("・", "·"))
    if not _NAME.fullmatch(text):
        raise WrongError("姓名只能有汉字、字母和间隔号“·”，不能有数字或其他符号")
    return text


def _school(context: Context) -> Reader:
    def read(text: str) -> str:
        if not (text.isascii() and text.isdigit() and len(text) == 10):
            raise WrongError("学校标识码应为 10 位数字")
        school = context.schools.get(text)
        if school is None:
            if text in context.void_schools:
                raise WrongError(f"该学校标识码已作废，现为 {context.void_schools[text]}")
            if text in context.foreign_schools:
                raise WrongError("该学校不在您的管理范围内")
            raise WrongError("没有这个学校标识码")
        if school.closed:
            raise WrongError("该学校已撤销，不能登记学生")
        return text

    return read


def _region(context: Context) -> Reader:
    def read(text: str) -> str:
        if not (text.isascii() and text.isdigit() and len(text) in {6, 12}):
            raise WrongError("行政区划应为 6 位或 12 位数字代码")
        if not context.region_known(text[:6]):
            raise WrongError(f"没有行政区划代码 {text[:6]}")
        return text

    return read


def _date(context: Context) -> Reader:
    def read(text: str) -> str:
        day = parse_date(text, date1904=context.date1904)
        if day > context.today:
            raise WrongError("日期在今天之后")
        if day.year < 1970:
            raise WrongError("年份早于 1970 年，请核对")
        return day.isoformat()

    return read


def parse_date(text: str, *, date1904: bool = False) -> dt.date:
    """A day from 20110105, 2011-1-5, 2011/1/5, 2011.1.5, 2011年1月5日 or an Excel day number.

    Raises WrongError.
    """
    if text.isascii() and text.isdigit():
        if len(text) == 8:
            return _day(text[:4], text[4:6], text[6:])
        if len(text) == 5 and int(text) in _SERIALS:
            return (_EPOCH_1904 if date1904 else _EPOCH) + dt.timedelta(days=int(text))
    elif match := _DAY.fullmatch(text):
        return _day(*match.groups())
    raise WrongError("日期应为 8 位数字，如 20110105")


def _day(year: str, month: str, day: str) -> dt.date:
    try:
        return dt.date(int(year), int(month), int(day))
    except ValueError as error:
        raise WrongError(f"没有 {year} 年 {int(month)} 月 {int(day)} 日这一天") from error


def _month(context: Context) -> Reader:
    latest = (context.today.year + 1) * 100 + context.today.month

    def read(text: str) -> str:
        if text.isascii() and text.isdigit() and len(text) == 6:
            year, month = text[:4], text[4:]
        elif match := _MONTH.fullmatch(text):
            year, month = match.groups()
        else:
            raise WrongError("年月应为 6 位数字，如 202509")
        if not 1 <= int(month) <= 12:
            raise WrongError(f"没有 {int(month)} 月")
        if int(year) < 1970 or int(year) * 100 + int(month) > latest:
            raise WrongError("入学年月不在合理范围内")
        return f"{year}{int(month):02d}"

    return read


def _id_number(text: str) -> str:
    text = text.replace(" ", "").upper()
    if not _DOCUMENT.fullmatch(text):
        raise WrongError("证件号应为 4 到 20 位的字母和数字")
    return text


def _class_number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) > 0):
        raise WrongError("班号应为 4 位数字，如 0101")
    return text.zfill(4)


def _phone(text: str) -> str:
    parts = [part for part in _PHONE_SEPARATOR.split(_COUNTRY.sub("", text)) if part]
    return ";".join(_one_phone(part) for part in parts)


def _one_phone(text: str) -> str:
    if _MOBILE.fullmatch(text):
        return text
    bare = text.replace("(", "").replace(")", "-").replace("--", "-")
    if _MOBILE.fullmatch(bare.replace("-", "")):
        return bare.replace("-", "")
    match = _LANDLINE.fullmatch(bare) or (_LANDLINE.fullmatch("0" + bare) if bare[:1] != "0" else None)
    if not match:
        raise WrongError("电话应为 11 位手机号，或带区号的固定电话，如 029-88668866")
    return "-".join(part for part in match.groups() if part)


def _postcode(text: str) -> str:
    if text.isascii() and text.isdigit() and len(text) in {5, 6}:
        return text.zfill(6)  # Excel drops the zero of 0xxxxx
    raise WrongError("邮政编码应为 6 位数字")


def _distance(text: str) -> str:
    match = _DISTANCE.fullmatch(text)
    try:
        kilometres = Decimal(match.group(1)).quantize(Decimal("0.1")) if match else None
    except InvalidOperation:
        kilometres = None
    if kilometres is None or kilometres >= 1000:
        raise WrongError("上下学距离应为公里数，小于 1000，如 1.5")
    return str(kilometres)


def _date_range(text: str) -> str:
    bare = re.sub(r"[\s.年月日/]", "", text.replace("—", "-").replace("至", "-").replace("~", "-"))
    start, _, end = bare.partition("-")
    first = parse_date(start) if len(start) == 8 else None
    if first is None or not end:
        raise WrongError("有效期应为“起-止”，如 20200601-20300601 或 20200601-长期")
    if end == "长期":
        return f"{start}-长期"
    if parse_date(end) <= first:
        raise WrongError("有效期的截止日期不在起始日期之后")
    return f"{start}-{end}"


def _email(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise WrongError("电子信箱格式不对，如 name@example.com")
    return text


def _url(text: str) -> str:
    if not _URL.fullmatch(text):
        raise WrongError("主页地址格式不对，如 https://example.com")
    return text
