"""The ministry's collection template for students, as data: which fields there are, in which version.

`data/fields.csv` holds the union of all versions (78 fields; the column `source` tells what is sourced from
the published template and what is reconstructed), `data/templates.toml` which of them each version carries.
A sheet's columns are matched by header name or alias (`match_header`), never by position.
"""

from __future__ import annotations

import csv
import difflib
import re
import tomllib
import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("data")
_NOISE = re.compile(r"[\s*★☆:：]+")


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the template.

    `required`: "R" always, "C" when a rule of the import says so, "O" optional.
    `kind`: how a cell is checked, e.g. "text", "date", "code:sex" (see registry.imports.kinds).
    """

    number: int
    key: str
    name: str
    required: str
    kind: str
    max_length: int
    source: str
    aliases: tuple[str, ...]

    @property
    def code_set(self) -> str:
        """Name of the code table the field is filled from, "" where there is none."""
        if self.kind == "yes_no":
            return "yes_no"
        return self.kind.partition(":")[2]


@dataclass(frozen=True, slots=True)
class Template:
    """A version of the collection template: its fields in the order of its own sheet."""

    version: str
    title: str
    source: str
    fields: tuple[Field, ...]


@cache
def all_fields() -> tuple[Field, ...]:
    """The union of all versions' fields, by number."""
    with (DATA / "fields.csv").open(encoding="utf-8", newline="") as file:
        return tuple(
            Field(
                number=int(row["number"]),
                key=row["key"],
                name=row["name"],
                required=row["required"],
                kind=row["kind"],
                max_length=int(row["max_length"]),
                source=row["source"],
                aliases=tuple(alias for alias in row["aliases"].split("|") if alias),
            )
            for row in csv.DictReader(file)
        )


@cache
def field_by_key() -> dict[str, Field]:
    """Fields by their key, the attribute name used throughout the application."""
    return {field.key: field for field in all_fields()}


@cache
def templates() -> dict[str, Template]:
    """All versions of the template, by version."""
    document = tomllib.loads((DATA / "templates.toml").read_text(encoding="utf-8"))
    by_number = {field.number: field for field in all_fields()}
    found = {}
    for entry in document["template"]:
        numbers = [number for first, last in entry["fields"] for number in range(first, last + 1)]
        found[entry["version"]] = Template(
            version=entry["version"],
            title=entry["title"],
            source=entry["source"],
            fields=tuple(by_number[number] for number in numbers),
        )
    return found


@cache
def default_template() -> Template:
    """The version offered for download and assumed where a sheet's own can't be told."""
    document = tomllib.loads((DATA / "templates.toml").read_text(encoding="utf-8"))
    version = next(entry["version"] for entry in document["template"] if entry.get("default"))
    return templates()[version]


def detect_template(keys: set[str]) -> Template:
    """The version whose columns agree best with `keys` (field keys found in a sheet)."""

    def distance(template: Template) -> tuple[int, bool]:
        own = {field.key for field in template.fields}
        return len(own ^ keys), template is not default_template()

    return min(templates().values(), key=distance)


def header_key(text: str) -> str:
    """A header stripped of what people add to it: blanks, stars, colons, width and case of letters."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text)).casefold()


@cache
def _headers() -> dict[str, Field]:
    found: dict[str, Field] = {}
    for field in all_fields():
        for name in (field.name, field.key, *field.aliases):
            found.setdefault(header_key(name), field)
    return found


def match_header(text: str) -> Field | None:
    """The field a header names, by its name, an alias or its key; None where it names none.

    A leading column number ("12.政治面貌", "12、政治面貌") is ignored.
    """
    wanted = header_key(text)
    return _headers().get(wanted) or _headers().get(re.sub(r"^\d{1,2}[.、．-]?", "", wanted))


def suggest_header(text: str) -> str:
    """The field name nearest to an unknown header, "" where none is near."""
    near = difflib.get_close_matches(header_key(text), _headers(), n=1, cutoff=0.5)
    return _headers()[near[0]].name if near else ""
