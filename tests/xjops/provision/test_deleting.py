"""Deleting machines on a real vCenter API: all at once, and from wherever an earlier run stopped."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim, vmodl

from tests.xjops.provision.runs import IMPATIENT, Said, assert_stands, build
from tests.xjops.vcsim import add_foreign, finish, machine_named, reconfigure, simulator_for
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.ssh import known_hosts
from xjops.adapters.vcenter_model import Power
from xjops.adapters.vcenter_tasks import TaskNews, TaskState, Watch, Works
from xjops.core.errors import DeadlineError
from xjops.journal import recorded
from xjops.provision.deletion import Deleted
from xjops.provision.host_keys import remember
from xjops.provision.model import Action, PlanRefusedError, StalePlanError, StepError
from xjops.site import Site

pytestmark = pytest.mark.vcsim


class Killed(BaseException):
    """The end of a run in its middle."""


def delete(session: vcenter.VCenter, *names: str, power_off: bool = True, **options: Any) -> Deleted:
    plan = provision.plan_deletion(session.site, names, power_off=power_off, session=session)
    options.setdefault("deadlines", IMPATIENT)
    return provision.delete(plan, options.pop("progress", None), session=session, **options)


def there(session: vcenter.VCenter) -> list[str]:
    return sorted(machine.name for machine in session.machines())


def key(number: int) -> str:
    body = (11).to_bytes(4) + b"ssh-ed25519" + (32).to_bytes(4) + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(body).decode()}"


def know(site: Site, *names: str) -> None:
    remember(site, {site.host(name): key(number) for number, name in enumerate(names, 1)})


def test_named_machines_go_and_the_others_stay_untouched(session: vcenter.VCenter) -> None:
    build(session)
    know(session.site, "web1", "web2", "web3", "db1")
    before = {machine.id for machine in session.machines() if machine.name not in ("web2", "web3")}
    said: Said = []
    deleted = delete(session, "web2", "web3", progress=lambda *words: said.append(words))
    assert deleted.result.failed == {}
    assert [(item.name, item.action) for item in deleted.result.outcomes] == [
        ("web2", Action.DELETE),
        ("web3", Action.DELETE),
    ]
    heard = [words[:2] for words in said]
    assert heard[:4] == [  # all are submitted before any is waited for
        ("web2", "power-off"), ("web3", "power-off"),
        ("web2", "delete"), ("web3", "delete"),
    ]  # fmt: skip
    assert sorted(heard[4:]) == [("web2", "done"), ("web3", "done")]  # vCenter ends them in its own order
    assert {machine.id for machine in session.machines()} == before
    assert deleted.forgotten == ("web2", "web3")
    assert [line.split()[0] for line in known_hosts(session.site).read_text().splitlines()] == [
        "10.58.7.11,web1",
        "10.58.7.31,db1",
    ]
    build(session)  # they stand in the inventory: apply makes them anew
    assert_stands(session)


@pytest.mark.parametrize("name", ["web1", "wang"])
def test_a_foreign_machine_is_never_deleted(session: vcenter.VCenter, name: str) -> None:
    """Neither one with a name of the inventory, nor one with the mark in its extra configuration only."""
    extra = [vim.option.OptionValue(key="xjops.site", value=session.site.name)]
    add_foreign(session, name, annotation="Mr Wang's", extraConfig=extra)
    with pytest.raises(PlanRefusedError):
        delete(session, name)
    plan = provision.plan_deletion(session.site, [name], power_off=True, session=session)
    assert [problem.kind for problem in plan.problems] == ["foreign"]
    assert machine_named(session, name)


def test_the_template_is_never_deleted(session: vcenter.VCenter) -> None:
    template = session.site.vcenter.template
    reconfigure(session, template, annotation=f"xjops: site={session.site.name} role=web_servers")
    try:
        plan = provision.plan_deletion(session.site, [template], power_off=True, session=session)
        assert [problem.kind for problem in plan.problems] == ["template"]
    finally:
        reconfigure(session, template, annotation="")


def test_a_stray_is_deleted_by_name(session: vcenter.VCenter) -> None:
    """Also a second time, by a run that was killed before it could tell: the journal knows the name."""
    site = session.site
    add_foreign(session, "web10", annotation=f"xjops: site={site.name} role=web_servers")
    with recorded(site.name, provision.DELETE_VERB, {}, ["web10"]):
        assert delete(session, "web10").result.failed == {}
    assert there(session) == []
    assert delete(session, "web10").result.outcomes == ()
    plan = provision.plan_deletion(site, ["web11"], session=session)
    assert [problem.kind for problem in plan.problems] == ["unknown-name"]


def test_a_suspended_machine(session: vcenter.VCenter) -> None:
    build(session, ["web1"])
    finish(session, machine_named(session, "web1").SuspendVM_Task())
    assert [machine.power for machine in session.machines()] == [Power.SUSPENDED]
    assert delete(session, "web1").result.failed == {}
    assert there(session) == []


@pytest.mark.parametrize("stage", ["power-off", "delete", "done"])
@pytest.mark.parametrize("times", [1, 3])
def test_a_run_killed_anywhere_goes_on(session: vcenter.VCenter, stage: str, times: int) -> None:
    names = ["web1", "web2", "web3"]
    build(session, names)
    know(session.site, *names)
    seen = 0

    def kill(_name: str, now: str, _detail: str) -> None:
        nonlocal seen
        seen += now == stage
        if seen >= times:
            raise Killed

    with pytest.raises(Killed):
        delete(session, *names, progress=kill)
    time.sleep(0.3)  # let the simulator finish what was submitted
    deleted = delete(session, *names)
    assert deleted.result.failed == {}
    assert there(session) == []
    assert deleted.forgotten == ("web1", "web2", "web3")
    assert known_hosts(session.site).read_text() == ""
    assert delete(session, *names).forgotten == ()


def test_a_deletion_that_vcenter_still_works_on_is_waited_for(tmp_path: Path) -> None:
    with simulator_for(tmp_path, "-task-delay=Destroy:3000") as site, vcenter.connect(site) as session:
        build(session, ["web1", "web2"])

        def kill(_name: str, now: str, _detail: str) -> None:
            if now == "delete":
                raise Killed

        with pytest.raises(Killed):
            delete(session, "web1", progress=kill)
        said: Said = []
        deleted = delete(session, "web1", "web2", progress=lambda *words: said.append(words))
        assert deleted.result.failed == {}
        assert ("web1", "delete", "an earlier run's") in said
        assert [stage for name, stage, _ in said if name == "web1"] == ["delete", "done"]
        assert there(session) == []


def test_a_machine_that_fails_stops_only_itself_and_keeps_its_key(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(session, ["web1", "web2"])
    know(session.site, "web1", "web2")

    honest = Works.delete

    def refuse(self: Works, machine: str) -> str:
        if self.read([machine])[machine].name == "web1":
            raise vcenter.FaultError("vCenter: NoPermission", vim.fault.NoPermission())
        return honest(self, machine)

    monkeypatch.setattr(Works, "delete", refuse)
    deleted = delete(session, "web1", "web2")
    assert isinstance(deleted.result.failed["web1"], StepError)
    assert "web1: delete was refused: vCenter: NoPermission" in str(deleted.result.failed["web1"])
    assert there(session) == ["web1"]
    assert deleted.forgotten == ("web2",)


def test_a_machine_switched_on_behind_our_back_is_vcenters_refusal(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(session, ["web1"])
    finish(session, machine_named(session, "web1").PowerOffVM_Task())
    honest = Works.delete

    def late(self: Works, machine: str) -> str:
        finish(self.session, self._machine(machine).PowerOnVM_Task())
        return honest(self, machine)

    monkeypatch.setattr(Works, "delete", late)
    deleted = delete(session, "web1", power_off=False)
    assert "web1: delete failed: InvalidPowerState" in str(deleted.result.failed["web1"])
    assert there(session) == ["web1"]


def test_a_machine_made_anew_since_the_plan_is_left_alone(session: vcenter.VCenter) -> None:
    build(session, ["web1"])
    plan = provision.plan_deletion(session.site, ["web1"], power_off=True, session=session)
    finish(session, machine_named(session, "web1").PowerOffVM_Task())
    finish(session, machine_named(session, "web1").Destroy_Task())
    build(session, ["web1"])
    with pytest.raises(StalePlanError, match="another machine"):
        provision.delete(plan, session=session)
    assert there(session) == ["web1"]


def test_somebody_else_deletes_it_meanwhile(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(session, ["web1"])

    def vanish(_self: Works, machine: str) -> str:
        raise vcenter.FaultError("vCenter: gone", vmodl.fault.ManagedObjectNotFound())

    monkeypatch.setattr(Works, "power_off", vanish)
    assert delete(session, "web1").result.failed == {}


def test_a_task_that_vcenter_forgot_is_judged_by_what_is_there(
    session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(session, ["web1"])
    honest = Watch.news

    def forgetful(self: Watch, seconds: float) -> list[Any]:
        return [
            TaskNews(item.task, TaskState.GONE) if isinstance(item, TaskNews) else item
            for item in honest(self, seconds)
        ]

    monkeypatch.setattr(Watch, "news", forgetful)
    assert delete(session, "web1").result.failed == {}
    assert there(session) == []


def test_not_beside_an_apply(session: vcenter.VCenter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provision, "LOCK_SECONDS", 0.1)
    build(session, ["web1"])
    refused = []

    def meanwhile(_name: str, stage: str, _detail: str) -> None:
        if stage == "clone" and not refused:
            with pytest.raises(DeadlineError, match="another vm apply or vm delete"):
                delete(session, "web1")
            refused.append(stage)

    provision.apply(provision.plan(session.site, session=session), meanwhile, session=session)
    assert refused == ["clone"]
    assert_stands(session)
