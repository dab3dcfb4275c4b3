"""Checking by column gives what looking at every cell by itself gives (oracle.py)."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.imports.columns import Bad, ColumnCheck
from registry.imports.context import Context
from registry.imports.identity import CitizenIds
from registry.imports.kinds import plain_for
from registry.imports.text import as_text
from registry.students.fields import all_fields, field_by_key
from registry.students.fields_codes import code_sets

from . import oracle
from .books import citizen_id

TODAY = dt.date(2026, 9, 1)
KNOWN, COMPLETE = {"610000", "610113", "610125", "110000"}, {"61"}
CONTEXT = Context(today=TODAY, regions=frozenset(KNOWN), complete=frozenset(COMPLETE))
CITIZENS = CitizenIds(lambda region: region != "999999")
MANY = settings(max_examples=300, deadline=None)

_digits = st.text("0123456789０１２３", min_size=1, max_size=13)
_messy = st.text("0123456789 -/.年月日　Xx１２", max_size=14)


def checked(key: str, cells: list[Any]) -> list[str | None]:
    """The column's values, None where the check refused."""
    column = ColumnCheck(field_by_key()[key], CONTEXT).column(cells)
    return [None if isinstance(value, Bad) else value for value in column]


def expected(cells: list[str], answer: Any) -> list[str | None]:
    """What the oracle says of each non-empty cell; required fields refuse empty ones."""
    return [answer(cell) if oracle.tidy(cell) else None for cell in cells]


_days = st.one_of(
    _messy,
    st.dates(dt.date(1960, 1, 1), dt.date(2030, 1, 1)).map(lambda day: f"{day:%Y%m%d}"),
    st.dates(dt.date(1960, 1, 1), dt.date(2030, 1, 1)).map(lambda day: f"{day:%Y-%m-%d} "),
    st.dates(dt.date(1960, 1, 1), dt.date(2030, 1, 1)).map(lambda day: f"　{day.year}/{day.month}/{day.day}"),
)


@MANY
@given(st.lists(_days, min_size=1, max_size=30))
def test_dates(cells: list[str]) -> None:
    cells = [
        cell for cell in cells if "年" not in cell and not (len(cell.strip()) == 5 and cell.strip().isdigit())
    ]
    want = expected(cells, lambda cell: oracle.date(cell, (TODAY.year, TODAY.month, TODAY.day)))
    assert checked("birth_date", cells) == want


_regions = st.one_of(
    _digits,
    st.sampled_from(["610113", "610125", "610125000000", "619999", "110105", "991234", "110105001002"]),
    st.integers(100000, 999999).map(str),
)


@MANY
@given(st.lists(_regions, min_size=1, max_size=30))
def test_regions(cells: list[str]) -> None:
    assert checked("birth_region", cells) == expected(
        cells, lambda cell: oracle.region(cell, KNOWN, COMPLETE)
    )


@MANY
@given(st.lists(st.one_of(_digits, _messy), min_size=1, max_size=30))
def test_postcodes_and_class_numbers(cells: list[str]) -> None:
    assert checked("postcode", cells) == expected(cells, oracle.postcode)
    assert checked("class_number", cells) == expected(cells, oracle.class_number)


@MANY
@given(st.lists(st.from_regex(r"\A1[0-9]{9,11}\Z"), min_size=1, max_size=30))
def test_mobile_numbers(cells: list[str]) -> None:
    want = expected(cells, oracle.mobile)
    got = checked("phone", cells)
    for cell, answer, value in zip(cells, want, got, strict=True):
        if answer is not None:
            assert value == answer
        elif len(cell) == 11 and cell[1] in "012":
            assert value is None or value.startswith("01"), cell  # a landline that lost its zero


@pytest.mark.parametrize(
    "key", ["sex", "ethnicity", "id_type", "overseas", "health", "transport", "member1_kinship"]
)
def test_every_code_and_name_is_understood(key: str) -> None:
    table = code_sets()[field_by_key()[key].code_set]
    names = {entry.code: entry.name for entry in table.entries}
    cells = [
        shape
        for code, name in names.items()
        for shape in (code, name, f"{code}-{name}", f" {code} ", f"{code} {name}")
    ]
    assert checked(key, cells) == [oracle.code(cell, names) for cell in cells]
    assert None not in checked(key, cells)


_names = {entry.code: entry.name for entry in code_sets()["ethnicity"].entries}


@MANY
@given(
    st.lists(
        st.one_of(
            st.sampled_from([*_names, *_names.values()]), _digits, st.text("汉族回蒙古0123", max_size=4)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_codes(cells: list[str]) -> None:
    aliases = {alias for entry in code_sets()["ethnicity"].entries for alias in entry.aliases}
    cells = [cell for cell in cells if cell not in aliases]
    assert checked("ethnicity", cells) == expected(cells, lambda cell: oracle.code(cell, _names))


@MANY
@given(st.lists(st.sampled_from(["1", "2", "男", "女", "", "3", "  ", "１"]), max_size=60))
def test_a_column_is_its_cells_one_by_one(cells: list[str]) -> None:
    one_by_one = [checked("sex", [cell])[0] for cell in cells]
    assert checked("sex", cells) == one_by_one


@MANY
@given(st.text("0123456789X", min_size=17, max_size=19))
def test_citizen_ids_of_any_shape(number: str) -> None:
    assert (CITIZENS.problem(number) == "") == oracle.citizen_id(number)


@MANY
@given(
    st.sampled_from(["610113", "110105"]),
    st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31)),
    st.integers(0, 999),
    st.integers(0, 17),
    st.sampled_from("0123456789X"),
)
def test_citizen_ids_near_valid_ones(region: str, day: dt.date, sequence: int, at: int, other: str) -> None:
    number = citizen_id(region, f"{day:%Y%m%d}", sequence)
    assert CITIZENS.problem(number) == ""
    assert CITIZENS.birth_date(number) == day.isoformat()
    changed = number[:at] + other + number[at + 1 :]
    assert (CITIZENS.problem(changed) == "") == oracle.citizen_id(changed)


@MANY
@given(
    st.lists(
        st.one_of(
            st.text("0123456789X", min_size=17, max_size=19),
            st.sampled_from(
                ["", "A1234567", citizen_id("999999"), citizen_id(), citizen_id(born="20190229")]
            ),
            st.builds(citizen_id, sequence=st.integers(0, 999)),
        )
    )
)
def test_the_numbers_left_unproven_are_the_ones_with_a_problem(numbers: list[str]) -> None:
    assert CITIZENS.unproven(numbers) == [at for at, one in enumerate(numbers) if CITIZENS.problem(one)]


def test_what_a_number_says_of_birth_date_and_sex() -> None:
    number = citizen_id(born="20190305", sequence=1)
    births = ["2019-03-05", "2019-03-06", "2019-03-05", ""]
    assert CITIZENS.unlike([number] * 4, births, ["1", "1", "2", "1"]) == [1, 2, 3]


@pytest.mark.parametrize("key", [field.key for field in all_fields() if plain_for(field)])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_plain_cell_reads_as_itself(key: str, data: st.DataObject) -> None:
    field = field_by_key()[key]
    cell = data.draw(st.from_regex(plain_for(field), fullmatch=True))
    assert ColumnCheck(field, CONTEXT).check(cell) == cell


def test_the_standards_own_example() -> None:
    assert CITIZENS.problem("11010519491231002X") == ""
    assert "校验码" in CITIZENS.problem("110105194912310020")


@pytest.mark.parametrize(
    ("key", "cell", "value"),
    [
        ("birth_date", dt.date(2015, 3, 1), "2015-03-01"),
        ("birth_date", dt.datetime(2015, 3, 1), "2015-03-01"),  # noqa: DTZ001 - as Excel's cells come
        ("birth_date", 20150301.0, "2015-03-01"),
        ("birth_date", 42064.0, "2015-03-01"),
        ("birth_date", "42064", "2015-03-01"),
        ("birth_date", "2015年3月1日", "2015-03-01"),
        ("birth_date", "２０１５０３０１", "2015-03-01"),
        ("birth_date", "2015-03-01 00:00:00", "2015-03-01"),
        ("admission_month", 202509.0, "202509"),
        ("admission_month", "2025年9月", "202509"),
        ("admission_month", "2025-9", "202509"),
        ("admission_month", dt.date(2025, 9, 1), "202509"),
        ("ethnicity", 1.0, "01"),
        ("overseas", 0.0, "00"),
        ("class_number", 101.0, "0101"),
        ("postcode", 30000.0, "030000"),
        ("sex", True, "1"),
        ("phone", 13300000000.0, "13300000000"),
        ("phone", "133-0000-0000", "13300000000"),
        ("phone", "+86 13300000000", "13300000000"),
        ("phone", "2988668866", "029-88668866"),
        ("phone", "(029)88668866", "029-88668866"),
        ("phone", "13300000000、029-88668866", "13300000000;029-88668866"),
        ("name", " 张　三 ", "张三"),
        ("name", "阿依古丽•买买提", "阿依古丽·买买提"),
        ("name", "张\u200b三", "张三"),
        ("distance_km", "1.25公里", "1.2"),
        ("distance_km", 3.0, "3.0"),
        ("id_valid", "2020.06.01-2030.06.01", "20200601-20300601"),
        ("id_valid", "20200601-长期", "20200601-长期"),
        ("home_address", "雁塔区１号，２单元", "雁塔区1号，2单元"),
        ("birth_region", 610113.0, "610113"),
        ("birth_region", "610113001002", "610113001002"),
    ],
)
def test_what_excel_did_is_undone(key: str, cell: Any, value: str) -> None:
    assert checked(key, [cell]) == [value]


@pytest.mark.parametrize(
    ("key", "cell", "words"),
    [
        ("id_number", 610113201503010010.0, "末几位已丢失"),
        ("name", "", "必填项为空"),
        ("name", "　 ", "必填项为空"),
        ("name", "张3", "姓名只能有"),
        ("name", "#N/A", "公式错误值"),
        ("name", "张" * 37, "超过 36 个字"),
        ("birth_date", "20150229", "没有 2015 年 2 月 29 日"),
        ("birth_date", "20270101", "今天之后"),
        ("birth_date", "19500101", "1970"),
        ("birth_date", "二〇一五", "8 位数字"),
        ("admission_month", "202513", "没有 13 月"),
        ("admission_month", "203001", "合理范围"),
        ("ethnicity", "火星族", "不是民族的代码或名称"),
        ("sex", "3", "应填 1（男）、2（女）"),
        ("school_code", "21610000", "10 位数字"),
        ("school_code", "2161000009", "没有这个学校标识码"),
        ("postcode", "71006", None),
        ("postcode", "7100611", "6 位数字"),
        ("email", "a@b", "电子信箱格式"),
        ("homepage", "主页", "主页地址格式"),
        ("distance_km", "很远", "公里数"),
        ("id_valid", "20300601-20200601", "截止日期"),
        ("phone", "12345", "11 位手机号"),
    ],
)
def test_what_is_wrong_is_said_in_chinese(key: str, cell: Any, words: str | None) -> None:
    value = ColumnCheck(field_by_key()[key], CONTEXT).column([cell])[0]
    if words is None:
        assert not isinstance(value, Bad)
    else:
        assert isinstance(value, Bad)
        assert words in value


def test_optional_fields_may_be_empty() -> None:
    assert checked("talent", ["", None or "", "  "]) == ["", "", ""]


def test_dates_counted_from_1904() -> None:
    context = Context(today=TODAY, date1904=True)
    check = ColumnCheck(field_by_key()["birth_date"], context)
    assert check.column(["40602"]) == ["2015-03-01"]


def test_a_column_forgets_when_it_has_seen_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("registry.imports.columns._REMEMBER", 3)
    check = ColumnCheck(field_by_key()["sex"], CONTEXT)
    assert [isinstance(value, Bad) for value in check.column(["5", "6", "7", "8"])] == [True] * 4
    assert check.seen_bad
    assert check.column(["1"]) == ["1"]
    assert not check.seen_bad
    assert len(check) == 1


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_numbers_never_show_a_trailing_zero(number: float) -> None:
    assert not as_text(number).endswith(".0")
