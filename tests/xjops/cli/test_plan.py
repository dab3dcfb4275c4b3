"""`xjops plan`: what it tells of the watch besides its own look."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from xjops.cli.plan import plan_command
from xjops.core.errors import ExitCode
from xjops.ledger.compare import Due, Why
from xjops.ledger.look import Seen
from xjops.plan import look as looking
from xjops.plan import watch
from xjops.plan.look import Look, Machines
from xjops.site import Site


@pytest.fixture
def seen(lab_site: Site, monkeypatch: pytest.MonkeyPatch) -> Look:
    """What every look sees: one step on web2."""
    hosts = {host.name: Seen(host.name) for host in lab_site.hosts}
    look = Look(lab_site, Machines("11 nothing"), hosts, {}, (Due("web2", "base", Why.DRIFT),))
    monkeypatch.setattr(looking, "look", lambda *_, **__: look)
    return look


def plan(*words: str) -> Result:
    said = CliRunner().invoke(plan_command, words, standalone_mode=False)
    assert said.exception is None, said.exception
    assert said.return_value == ExitCode.WARN
    return said


def test_never_watched(seen: Look) -> None:
    told = json.loads(plan("--format", "json").stdout)
    assert told["watch"] is None
    assert told["summary"]["due"]["drift"] == 1
    assert told["summary"]["hosts"] == {"seen": 17, "unreachable": 0, "differ": 1}
    assert "last watch" not in plan().output


def test_the_last_watch(seen: Look) -> None:
    now = time.time()
    watch.run("lab", lambda: seen, watch.Options(), lambda: now - 600)
    told = json.loads(plan("--format", "json").stdout)["watch"]
    assert 600 <= told["age_seconds"] < 660
    assert told["differs_since"] == told["time"]
    assert told["late"] is False
    assert "last watch: looked 10 min ago, 1 differ, since 2" in plan().output


def test_a_saved_plan_holds_whatever_the_watch_says(seen: Look, tmp_path: Path) -> None:
    from xjops.plan import saved

    file = tmp_path / "plan.json"
    plan("-o", str(file))
    watch.run("lab", lambda: seen, watch.Options())
    saved.load(file).agree(seen)
