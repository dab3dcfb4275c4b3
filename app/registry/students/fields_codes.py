"""Code tables (national and education-industry standards) as versioned data, matched by code or by name.

`data/codes/index.csv` lists the tables with standard, source and version; `data/codes/<set>.csv` holds the
entries: code, name, aliases (separated by |), since, until (years; empty = in force).
A retired entry is still recognised: records keep the code that was valid when they were made.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("data") / "codes"
_NOISE = re.compile(r"[\s\-_.、:,·—]+")


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """One code with its official name."""

    code: str
    name: str
    aliases: tuple[str, ...]
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class CodeSet:
    """One code table. `lookup` maps every accepted spelling (see `spelling`) to the code."""

    name: str
    title: str
    standard: str
    source: str
    version: str
    entries: tuple[CodeEntry, ...]
    lookup: dict[str, str] = field(repr=False)
    labels: dict[str, str] = field(repr=False)

    def code_of(self, text: str) -> str | None:
        """The code that `text` means: a code, a name, an alias, or "code-name"; None where it means none."""
        return self.lookup.get(text) or self.lookup.get(spelling(text))

    def label(self, code: str) -> str:
        """The official name of a code, or the code itself where it is unknown."""
        return self.labels.get(code, code)


def spelling(text: str) -> str:
    """What is compared: width and case unified, separators and blanks dropped ("1 - 男" is "1男")."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text)).casefold()


def _lookup(entries: tuple[CodeEntry, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    codes = {spelling(entry.code) for entry in entries}
    for entry in entries:
        found[spelling(entry.code)] = entry.code
        short = entry.code.lstrip("0") or "0"  # "01" typed as a number arrives as "1"
        if entry.code.isdigit() and short not in codes:
            found.setdefault(short, entry.code)
    for entry in entries:
        for name in (entry.name, *entry.aliases):
            found.setdefault(spelling(name), entry.code)
            found.setdefault(spelling(entry.code + name), entry.code)
    return found


@cache
def code_sets() -> dict[str, CodeSet]:
    """All code tables, by the name that a field's kind refers to."""
    found = {}
    with (DATA / "index.csv").open(encoding="utf-8", newline="") as file:
        index = list(csv.DictReader(file))
    for row in index:
        with (DATA / f"{row['set']}.csv").open(encoding="utf-8", newline="") as file:
            entries = tuple(
                CodeEntry(
                    code=item["code"],
                    name=item["name"],
                    aliases=tuple(alias for alias in item["aliases"].split("|") if alias),
                    since=item["since"],
                    until=item["until"],
                )
                for item in csv.DictReader(file)
            )
        found[row["set"]] = CodeSet(
            name=row["set"],
            title=row["title"],
            standard=row["standard"],
            source=row["source"],
            version=row["version"],
            entries=entries,
            lookup=_lookup(entries),
            labels={entry.code: entry.name for entry in entries},
        )
    return found


def code_label(set_name: str, code: str) -> str:
    """The official name of `code` in the table `set_name`; the code itself where either is unknown."""
    table = code_sets().get(set_name)
    return table.label(code) if table else code
