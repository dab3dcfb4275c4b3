"""Runs that are killed, hang, lose their session or their vCenter: the next one goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.xjops.provision.runs import IMPATIENT, Said, assert_stands, build, look_place
from tests.xjops.vcsim import simulator_for
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.vcenter_tasks import TaskNews, TaskState, Watch, Works
from xjops.core.errors import DeadlineError
from xjops.lab import simulator
from xjops.provision.model import Action

pytestmark = pytest.mark.vcsim


class Killed(BaseException):
    """The end of a run in its middle."""


@pytest.mark.parametrize("stage", ["clone", "customize", "change", "power-on", "done"])
@pytest.mark.parametrize("times", [1, 6, 11])
def test_a_run_killed_anywhere_goes_on(session: vcenter.VCenter, stage: str, times: int) -> None:
    seen = 0

    def kill(_name: str, now: str, _detail: str) -> None:
        nonlocal seen
        seen += now == stage
        if seen >= times:
            raise Killed

    plan = provision.plan(session.site, session=session)
    with pytest.raises(Killed):
        provision.apply(plan, kill, session=session)
    if stage == "clone":
        time.sleep(0.3)  # let the simulator finish what was submitted
    build(session)
    assert_stands(session)


def test_a_process_killed_while_vcenter_clones_leaves_work_that_is_waited_for(tmp_path: Path) -> None:
    with simulator_for(tmp_path, "-task-delay=CloneVm:3000") as site:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        words = [sys.executable, "-m", "xjops.cli.main", "vm", "apply", "--yes", "--site", site.name]
        child = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        with vcenter.connect(site) as session:
            place = look_place(session)
            works = Works(session, place)
            deadline = time.monotonic() + 30
            while len(works.running_clones()) < 11:
                assert time.monotonic() < deadline, child.communicate()
                time.sleep(0.05)
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            assert session.machines() == ()
            said: Said = []
            plan = provision.plan(site, session=session)
            assert plan.summary == "11 create"
            result = provision.apply(plan, lambda *words: said.append(words), session=session)
            assert result.failed == {}
            assert said[0] == ("vCenter", "waiting", "11 of 11 clones of an earlier run go on")
            assert {outcome.action for outcome in result.outcomes} == {Action.RESUME}
            assert_stands(session)


def test_tasks_that_hang_end_in_a_named_error_in_time(tmp_path: Path) -> None:
    with simulator_for(tmp_path, "-task-delay=CloneVm:6000") as site, vcenter.connect(site) as session:
        plan = provision.plan(site, ["web1", "web2"], session=session)
        started = time.monotonic()
        result = provision.apply(plan, session=session, deadlines=replace(IMPATIENT, clone=1))
        assert time.monotonic() - started < 20
        assert set(result.failed) == {"web1", "web2"}
        for name, error in result.failed.items():
            assert isinstance(error, DeadlineError)
            assert f"{name}: clone did not end within 1 s (task-" in str(error)
            assert "run `xjops vm apply` again: it goes on" in error.mend
        with pytest.raises(DeadlineError, match="2 clones of an earlier run did not end within 1 s"):
            provision.apply(plan, session=session, deadlines=replace(IMPATIENT, clone=1))
        assert build(session, ["web1", "web2"]).failed == {}


def test_a_session_that_expires_in_the_middle_is_renewed(session: vcenter.VCenter) -> None:
    ended = []

    def expire(name: str, stage: str, _detail: str) -> None:
        if stage in ("clone", "change", "power-on") and name == "web9" and stage not in ended:
            ended.append(stage)
            with vcenter.connect(session.site) as other:
                key = session.content.sessionManager.currentSession.key
                other.content.sessionManager.TerminateSession([key])

    plan = provision.plan(session.site, session=session)
    result = provision.apply(plan, expire, session=session, deadlines=IMPATIENT)
    assert result.failed == {}
    assert ended == ["clone", "change", "power-on"]
    assert session.logins == 4
    assert_stands(session)


def test_vcenter_lost_in_the_middle_is_named_and_the_next_run_goes_on(tmp_path: Path) -> None:
    with simulator_for(tmp_path) as site:
        with vcenter.connect(site) as session:
            plan = provision.plan(site, session=session)

            def lose(_name: str, stage: str, _detail: str) -> None:
                if stage == "change":
                    simulator.stop(site)

            with pytest.raises(vcenter.UnreachableError, match="is not reachable"):
                provision.apply(plan, lose, session=session)
        simulator.start(site)
        with vcenter.connect(site) as session:
            build(session)
            assert_stands(session)


def test_two_runs_at_the_same_time(session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "LOCK_SECONDS", 0.1)
    errors = []

    def another(_name: str, stage: str, _detail: str) -> None:
        if stage == "clone" and not errors:
            with pytest.raises(DeadlineError, match="another vm apply") as caught:
                provision.apply(plan)
            errors.append(caught.value)

    plan = provision.plan(session.site, session=session)
    assert provision.apply(plan, another, session=session).failed == {}
    assert len(errors) == 1
    assert_stands(session)


def test_a_task_that_vcenter_forgot_is_looked_up_by_its_machine(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Watch.news

    def forgetful(self: Watch, seconds: float) -> list[Any]:
        return [
            TaskNews(item.task, TaskState.GONE)
            if isinstance(item, TaskNews) and item.state is TaskState.DONE
            else item
            for item in honest(self, seconds)
        ]

    monkeypatch.setattr(Watch, "news", forgetful)
    build(session)
    assert_stands(session)
