"""The chain: tampering is named, torn lines are kept, parallel writers do not mix."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xjops.core.errors import ExitCode, XjopsError
from xjops.journal import Journal, JournalError, noted, recorded
from xjops.journal.runs import journal_of


def filled(tmp_path: Path, count: int = 5) -> Journal:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(count):
        journal.append({"event": "start", "verb": f"verb {number}"})
    return journal


def test_a_whole_chain_verifies(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    assert journal.verify() == 5
    assert [entry.sequence for entry in journal.entries()] == [0, 1, 2, 3, 4]


def test_a_changed_line_is_named(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    journal.path.write_text(journal.path.read_text().replace("verb 2", "verb X"))
    with pytest.raises(JournalError, match=r"journal\.jsonl:3 was changed"):
        journal.verify()


def test_a_removed_line_is_named(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    lines = journal.path.read_text().splitlines(keepends=True)
    journal.path.write_text("".join(lines[:1] + lines[2:]))
    with pytest.raises(JournalError, match=r":2 does not follow"):
        journal.verify()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    journal = filled(tmp_path_factory.mktemp("journal"), 3)
    content = bytearray(journal.path.read_bytes())
    where = data.draw(st.integers(0, content.rstrip(b"\n").rfind(b"\n") - 1))
    content[where] ^= data.draw(st.integers(1, 127))
    before = [(e.sequence, e.previous, e.data, e.hash) for e in journal.entries()]
    journal.path.write_bytes(bytes(content))
    if [(e.sequence, e.previous, e.data, e.hash) for e in journal.entries()] == before:
        return  # white space between tokens: the same entries
    with pytest.raises(JournalError):
        journal.verify()


def test_a_line_torn_by_a_kill_is_kept_and_the_chain_goes_on(tmp_path: Path) -> None:
    journal = filled(tmp_path)
    with journal.path.open("ab") as file:
        file.write(b'{"sequence": 5, "prev')
    journal.append({"event": "start", "verb": "after"})
    assert journal.verify() == 7
    assert [entry.data["event"] for entry in journal.entries()][-2:] == ["torn", "start"]


def test_parallel_writers_keep_one_chain(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: journal.append({"verb": number}), range(40)))
    assert journal.verify() == 40


def test_a_run_records_its_start_its_end_and_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path))
    with pytest.raises(XjopsError), recorded("lab", "apply", {"limit": "web2"}, ["web2"]) as run:
        run.result["changed"] = 3
        raise XjopsError("web2 is gone", mend="look at it")
    start, end = journal_of("lab").entries()
    assert (start.data["event"], start.data["hosts"]) == ("start", ["web2"])
    assert end.data["exit_code"] == ExitCode.FAIL
    assert end.data["result"] == {"changed": 3}
    assert "web2 is gone" in end.data["error"]
    assert run.folder.stat().st_mode & 0o777 == 0o700


def test_a_note_is_one_entry_of_the_chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path))
    noted("lab", "drift run", hosts=["web2"], result={"gone": []}, exit_code=ExitCode.WARN, seconds=1.5)
    (entry,) = journal_of("lab").entries()
    assert (entry.data["verb"], entry.data["exit_code"], entry.data["hosts"]) == ("drift run", 3, ["web2"])
    assert journal_of("lab").verify() == 1
    assert not (tmp_path / "lab" / "runs").exists(), "nothing ran: no folder of logs"
