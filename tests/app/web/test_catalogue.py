"""The English catalogue: nothing of what the source says in Chinese is missing, and placeholders agree."""

from __future__ import annotations

import ast
import io
import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from django.utils.translation.template import templatize

import registry

PACKAGE = Path(registry.__file__).parent
KEYWORDS = dict.fromkeys(("_", "gettext", "gettext_lazy", "gettext_noop"))
CALL = re.compile(r"""gettext\((u?'(?:[^'\\]|\\.)*'|u?"(?:[^"\\]|\\.)*")""")  # as templatize writes them
CHINESE = re.compile(r"[\u4e00-\u9fff]")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    with (PACKAGE / "locale/en/LC_MESSAGES/django.po").open("rb") as file:
        return read_po(file, locale="en")


def messages_of(path: Path) -> set[str]:
    """The message ids that a source file asks gettext for."""
    source = path.read_text("utf-8")
    if path.suffix == ".html":
        calls = CALL.findall(templatize(source, origin=str(path)))
        return {ast.literal_eval(call) for call in calls}
    found = extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS)
    return {message for _line, message, _comments, _context in found if message}


def source_messages() -> dict[str, Path]:
    files = [
        path
        for pattern in ("**/*.py", "**/templates/**/*.html")
        for path in sorted(PACKAGE.glob(pattern))
        if "migrations" not in path.parts
    ]
    return {message: path for path in files for message in messages_of(path)}


def test_every_message_has_an_english_text(catalogue: Catalog) -> None:
    found = source_messages()
    assert len(found) > 200
    missing = {
        message: path.relative_to(PACKAGE)
        for message, path in found.items()
        if CHINESE.search(message) and not (catalogue.get(message) and catalogue.get(message).string)
    }
    assert not missing, f"run `registry makemessages -l en`, then translate: {missing}"


def test_placeholders_agree_and_nothing_is_fuzzy(catalogue: Catalog) -> None:
    for message in catalogue:
        if message.id:
            assert not message.fuzzy, message.id
            assert sorted(PLACEHOLDER.findall(message.id)) == sorted(PLACEHOLDER.findall(message.string))


def test_no_template_holds_chinese_outside_of_messages() -> None:
    for path in sorted(PACKAGE.glob("templates/**/*.html")):
        if path.name == "500.html":  # shown when nothing works, in both languages
            continue
        text = re.sub(
            r"\{% (blocktranslate|comment).*?%\}.*?\{% end\1 %\}",
            "",
            path.read_text("utf-8"),
            flags=re.DOTALL,
        )
        text = re.sub(r"\{[%{].*?[%}]\}", "", text, flags=re.DOTALL).replace("中文English", "")
        assert not CHINESE.search(text), (path, CHINESE.findall(text))
