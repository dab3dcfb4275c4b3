"""Applying plans on a real vCenter API: everything at once, and from wherever an earlier run stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from tests.xjops.provision.runs import IMPATIENT, Said, assert_stands, build
from tests.xjops.vcsim import add_foreign, finish, machine_named, reconfigure, simulator_for
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.vcenter_model import Size, Stage
from xjops.adapters.vcenter_tasks import TaskNews, TaskState, Watch, Works
from xjops.provision.model import (
    Action,
    PlanRefusedError,
    StalePlanError,
    Step,
)

pytestmark = pytest.mark.vcsim


def test_eleven_machines_from_nothing(session: vcenter.VCenter) -> None:
    said: Said = []
    plan = provision.plan(session.site, session=session)
    result = provision.apply(plan, lambda *words: said.append(words), session=session)
    assert result.failed == {}
    assert [outcome.action for outcome in result.outcomes] == [Action.CREATE] * 11
    assert_stands(session)
    stores = [machine.datastore for machine in session.machines()]
    assert sorted(stores.count(name) for name in session.site.vcenter.datastores) == [3, 4, 4]
    for change in plan.machines:
        stages = [stage for name, stage, _ in said if name == change.name]
        assert [*dict.fromkeys(stages)] == [
            "clone",
            "customize",
            "change",
            "power-on",
            "address",
            "done",
        ] or ([*dict.fromkeys(stages)] == ["clone", "customize", "change", "power-on", "done"])


def test_all_clones_are_submitted_before_any_is_waited_for(session: vcenter.VCenter) -> None:
    said: Said = []
    plan = provision.plan(session.site, session=session)
    provision.apply(plan, lambda *words: said.append(words), session=session)
    assert [stage for _, stage, _ in said[:11]] == ["clone"] * 11


def test_a_second_run_does_nothing(session: vcenter.VCenter) -> None:
    build(session)
    recent = session.retrieve([(vim.TaskManager, ("recentTask",))], [session.content.taskManager])
    result = build(session)
    again = session.retrieve([(vim.TaskManager, ("recentTask",))], [session.content.taskManager])
    assert result.outcomes == ()
    assert recent == again  # not one task more


def test_growing(session: vcenter.VCenter) -> None:
    """The seed's case: disks of 30 GB become 50 GB, and nobody's memory shrinks."""
    build(session)
    for name in ("web1", "web2"):
        finish(session, machine_named(session, name).PowerOffVM_Task())
        finish(session, machine_named(session, name).Destroy_Task())
    smaller = session.site.model_copy(
        update={
            "hosts": tuple(
                host.model_copy(update={"disk_gb": 30, "memory_mb": 16384})
                if host.name in ("web1", "web2")
                else host
                for host in session.site.hosts
            )
        }
    )
    wanted, session.site = session.site, smaller
    build(session)
    session.site = wanted
    plan = provision.plan(wanted, session=session)
    assert plan.summary == "2 grow, 9 nothing"
    assert [change.before.size for change in plan.changes if change.before] == [Size(4, 16384, 30)] * 2
    assert {change.steps for change in plan.changes} == {(Step.CHANGE,)}
    provision.apply(plan, session=session)
    sizes = {machine.name: machine.size for machine in session.machines()}
    assert sizes["web1"] == sizes["web2"] == Size(4, 16384, 50)
    assert provision.plan(wanted, session=session).changes == ()


def test_more_cpus_for_a_running_machine_need_leave_to_restart(session: vcenter.VCenter) -> None:
    build(session)
    reconfigure(session, "web1", numCPUs=2, cpuHotAddEnabled=False)
    refused = provision.plan(session.site, session=session)
    assert [problem.kind for problem in refused.problems] == ["needs-restart"]
    with pytest.raises(PlanRefusedError):
        provision.apply(refused, session=session)
    allowed = provision.plan(session.site, session=session, restart=True)
    assert [change.steps[:3] for change in allowed.changes] == [(Step.SHUT_DOWN, Step.CHANGE, Step.POWER_ON)]
    said: Said = []
    assert provision.apply(allowed, lambda *words: said.append(words), session=session).failed == {}
    assert [stage for _, stage, _ in said][:3] == ["shut-down", "change", "power-on"]
    assert_stands(session)


def test_a_machine_of_ours_gets_more_cpus_while_it_runs(session: vcenter.VCenter) -> None:
    build(session, ["web1"])
    reconfigure(session, "web1", numCPUs=2, memoryMB=4096)
    plan = provision.plan(session.site, ["web1"], session=session)
    assert [(change.action, change.steps) for change in plan.changes] == [(Action.GROW, (Step.CHANGE,))]
    assert provision.apply(plan, session=session).failed == {}
    assert session.machines()[0].size == Size(4, 8192, 50)


def test_a_foreign_machine_is_never_touched(session: vcenter.VCenter) -> None:
    add_foreign(session, "web1", folder="xjops-lab", annotation="Mr Wang's test")
    plan = provision.plan(session.site, session=session)
    with pytest.raises(PlanRefusedError) as caught:
        provision.apply(plan, session=session)
    assert "the name web1 is taken by DC0/vm/xjops-lab/web1" in caught.value.problems[0]
    (foreign,) = session.machines()
    assert (foreign.site, foreign.annotation, foreign.size.cpus) == (None, "Mr Wang's test", 1)


def test_taking_over_an_existing_machine(session: vcenter.VCenter) -> None:
    """It keeps its guest: no customization; its annotation keeps what stood there."""
    build(session, ["web1"])
    remove = [
        vim.option.OptionValue(key=key, value="") for key in ("xjops.site", "xjops.role", "xjops.stage")
    ]
    reconfigure(session, "web1", annotation="bought in 2015", extraConfig=remove)
    assert session.machines()[0].site is None
    plan = provision.plan(session.site, ["web1"], adopt=["web1"], session=session)
    assert [(change.action, change.steps) for change in plan.changes] == [(Action.TAKE_OVER, (Step.CHANGE,))]
    provision.apply(plan, session=session)
    (web1,) = session.machines()
    assert web1.annotation == "xjops: site=labtest role=web_servers\nbought in 2015"
    assert (web1.site, web1.stage) == ("labtest", Stage.READY)


def test_a_plan_that_is_no_longer_true_is_refused(session: vcenter.VCenter) -> None:
    plan = provision.plan(session.site, ["web1", "web2"], session=session)
    build(session, ["web1"])
    with pytest.raises(StalePlanError, match=r"web1 \(was create, now nothing\)"):
        provision.apply(plan, session=session)
    add_foreign(session, "web2")
    with pytest.raises(StalePlanError, match="the name web2 is taken"):
        provision.apply(plan, session=session)
    assert len(session.machines()) == 2


def test_an_address_that_comes_late_is_waited_for(session: vcenter.VCenter) -> None:
    build(session, ["web1"])
    key = "SET.guest.ipAddress"
    reconfigure(session, "web1", extraConfig=[vim.option.OptionValue(key=key, value="10.9.9.9")])

    def appear(_name: str, stage: str, _detail: str) -> None:
        if stage == "address":
            reconfigure(session, "web1", extraConfig=[vim.option.OptionValue(key=key, value="10.58.7.11")])

    plan = provision.plan(session.site, ["web1"], session=session)
    assert provision.apply(plan, appear, session=session, deadlines=IMPATIENT).failed == {}


def test_a_host_in_maintenance_refuses_and_is_named(session: vcenter.VCenter) -> None:
    build(session, ["web1"])
    finish(session, machine_named(session, "web1").PowerOffVM_Task())
    hosts = list(session.below([(vim.HostSystem, ("name",))], session.content.rootFolder))
    home = session.retrieve([(vim.VirtualMachine, ("runtime.host",))], [machine_named(session, "web1")])
    ((_, values),) = home.items()
    finish(session, values["runtime.host"].EnterMaintenanceMode_Task(30))
    try:
        plan = provision.plan(session.site, ["web1"], session=session)
        assert [change.action for change in plan.changes] == [Action.START]
        result = provision.apply(plan, session=session, deadlines=IMPATIENT)
    finally:
        finish(session, values["runtime.host"].ExitMaintenanceMode_Task(30))
    assert "web1: power-on failed: InvalidState" in str(result.failed["web1"])
    assert len(hosts) == 3


def test_a_task_that_succeeds_without_effect_is_no_endless_loop(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Works, "change", lambda self, machine, *_: self.set_extra(machine.id, {"x": "y"}))
    plan = provision.plan(session.site, ["web1"], session=session)
    result = provision.apply(plan, session=session, deadlines=IMPATIENT)
    assert "web1: change ended, but changed nothing" in str(result.failed["web1"])


def test_progress_in_percent_is_shown(session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Watch.news
    shown = []

    def slow(self: Watch, seconds: float) -> list[Any]:
        news = honest(self, seconds)
        if not shown:
            shown.append(news)
            self._drop()
            return [TaskNews(item.task, TaskState.RUNNING, 43) for item in news if isinstance(item, TaskNews)]
        return news

    monkeypatch.setattr(Watch, "news", slow)
    said: Said = []
    plan = provision.plan(session.site, ["web1"], session=session)
    assert provision.apply(plan, lambda *words: said.append(words), session=session).failed == {}
    assert said[1][1:] == ("clone", f"to {plan.machines[0].datastore} 43 %")


def test_a_distributed_port_group(session: vcenter.VCenter) -> None:
    settings = session.site.vcenter.model_copy(update={"network": "DC0_DVPG0"})
    session.site = session.site.model_copy(update={"vcenter": settings})
    build(session, ["web1"])
    assert session.machines()[0].networks == ("DC0_DVPG0",)


def test_more_than_any_host_has(tmp_path: Path) -> None:
    """The simulator would make a machine of 999 CPUs without a word."""
    with simulator_for(tmp_path, "-host-cpus=4") as site:
        plan = provision.plan(site)
        assert {(problem.kind, problem.machine) for problem in plan.problems} == {
            ("too-large", "packaging"),
            ("too-large", "scheduling"),
        }
