"""The collection template as a workbook: headers with hints, choices, instructions, codes, an example."""

from __future__ import annotations

import datetime as dt
import io

import xlsxwriter
from xlsxwriter.worksheet import Worksheet

from registry.students.fields import Field, Template
from registry.students.fields_codes import CodeSet, code_sets

_ROWS = 5000  # rows that get choices and text format
_LONGEST_LIST = 60  # entries of a table offered as a drop-down
_REQUIRED = {"R": "必填", "C": "条件必填", "O": "选填"}
_KINDS = {
    "school_code": "10 位数字",
    "text": "文字",
    "date": "8 位数字，如 20190305",
    "region": "6 位或 12 位行政区划代码",
    "id_number": "身份证为 18 位，末位 X 大写",
    "class_number": "4 位数字，如 0101",
    "month": "6 位数字，如 202509",
    "phone": "手机号，或带区号的固定电话",
    "postcode": "6 位数字",
    "decimal_km": "公里数，如 1.5",
    "date_range": "起-止，如 20200601-20300601，或 20200601-长期",
    "email": "如 name@example.com",
    "url": "如 https://example.com",
}
_CONDITIONS = {
    "id_number": "身份证件类型不是“Z-其他”时必填",
    "member1_id_type": "学生没有证件号时必填",
    "member1_id_number": "学生没有证件号时必填",
}
# One made-up child; the id numbers have right check characters and belong to nobody on purpose.
_EXAMPLE = {
    "school_code": "2161000001",
    "name": "李晓雨",
    "sex": "2-女",
    "birth_date": "20190305",
    "birth_region": "610113",
    "native_place": "陕西西安",
    "ethnicity": "01-汉族",
    "nationality": "CHN-中国",
    "id_type": "1-居民身份证",
    "overseas": "00-否",
    "health": "10-健康或良好",
    "id_number": "610113201903050028",
    "household_type": "2-非农业户口",
    "household_region": "610113",
    "class_number": "0101",
    "admission_month": "202509",
    "admission_way": "11-就近入学",
    "attendance": "1-走读",
    "current_address": "陕西省西安市雁塔区建设路1号",
    "postal_address": "陕西省西安市雁塔区建设路1号",
    "home_address": "陕西省西安市雁塔区建设路1号",
    "phone": "13300000000",
    "postcode": "710061",
    "distance_km": "1.5",
    "transport": "1-步行",
    "left_behind": "0-非留守儿童",
    "disability": "0-无残疾",
    "mainstreamed": "0-非随班就读",
    "member1_name": "李建国",
    "member1_kinship": "51-父亲",
    "member1_address": "陕西省西安市雁塔区建设路1号",
    "member1_household_region": "610113",
    "member1_phone": "13300000000",
    "member1_guardian": "1-是",
}
_GENERAL = (
    "请在“学生信息”表中从第 2 行起填写，一行一个学生；列的顺序可以变，列标题请勿改动。",
    "深色标题为必填列，浅色为选填列；鼠标停在标题上可看填写要求。",
    "代码列可以填代码（1）、名称（男）或“代码-名称”（1-男），有下拉选项的列可直接选。",
    "全部单元格已设为文本格式：粘贴时请“选择性粘贴—数值”，以免身份证号末位变 0、邮编丢首位 0。",
    "不要合并单元格，不要写公式，不要设置打开密码；一个工作簿只放一张学生表。",
)


def template_workbook(template: Template) -> bytes:
    """The workbook of one template version."""
    buffer = io.BytesIO()
    with xlsxwriter.Workbook(buffer, {"in_memory": True, "strings_to_formulas": False}) as book:
        book.set_properties({"title": template.title, "created": dt.datetime(2014, 8, 25)})  # noqa: DTZ001
        _Writer(book, template).write()
    return buffer.getvalue()


def entry_text(code: str, name: str) -> str:
    """A choice as the drop-downs show it: 1-男."""
    return f"{code}-{name}"


class _Writer:
    def __init__(self, book: xlsxwriter.Workbook, template: Template) -> None:
        font = {"font_name": "宋体", "font_size": 11, "valign": "vcenter"}
        self.template = template
        self.text = book.add_format({**font, "num_format": "@"})
        self.plain = book.add_format({**font, "text_wrap": True})
        self.title = book.add_format({**font, "bold": True, "font_size": 14})
        self.head = {
            "R": book.add_format(
                {**font, "bold": True, "bg_color": "#1F4E79", "font_color": "#FFFFFF", "border": 1}
            ),
            "C": book.add_format(
                {**font, "bold": True, "bg_color": "#5B87AC", "font_color": "#FFFFFF", "border": 1}
            ),
            "O": book.add_format({**font, "bold": True, "bg_color": "#DDEBF7", "border": 1}),
        }
        self.data = book.add_worksheet("学生信息")
        self.guide = book.add_worksheet("填写说明")
        self.codes = book.add_worksheet("代码表")
        self.lists: dict[str, str] = {}

    def write(self) -> None:
        self._write_codes()
        self._write_data()
        self._write_guide()

    def _write_codes(self) -> None:
        """One column a table; drop-downs refer to them."""
        used = dict.fromkeys(field.code_set for field in self.template.fields if field.code_set)
        for column, name in enumerate(used):
            table = code_sets()[name]
            self.codes.set_column(column, column, 24)
            self.codes.write_string(0, column, f"{table.title}（{table.standard}）", self.head["O"])
            for row, entry in enumerate(table.entries, start=1):
                self.codes.write_string(row, column, entry_text(entry.code, entry.name), self.plain)
            letters = xlsxwriter.utility.xl_col_to_name(column, col_abs=True)
            self.lists[name] = f"='代码表'!{letters}$2:{letters}${len(table.entries) + 1}"
        self.codes.freeze_panes(1, 0)

    def _write_data(self) -> None:
        sheet: Worksheet = self.data
        sheet.freeze_panes(1, 2)
        sheet.set_row(0, 28)
        for column, field in enumerate(self.template.fields):
            sheet.set_column(column, column, _width(field), self.text)
            sheet.write_string(0, column, field.name, self.head[field.required])
            sheet.write_comment(0, column, _hint(field), {"x_scale": 1.5})
            table = code_sets().get(field.code_set)
            if table and len(table.entries) <= _LONGEST_LIST:
                sheet.data_validation(1, column, _ROWS, column, _choices(table, self.lists[table.name]))

    def _write_guide(self) -> None:
        sheet: Worksheet = self.guide
        sheet.set_column(0, 0, 8)
        sheet.set_column(1, 1, 26)
        sheet.set_column(2, 2, 12)
        sheet.set_column(3, 4, 46)
        sheet.write_string(0, 0, f"{self.template.title}（{self.template.version}）", self.title)
        for row, line in enumerate(_GENERAL, start=1):
            sheet.write_string(row, 0, f"{row}. {line}")
        top = len(_GENERAL) + 2
        for column, name in enumerate(("序号", "字段", "要求", "填写方法", "示例")):
            sheet.write_string(top, column, name, self.head["R"])
        for row, field in enumerate(self.template.fields, start=top + 1):
            sheet.write_number(row, 0, field.number, self.plain)
            sheet.write_string(row, 1, field.name, self.plain)
            sheet.write_string(row, 2, _REQUIRED[field.required], self.plain)
            sheet.write_string(row, 3, _hint(field), self.plain)
            sheet.write_string(row, 4, _example(field), self.plain)


def _width(field: Field) -> int:
    return max(10, min(34, field.max_length + 4, 40), 2 * len(field.name) + 2)


def _hint(field: Field) -> str:
    table = code_sets().get(field.code_set)
    how = f"{table.standard} {table.title}代码或名称" if table else _KINDS[field.kind]
    parts = [_REQUIRED[field.required], how]
    if field.kind == "text":
        parts.append(f"不超过 {field.max_length} 字")
    if field.key in _CONDITIONS:
        parts.append(_CONDITIONS[field.key])
    return "；".join(parts)


def _example(field: Field) -> str:
    if field.key in _EXAMPLE:
        return _EXAMPLE[field.key]
    return "0-否" if field.kind == "yes_no" and field.required == "R" else ""


def _choices(table: CodeSet, source: str) -> dict[str, object]:
    """A drop-down that also lets a bare code or name be typed."""
    return {
        "validate": "list",
        "source": source,
        "error_type": "information",
        "error_title": table.title,
        "error_message": "也可以只填代码或名称；导入时会再检查。",
    }
