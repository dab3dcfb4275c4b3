"""What systemctl says of a timer, by a program that stands for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from xjops.adapters import systemd
from xjops.checks.result import Status
from xjops.core.errors import NotRunError, XjopsError
from xjops.plan import timer

WELL = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "UnitFileState": "enabled",
    "LastTriggerUSec": "Sun 2026-11-22 17:15:00 UTC",
    "NextElapseUSecRealtime": "Sun 2026-11-22 17:30:00 UTC",
    "Result": "success",
    "ExecMainStatus": "3",
}


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that holds what systemctl prints."""
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n/bin/cat {tmp_path}/answer\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(systemd, "BOOTED", tmp_path)
    return tmp_path / "answer"


def say(answer: Path, **values: str) -> None:
    answer.write_text("".join(f"{name}={value}\n" for name, value in {**WELL, **values}.items()))


def test_a_timer_that_runs(answer: Path) -> None:
    say(answer)
    assert systemd.timer("x") == systemd.Timer(
        True, True, True, WELL["LastTriggerUSec"], WELL["NextElapseUSecRealtime"], "success", 3
    )
    assert timer.status("lab").status is Status.PASS


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}, "not-run", "no timer"),
        ({"ActiveState": "inactive"}, "fail", "not active"),
        ({"UnitFileState": "disabled"}, "fail", "not enabled"),
        ({"Result": "timeout", "ExecMainStatus": "15"}, "fail", "timeout"),
        ({"Result": "exit-code", "ExecMainStatus": "226"}, "fail", "226"),
        ({"Result": "exit-code", "ExecMainStatus": "4"}, "pass", "next"),
        ({"LastTriggerUSec": "n/a"}, "pass", "last never"),
    ],
)
def test_a_timer_in_another_state(answer: Path, values: dict[str, str], status: str, words: str) -> None:
    say(answer, **values)
    told = timer.status("lab")
    assert told.status.value == status
    assert words in told.value


def test_no_answer_is_a_failure(answer: Path) -> None:
    answer.write_text("")
    with pytest.raises(XjopsError, match="gave no answer"):
        systemd.timer("x")
    assert timer.status("lab").status is Status.FAIL


def test_without_systemd_it_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "BOOTED", tmp_path / "none")
    with pytest.raises(NotRunError, match="no systemd runs on this machine"):
        systemd.timer("x")
    assert timer.status("lab").status is Status.NOT_RUN
