"""`xjops journal` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xjops.cli.journal import journal
from xjops.core.errors import UsageError, XjopsError
from xjops.journal import JournalError, recorded
from xjops.journal.runs import journal_of


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    with recorded("lab", "apply", {"check": True}, ["web2"]) as run:
        run.result = {"parts": 4}
        run.log.write_text("all of it")
    with pytest.raises(XjopsError), recorded("lab", "vm apply", {}, ["web3"]):
        raise XjopsError("web3: disk full")


def typed(*words: str) -> Result:
    return CliRunner().invoke(journal, words, env={"COLUMNS": "200"})


def test_show_finds_and_tells_all_of_one() -> None:
    assert len(typed("show").output.splitlines()) == 3
    found = json.loads(typed("show", "--result", "failed", "--since", "1h", "--format", "json").output)
    assert [about["verb"] for about in found] == ["vm apply"]
    everything = json.loads(typed("show", "--format", "json").output)
    whole = typed("show", everything[0]["run"]).output
    assert "log.txt" in whole
    assert '"parts": 4' in whole
    assert isinstance(typed("show", "2").exception, UsageError), "both begin so"
    assert isinstance(typed("show", "nothing").exception, UsageError)
    assert isinstance(typed("show", "--since", "noon").exception, UsageError)


def test_export_to_a_file_and_to_the_screen(tmp_path: Path) -> None:
    done = typed("export", "-o", str(tmp_path / "runs.csv"), "--host", "web3")
    assert "1 runs" in done.output
    text = (tmp_path / "runs.csv").read_bytes().decode("utf-8-sig")
    assert [line.count(",") >= 9 for line in text.splitlines()] == [True, True]
    assert "disk full" in text
    found = json.loads(typed("export", "--format", "json").output)
    assert len(found["entries"]) == 4


def test_a_broken_chain_is_not_exported() -> None:
    path = journal_of("lab").path
    path.write_text(path.read_text().replace("disk full", "disk fine"))
    assert isinstance(typed("export").exception, JournalError)
