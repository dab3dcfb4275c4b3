"""The module that keeps units running: what it decides from what systemd and the files say."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location("unit", paths.project() / "library" / "unit.py")
assert specification
assert specification.loader
unit = importlib.util.module_from_spec(specification)
specification.loader.exec_module(unit)

START = 1763808151.5  # Sat 2025-11-22 10:42:31.5 UTC
RUNNING = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "NeedDaemonReload": "no",
    "NRestarts": "0",
    "InactiveExitTimestamp": "Sat 2025-11-22 10:42:31.500000 UTC",
    "StateChangeTimestamp": "Sat 2025-11-22 10:42:33.000000 UTC",
}


class Systemd:
    """Stands for systemctl: one unit's properties, and the calls that were made."""

    def __init__(self, properties: dict[str, str]) -> None:
        self.properties = dict(properties)
        self.calls: list[str] = []
        self.after: dict[str, dict[str, str]] = {}

    def look(self, names: list[str], _seconds: int) -> dict[str, dict[str, str]]:
        return {name: dict(self.properties) for name in names}

    def systemctl(self, *words: str, seconds: int) -> Any:
        assert seconds > 0
        self.calls.append(" ".join(words))
        self.properties |= self.after.get(words[0], {})
        return unit.subprocess.CompletedProcess(words, 0, "", "")


def converge(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, check: bool = False, **params: Any
) -> list[str]:
    monkeypatch.setattr(unit, "look", systemd.look)
    monkeypatch.setattr(unit, "systemctl", systemd.systemctl)
    monkeypatch.setattr(unit, "journal_tail", lambda name: f"the end of {name}")
    usual = {"names": ["a.service"], "follows": [], "reload": False, "settle": 0.01, "seconds": 5}
    return list(unit.converge({**usual, **params}, check))


def test_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd(RUNNING)
    assert converge(systemd, monkeypatch, follows=["/nowhere/at/all"]) == []
    assert systemd.calls == []


def test_times_of_systemd() -> None:
    assert unit.epoch("Sat 2025-11-22 10:42:31.500000 UTC") == START
    assert unit.epoch("") == unit.epoch("n/a") == 0


@pytest.mark.parametrize(
    ("changed_at", "reload", "verbs"),
    [
        (START - 1, False, []),
        (START + 1, False, ["restart"]),  # while it was starting: it may have read the old one
        (START + 1, True, []),  # the reload that ended at START + 1.5 has read it
        (START + 2, True, ["reload"]),
    ],
)
def test_a_followed_file_that_is_newer(changed_at: float, reload: bool, verbs: list[str]) -> None:
    assert unit.needed(RUNNING, changed_at, reload) == verbs


def test_a_link_counts_itself_and_not_its_target(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    link.symlink_to(target)
    os.utime(target, (0, 0))
    assert unit.newest([str(link), str(tmp_path / "missing")]) == link.lstat().st_ctime
    assert unit.newest([str(tmp_path / "missing")]) == 0


def test_a_unit_whose_file_changed_is_read_again_and_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd({**RUNNING, "NeedDaemonReload": "yes"})
    assert converge(systemd, monkeypatch) == ["daemon-reload", "restart a.service"]
    assert systemd.calls == ["daemon-reload", "reset-failed a.service", "restart a.service"]


def test_the_changed_service_of_a_timer_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Timer(Systemd):
        def look(self, names: list[str], _seconds: int) -> dict[str, dict[str, str]]:
            service = {**RUNNING, "NeedDaemonReload": "yes"}
            return {name: service if name == "a.service" else dict(self.properties) for name in names}

    systemd = Timer({**RUNNING, "Triggers": "a.service"})
    assert converge(systemd, monkeypatch, names=["a.timer"]) == ["daemon-reload"]


def test_a_new_unit_is_enabled_and_started(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd({**RUNNING, "LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""})
    systemd.after = {
        "daemon-reload": {"LoadState": "loaded", "UnitFileState": "disabled"},
        "start": {"ActiveState": "active"},
    }
    assert converge(systemd, monkeypatch) == ["daemon-reload", "enable a.service", "start a.service"]
    assert systemd.calls == [
        "daemon-reload",
        "enable a.service",
        "reset-failed a.service",
        "start a.service",
    ]


def test_check_mode_only_says(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd({**RUNNING, "LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""})
    assert converge(systemd, monkeypatch, check=True) == [
        "daemon-reload",
        "enable a.service",
        "start a.service",
    ]
    assert systemd.calls == []


def test_a_unit_without_a_file_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd({**RUNNING, "LoadState": "not-found", "ActiveState": "inactive"})
    with pytest.raises(unit.UnitError, match=r"knows no unit a\.service"):
        converge(systemd, monkeypatch)


def test_a_unit_that_falls_again_shows_its_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    systemd = Systemd({**RUNNING, "ActiveState": "failed"})
    systemd.after = {
        "start": {"ActiveState": "activating", "SubState": "auto-restart", "Result": "exit-code"}
    }
    with pytest.raises(
        unit.UnitError, match=r"(?s)a\.service does not stay up: activating.*the end of a\.service"
    ):
        converge(systemd, monkeypatch)


def test_a_unit_that_systemd_restarts_in_between_does_not_count_as_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    systemd = Systemd({**RUNNING, "NRestarts": "3"})
    before = {"a.service": {"NRestarts": "2"}}
    monkeypatch.setattr(unit, "look", systemd.look)
    monkeypatch.setattr(unit, "journal_tail", lambda name: f"the end of {name}")
    with pytest.raises(unit.UnitError, match="restarts 3"):
        unit.settled(["a.service"], before, 0, 5)


def test_a_call_that_hangs_ends_in_a_named_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: Any, **options: Any) -> None:
        raise unit.subprocess.TimeoutExpired("systemctl", options["timeout"])

    monkeypatch.setattr(unit.subprocess, "run", hang)
    with pytest.raises(unit.UnitError, match=r"systemctl start a\.service did not end within 3 s"):
        unit.systemctl("start", "a.service", seconds=3)
