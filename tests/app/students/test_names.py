"""Pinyin of names."""

from __future__ import annotations

import pytest

from registry.students.names import INITIALS_LENGTH, KEY_LENGTH, PINYIN_LENGTH, search_keys, syllables


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("张小雨", "zhang xiao yu"),
        ("单思远", "shan si yuan"),
        ("解明", "xie ming"),
        ("尉迟恭敬", "yu chi gong jing"),
        ("吕绿", "lv lv"),
        ("买买提·艾合买提", "mai mai ti ai he mai ti"),
        ("Anna 李", "anna li"),
        ("", ""),
        ("·", ""),
    ],
)
def test_names_are_read_as_people_read_them(name: str, expected: str) -> None:
    assert " ".join(syllables(name)) == expected


def test_keys_are_letters_only() -> None:
    assert search_keys("张小雨") == ("zhang xiao yu", "zhangxiaoyu", "zxy")


def test_a_given_pinyin_wins() -> None:
    assert search_keys("覃小雨", "Qin Xiaoyu") == ("Qin Xiaoyu", "qinxiaoyu", "qx")
    assert search_keys("覃小雨", "tanxiaoyu") == ("tanxiaoyu", "tanxiaoyu", "qxy")


def test_long_names_fit_their_columns() -> None:
    pinyin, key, initials = search_keys("庄" * 36)
    assert (len(pinyin) <= PINYIN_LENGTH, len(key) <= KEY_LENGTH, len(initials)) == (
        True,
        True,
        INITIALS_LENGTH,
    )
