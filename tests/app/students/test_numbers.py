"""Citizen ids (GB 11643), student numbers, masking."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.students import numbers

dates = st.dates(dt.date(1900, 1, 1), dt.date(2099, 12, 31))
regions = st.integers(110000, 829999).map(str)
sequences = st.integers(1, 999)


def make(region: str, born: dt.date, order: int) -> str:
    seventeen = f"{region}{born:%Y%m%d}{order:03}"
    return seventeen + numbers.check_character(seventeen)


def test_the_standards_own_example_is_valid() -> None:
    assert numbers.parse_citizen_id("11010519491231002X") == ("110105", dt.date(1949, 12, 31), "2")


@given(regions, dates, sequences)
def test_what_the_rule_makes_is_valid_and_read_back(region: str, born: dt.date, order: int) -> None:
    sex = "1" if order % 2 else "2"
    assert numbers.parse_citizen_id(make(region, born, order)) == (region, born, sex)


@given(regions, dates, sequences, st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_always_found(region: str, born: dt.date, order: int, at: int, by: int) -> None:
    number = make(region, born, order)
    wrong = number[:at] + str((int(number[at]) + by) % 10) + number[at + 1 :]
    assert not numbers.citizen_id_is_valid(wrong)


@given(regions, dates, sequences, st.integers(0, 15))
def test_two_neighbours_swapped_are_always_found(region: str, born: dt.date, order: int, at: int) -> None:
    number = make(region, born, order)
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    assert swapped == number or not numbers.citizen_id_is_valid(swapped)


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        ("11010519491231002X", ""),
        ("11010519491231002x", "form"),
        ("110105194912310021", "check"),
        ("110105194902300020", "date"),
        ("11010518991231002X", "date"),
        ("010105194912310021", "form"),
        ("110105491231002", "form"),
        ("1101051949１231002X", "form"),
        ("11010519491231002X ", "form"),
        ("", "form"),
    ],
)
def test_each_broken_rule_has_its_name(number: str, problem: str) -> None:
    assert numbers.citizen_id_problem(number) == problem
    assert numbers.citizen_id_is_valid(number) == (problem == "")


@given(regions, dates, sequences, st.sampled_from("JL"))
def test_self_made_numbers_are_well_formed(region: str, born: dt.date, order: int, letter: str) -> None:
    number = numbers.self_made_number(region, born, order, letter)
    assert len(number) == 19
    assert numbers.student_number_kind(number) == letter


@pytest.mark.parametrize(
    ("region", "sequence", "letter"),
    [("610113", 0, "J"), ("610113", 1000, "J"), ("61011", 1, "J"), ("610113", 1, "G")],
)
def test_self_made_numbers_refuse_nonsense(region: str, sequence: int, letter: str) -> None:
    with pytest.raises(ValueError, match=r"sequence|six-digit|self-made"):
        numbers.self_made_number(region, dt.date(2015, 1, 1), sequence, letter)


def test_a_g_number_needs_a_valid_id() -> None:
    assert numbers.student_number_for_citizen("11010519491231002X") == "G11010519491231002X"
    with pytest.raises(ValueError, match="not a valid citizen id"):
        numbers.student_number_for_citizen("110105194912310021")


def test_only_the_allowed_moves() -> None:
    g = "G11010519491231002X"
    j = numbers.self_made_number("610113", dt.date(2015, 1, 1), 1)
    temporary = numbers.self_made_number("610113", dt.date(2015, 1, 1), 2, "L")
    allowed = {(temporary, g), (temporary, j), (j, g)}
    for old in (g, j, temporary):
        for new in (g, j, temporary):
            assert numbers.move_is_allowed(old, new) == ((old, new) in allowed)


@pytest.mark.parametrize("number", ["", "X11010519491231002X", "G110105194912310021", "G11010519491231002X0"])
def test_what_is_no_student_number(number: str) -> None:
    assert numbers.student_number_kind(number) is None


@pytest.mark.parametrize(
    ("code", "valid"),
    [("2161000001", True), ("216100001", False), ("2199000001", False), ("21６1000001", False)],
)
def test_school_codes(code: str, valid: bool) -> None:
    assert numbers.school_code_is_valid(code) == valid


def test_masks_keep_length_and_hide_the_birth_date() -> None:
    assert numbers.mask_id("11010519491231002X") == "110105**********2X"
    assert numbers.mask_id("G11010519491231002X") == "G11010***********2X"
    assert numbers.mask_phone("13900001234") == "139*****234"
    assert numbers.mask_phone("8521234") == "*******"
