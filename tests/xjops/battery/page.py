"""The tables of docs/reference/errors.md, made from the battery; a test keeps them current.

Run `python -m tests.xjops.battery.page` after a change of the battery.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path

from tests.xjops.battery.battery import BATTERY
from tests.xjops.battery.case import KILLED, Case

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "errors.md"
BLOCK = re.compile(r"(<!-- battery -->\n).*?(<!-- end -->\n)", re.DOTALL)


def refreshed(page: str) -> str:
    """`page` with the tables between its markers written anew."""
    text = "\n".join(_tables())
    return BLOCK.sub(lambda match: f"{match[1]}{text}\n{match[2]}", page)


def _tables() -> Iterator[str]:
    for area, cases in BATTERY.items():
        yield f"\n## {area}\n"
        yield "| what is wrong | typed: `xjops …` | exit code | said | how to mend it |"
        yield "|---|---|---|---|---|"
        yield from map(_row, cases)


def _row(case: Case) -> str:
    said, mends = zip(*(_parts(line) for line in case.errors), strict=True) if case.errors else ((), ())
    code, mend = str(case.code), "<br>".join(mends)
    if case.code == KILLED:
        code, mend = "killed", "run it again: it goes on"
    elif not case.errors:
        mend = "nothing to mend"
    return f"| {case.what} | `{case.command}` | {code} | {'<br>'.join(said)} | {mend} |"


def _parts(line: str) -> tuple[str, str]:
    what, _, mend = escape(line, quote=False).rpartition(" → ")
    return (what, mend) if what else (mend, "")


if __name__ == "__main__":
    PAGE.write_text(refreshed(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
