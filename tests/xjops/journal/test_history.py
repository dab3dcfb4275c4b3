"""What the journal's lines say, run by run."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xjops.core.errors import ExitCode, UsageError, XjopsError
from xjops.journal import Journal, noted, recorded
from xjops.journal.history import Past, Query, Result, find, history, moment
from xjops.journal.runs import journal_of


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path))


@pytest.fixture
def journal() -> Journal:
    """Four runs: an apply, one that failed on web3, a drain that was interrupted, and a watch's note."""
    with recorded("lab", "apply", {"check": False}, []) as run:
        run.result = {"hosts": [{"name": "web2"}, {"name": "web3"}]}
    with pytest.raises(XjopsError), recorded("lab", "vm apply", {}, ["web3"]):
        raise XjopsError("web3: disk full", mend="free it")
    with pytest.raises(KeyboardInterrupt), recorded("lab", "lb drain", {"wait": 30}, ["web4"]):
        raise KeyboardInterrupt
    noted("lab", "drift run", hosts=[], result={"due": 1}, exit_code=ExitCode.WARN, seconds=2.5)
    return journal_of("lab")


def verbs(journal: Journal, **query: object) -> list[str]:
    return [past.verb for past in find(journal.entries(), Query(**query))]  # type: ignore[arg-type]


def test_a_run_is_one_record_of_its_lines(journal: Journal) -> None:
    runs = history(journal.entries())
    assert [(past.verb, past.result.value, past.lines) for past in runs] == [
        ("apply", "ok", (0, 1)),
        ("vm apply", "failed", (2, 3)),
        ("lb drain", "interrupted", (4, 5)),
        ("drift run", "warn", (6,)),
    ]
    assert runs[1].error == "web3: disk full → free it"
    assert runs[2].parameters == {"wait": 30}
    assert runs[0].time <= runs[1].time <= datetime.now(UTC)
    assert runs[3].seconds == 2.5


def test_everything_that_is_asked_for_has_to_hold(journal: Journal) -> None:
    assert verbs(journal) == ["apply", "vm apply", "lb drain", "drift run"]
    assert verbs(journal, verb="vm") == ["vm apply"]
    assert verbs(journal, host="web2") == ["apply", "drift run"], "a run over the whole site concerns it, too"
    assert verbs(journal, host="web3") == ["apply", "vm apply", "drift run"]
    assert verbs(journal, text="DISK FULL") == ["vm apply"]
    assert verbs(journal, results=(Result.FAILED, Result.WARN)) == ["vm apply", "drift run"]
    assert verbs(journal, who="nobody-else") == []
    now = datetime.now(UTC)
    assert verbs(journal, since=now + timedelta(seconds=1)) == []
    assert len(verbs(journal, since=now - timedelta(hours=1), until=now + timedelta(seconds=1))) == 4


def test_a_run_without_an_end_is_running_until_its_process_is_gone(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from xjops.journal import recorded\n"
        "with recorded('lab', 'apply', {}, []):\n"
        "    print('begun', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "begun\n"
        assert [past.result for past in history(journal_of("lab").entries())] == [Result.RUNNING]
        child.kill()
        child.wait(10)
    assert [past.result for past in history(journal_of("lab").entries())] == [Result.KILLED]


def test_points_in_time() -> None:
    now = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert moment("3d", now) == now - timedelta(days=3)
    assert moment("90m", now) == now - timedelta(minutes=90)
    assert moment("2026-11-22T08:00+08:00") == datetime(2026, 11, 22, tzinfo=UTC)
    with pytest.raises(UsageError, match="'yesterday' is no point in time"):
        moment("yesterday")


def test_lines_of_an_earlier_make_count(tmp_path: Path) -> None:
    """Starts once had no process: without an end, they were killed."""
    journal = Journal(tmp_path / "old.jsonl")
    about = {"event": "start", "run": "r1", "time": "2026-11-22T08:00:00+00:00", "verb": "up", "who": "a@b"}
    journal.append(about)
    (past,) = history(journal.entries())
    assert isinstance(past, Past)
    assert (past.result, past.hosts, past.exit_code) == (Result.KILLED, (), None)
