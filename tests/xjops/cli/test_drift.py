"""`xjops drift`: what is printed, exit codes, and what happens where there is no systemd."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from xjops.adapters import systemd
from xjops.checks import result
from xjops.checks.result import Status
from xjops.cli import drift, main
from xjops.core import paths
from xjops.core.errors import DeadlineError, ExitCode, NotRunError, XjopsError
from xjops.journal.runs import journal_of
from xjops.ledger.compare import Due, Why
from xjops.ledger.look import Seen
from xjops.plan import timer, watched
from xjops.plan.apply import alone
from xjops.plan.look import Look, Machines
from xjops.plan.watched import Attempt, Watched
from xjops.site import Site

DUE = (Due("web2", "base", Why.DRIFT), Due("web3", "base", Why.DRIFT))


@pytest.fixture
def seen(lab_site: Site, monkeypatch: pytest.MonkeyPatch) -> dict[str, Look]:
    """What the next look sees (`seen["now"]`); every look of the command is this one."""
    hosts = {host.name: Seen(host.name) for host in lab_site.hosts}
    world = {"now": Look(lab_site, Machines("11 nothing"), hosts, {}, ())}
    monkeypatch.setattr(drift, "_look", lambda _: world["now"])
    return world


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Say what systemd says of the timer."""

    def say(status: Status, value: str = "next soon", message: str = "") -> None:
        said = result.Result("drift.timer", "xjops-drift-lab", status, value, message)
        monkeypatch.setattr(timer, "status", lambda _: said)

    say(Status.PASS)
    return say


def xjops(*words: str) -> Result:
    return CliRunner().invoke(drift.drift, words, standalone_mode=False)


def status() -> dict[str, Any]:
    said = xjops("status", "--format", "json")
    told: dict[str, Any] = json.loads(said.output)
    assert told["exit_code"] == said.return_value
    return told


def test_run_says_what_it_saw_and_ends_like_a_plan(seen: dict[str, Look], tmp_path: Path) -> None:
    said = xjops("run", "--metrics", str(tmp_path / "x.prom"))
    assert said.return_value == ExitCode.OK
    assert "nothing differs" in said.output
    assert (tmp_path / "x.prom").exists()
    seen["now"] = replace(seen["now"], due=DUE)
    said = xjops("run")
    assert said.return_value == ExitCode.WARN
    assert "2 differ, since 2" in said.output
    with alone("lab"):
        said = xjops("run")
    assert said.return_value == ExitCode.WARN
    assert "an apply goes on: nothing new was looked at" in said.output


def test_run_of_a_mistyped_site_leaves_nothing_behind(seen: dict[str, Look]) -> None:
    said = xjops("run", "--site", "lap")
    assert isinstance(said.exception, XjopsError)
    assert said.exception.exit_code is ExitCode.CONFIGURATION
    assert not (Path(os.environ["XJOPS_STATE"]) / "lap").exists()


def test_a_look_that_hangs_ends_the_process(
    seen: dict[str, Look], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ended(Exception):  # noqa: N818 - stands for the end of the process
        pass

    def end(code: int) -> None:
        raise Ended(code)

    def hang(_: str) -> Look:
        raise DeadlineError("the look at lab did not end", mend="xjops plan")

    monkeypatch.setattr(os, "_exit", end)
    monkeypatch.setattr(drift, "_look", hang)
    with pytest.raises(Ended, match="1"):
        drift.drift(["run"], standalone_mode=False)
    assert capsys.readouterr().err == "xjops: the look at lab did not end → xjops plan\n"


def test_status_before_the_first_watch_is_no_pass(lab_site: Site, timers: Callable[..., None]) -> None:
    assert status()["exit_code"] == ExitCode.NOT_RUN
    assert status()["watch"] is None
    assert "never → xjops drift run --site lab" in xjops("status").output


def test_status_tells_what_differs_since_when(seen: dict[str, Look], timers: Callable[..., None]) -> None:
    xjops("run")
    assert status()["exit_code"] == ExitCode.OK
    seen["now"] = replace(seen["now"], due=DUE)
    xjops("run")
    told = status()
    assert told["exit_code"] == ExitCode.WARN
    assert told["watch"]["age_seconds"] < 60
    assert told["watch"]["late"] is False
    assert {item["subject"] for item in told["watch"]["differs"]} == {"web2", "web3"}
    assert told["watch"]["differs_since"] == told["watch"]["differs"][0]["since"]
    table = xjops("status").output
    assert "web2" in table
    assert "timer: pass" in table


@pytest.mark.parametrize(("state", "code"), [(Status.NOT_RUN, 4), (Status.FAIL, 1), (Status.PASS, 0)])
def test_a_timer_that_cannot_be_asked_is_never_a_pass(
    seen: dict[str, Look], timers: Callable[..., None], state: Status, code: int
) -> None:
    xjops("run")
    timers(state, "no systemd runs on this machine", "ask another")
    told = status()
    assert told["exit_code"] == code
    assert told["timer"]["status"] == state.value
    assert f"timer: {state.value} no systemd runs on this machine → ask another" in xjops("status").output


def known(**values: Any) -> Watched:
    usual = Watched("lab", 900.0, time.time(), Attempt.LOOKED, ExitCode.OK, time=time.time())
    return replace(usual, **values)


SILENT = tuple(watched.Unseen(f"web{number}", "silent", 0.0) for number in range(1, 7))


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (known(time=time.time() - 3600), 1, "late"),
        (
            known(attempt=Attempt.FAILED, exit_code=ExitCode.FAIL, error="it hung"),
            1,
            "ago: it hung",
        ),
        (known(attempt=Attempt.FAILED, exit_code=ExitCode.FAIL, error="no", time=None), 1, "failed"),
        (
            known(attempt=Attempt.APPLY, exit_code=ExitCode.WARN, time=time.time() - 3600),
            3,
            "an apply goes on",
        ),
        (known(attempt=Attempt.APPLY, exit_code=ExitCode.WARN, time=None), 4, "never looked"),
        (known(unseen=(watched.Unseen("web2", "silent", 0.0),)), 4, "not seen: web2"),
        (known(unseen=SILENT), 4, "no difference seen, not seen: web1, web2, web3, web4 and 2 more"),
        (known(exit_code=ExitCode.FAIL), 1, "looked"),
    ],
)
def test_status_of_a_watch_in_trouble(
    lab_site: Site, timers: Callable[..., None], state: Watched, code: int, words: str
) -> None:
    watched.save(state)
    assert status()["exit_code"] == code
    assert words in " ".join(xjops("status").output.split())


def test_no_systemd_is_one_line_with_a_mend(
    lab_site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(systemd, "BOOTED", tmp_path / "none")
    for verb in ("install", "remove"):
        with pytest.raises(SystemExit) as ended:
            main.main(["drift", verb, "--yes"])
        assert ended.value.code == ExitCode.NOT_RUN
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("xjops: no systemd runs on this machine")
        assert "cron" in line
    assert [*journal_of("lab").entries()] == []
    assert timer.status("lab").status is Status.NOT_RUN


def test_install_asks_and_is_recorded(lab_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[dict[str, Any]] = []

    def install(site: Site, **options: Any) -> Any:
        called.append(options)
        return type("Outcome", (), {"changed": 3})()

    monkeypatch.setattr(timer, "possible", lambda _: None)
    monkeypatch.setattr(timer, "install", install)
    assert isinstance(xjops("install").exception, Exception), "nobody answered the question"
    assert called == []
    said = xjops("install", "--yes", "--every", "30", "--metrics", "x.prom")
    assert "3 changed" in said.output
    assert (called[0]["minutes"], called[0]["metrics"], called[0]["check"]) == (
        30,
        Path("x.prom").absolute(),
        False,
    )
    assert [entry.data["verb"] for entry in journal_of("lab").entries()] == ["drift install"] * 2


def test_the_choices_are_the_roles() -> None:
    import yaml

    specs = yaml.safe_load((paths.project() / "roles/drift_watch/meta/argument_specs.yml").read_text())
    choices = specs["argument_specs"]["main"]["options"]["drift_watch_minutes"]["choices"]
    assert tuple(map(str, choices)) == drift.MINUTES


def test_not_run_is_the_error_without_root(
    lab_site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(systemd, "BOOTED", tmp_path)
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "sudo").chmod(0o755)
    with pytest.raises(NotRunError, match="only be installed as root"):
        timer.possible("lab")
