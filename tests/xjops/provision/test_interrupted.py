"""What no fault from outside shows (see tests/xjops/battery): clones that go on without us, lost tasks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.xjops.provision.runs import Said, assert_stands, build, look_place
from tests.xjops.vcsim import simulator_for
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.vcenter_tasks import TaskNews, TaskState, Watch, Works
from xjops.provision.model import Action

pytestmark = pytest.mark.vcsim


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
