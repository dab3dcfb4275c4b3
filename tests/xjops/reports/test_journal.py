"""The journal as a table for spreadsheets, and as JSON with its chain."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from xjops.journal import Journal
from xjops.journal.history import Past, Result, history
from xjops.reports import journal as report

TIME = datetime(2026, 11, 22, 8, tzinfo=UTC)


def past(**more: object) -> Past:
    return Past(
        **{"run": "r1", "verb": "apply", "who": "张三@ops", "time": TIME, "result": Result.OK, **more}
    )  # type: ignore[arg-type]


@pytest.mark.parametrize(("language", "first", "hosts"), [("zh", "编号", "全部"), ("en", "run", "all")])
def test_a_spreadsheet_reads_it(language: str, first: str, hosts: str) -> None:
    text = report.as_csv([past(seconds=1.5, exit_code=0, parameters={"a": 'x,"y"'})], language)
    assert text.startswith("\ufeff")
    head, row = csv.reader(io.StringIO(text.removeprefix("\ufeff")))
    assert head[0] == first
    assert row == [
        "r1",
        "2026-11-22 08:00:00",
        "apply",
        "张三@ops",
        hosts,
        "ok",
        "0",
        "1.5",
        '{"a": "x,\\"y\\""}',
        "",
    ]


def test_no_cell_is_a_formula() -> None:
    text = report.as_csv([past(error='=HYPERLINK("http://x")', hosts=("web2", "web3"))])
    row = list(csv.reader(io.StringIO(text)))[1]
    assert row[-1] == '\'=HYPERLINK("http://x")'
    assert (row[4], row[6], row[7]) == ("web2 web3", "", "")


def test_json_carries_the_lines_of_the_chain(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for name in ("r1", "r2"):
        journal.append({"event": "start", "run": name, "time": TIME.isoformat(), "verb": "up", "who": "a@b"})
    chosen = history(journal.entries())[1:]
    found = json.loads(report.as_json("lab", chosen, journal.entries(), journal.head()))
    assert [about["run"] for about in found["runs"]] == ["r2"]
    assert [(line["sequence"], line["hash"]) for line in found["entries"]] == [(1, journal.head())]
    assert (found["schema"], found["site"], found["head"]) == (1, "lab", journal.head())
