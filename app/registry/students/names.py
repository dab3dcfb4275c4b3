"""Pinyin of names, for searching and for field 78 (姓名拼音)."""

from __future__ import annotations

import re
from functools import lru_cache

from pypinyin import lazy_pinyin

# Surnames that are read otherwise than the character usually is.
_SURNAMES = {
    "单": "shan", "曾": "zeng", "解": "xie", "仇": "qiu", "查": "zha", "朴": "piao", "区": "ou", "盖": "ge",
    "翟": "zhai", "乐": "yue", "种": "chong", "折": "she", "员": "yun", "洗": "xian", "繁": "po", "秘": "bi",
    "缪": "miao", "隗": "wei", "覃": "qin", "尉": "wei",
}  # fmt: skip
_COMPOUND_SURNAMES = {"尉迟": ["yu", "chi"], "长孙": ["zhang", "sun"], "万俟": ["mo", "qi"]}
_WORD = re.compile(r"[A-Za-z]+|[^\sA-Za-z·.'’\-]")
_NOT_LETTER = re.compile(r"[^a-z]")

PINYIN_LENGTH, KEY_LENGTH, INITIALS_LENGTH = 60, 120, 36  # of the columns in Student


@lru_cache(maxsize=32768)
def _reading(word: str) -> str:
    """One character's or one latin word's reading in plain letters; empty for what has none."""
    return _NOT_LETTER.sub("", "".join(lazy_pinyin(word.lower(), errors="default")).replace("ü", "v"))


def syllables(name: str) -> list[str]:
    """The syllables of a name, lower case, without tones: 单小雨 → shan xiao yu; latin words stay whole."""
    words = _WORD.findall(name)
    if not words:
        return []
    compound = _COMPOUND_SURNAMES.get("".join(words[:2]))
    if compound and len(words) > 2:
        read, rest = list(compound), words[2:]
    else:
        read, rest = [_SURNAMES.get(words[0]) or _reading(words[0])], words[1:]
    return [syllable for syllable in (*read, *map(_reading, rest)) if syllable]


def search_keys(name: str, name_pinyin: str = "") -> tuple[str, str, str]:
    """The columns `name_pinyin`, `search_pinyin` and `search_initials` of a name.

    A pinyin given by the school wins (it knows how the child is called); otherwise it is generated.
    ("张小雨", "") → ("zhang xiao yu", "zhangxiaoyu", "zxy")
    """
    read = [_NOT_LETTER.sub("", part) for part in name_pinyin.lower().replace("ü", "v").split()]
    read = [part for part in read if part]
    given = name_pinyin
    if not read:
        read = syllables(name)
        given = " ".join(read)[:PINYIN_LENGTH]
    elif len(read) == 1:  # written in one word: the initials come from the name itself
        parts = syllables(name)
        return given, read[0][:KEY_LENGTH], "".join(part[0] for part in parts)[:INITIALS_LENGTH]
    return given, "".join(read)[:KEY_LENGTH], "".join(part[0] for part in read)[:INITIALS_LENGTH]
