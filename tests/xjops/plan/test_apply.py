"""The pipeline: who is left out when, what stops it, and what is never called a success."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xjops.adapters.ansible import HostOutcome
from xjops.adapters.ssh import Output, UnreachableError
from xjops.core import paths
from xjops.core.errors import DeadlineError, ExitCode, UsageError, XjopsError
from xjops.core.locking import lock
from xjops.core.progress import silent
from xjops.ledger.compare import Due, Why
from xjops.plan import apply
from xjops.plan.outcome import Outcome, State
from xjops.site import Host, Site


class World:
    """What is outside the pipeline; tests break parts of it."""

    def __init__(self) -> None:
        self.vcenter_error: XjopsError | None = None
        self.bundle_error: XjopsError | None = None
        self.broken_machines: dict[str, XjopsError] = {}
        self.silent_hosts: set[str] = set()
        self.failing_roles: set[str] = set()
        self.vanishing: dict[str, int] = {}  # how often a host goes away in the middle of its roles
        self.applied = 0
        self.plays: list[list[str]] = []
        self.limit: list[str] = []
        self.tags: Iterable[str] = ()
        self.rounds: list[list[str]] | None = None  # the steps that are due on every host, look by look

    def look(self, site: Site, hosts: Iterable[Host], **_: object) -> Any:
        once = [] if self.limit else ["base"]
        steps = once if self.rounds is None else self.rounds.pop(0)
        due = [Due(host.name, step, Why.NEVER) for host in hosts for step in steps]
        return SimpleNamespace(due=due, unreachable={})

    def plan(self, site: Site, names: Iterable[str]) -> Any:
        if self.vcenter_error:
            raise self.vcenter_error
        chosen = list(names)
        return SimpleNamespace(changes=chosen, summary=f"{len(chosen)} create", check=lambda: None)

    def apply(self, plan: Any, progress: object) -> Any:
        self.applied += 1
        return SimpleNamespace(failed=self.broken_machines)

    def run(self, hosts: Iterable[Host], command: str, *, seconds: float) -> dict[str, Output]:
        def output(host: Host) -> Output:
            error = UnreachableError(f"{host.name} is silent") if host.name in self.silent_hosts else None
            return Output(host.name, error=error)

        return {host.name: output(host) for host in hosts}

    def verify(self, folder: Path, key: Path) -> Any:
        if self.bundle_error:
            raise self.bundle_error
        return SimpleNamespace(files={"a": 1}, digest="abc")

    def playbook(
        self, site: Site, name: str, *, limit: list[str], tags: Iterable[str], **_: object
    ) -> dict[str, HostOutcome]:
        self.limit, self.tags = limit, tags
        self.plays.append(limit)
        return {host: self.fares(host) for host in limit}

    def fares(self, host: str) -> HostOutcome:
        gone = self.vanishing.get(host, 0) > 0
        if gone:
            self.vanishing[host] -= 1
        failed = gone or host in self.failing_roles
        error = "a task: no reason" if failed else ""
        return HostOutcome(host, ok=1, failed=failed, unreachable=gone, error=error)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    world = World()
    fleet = SimpleNamespace(run=world.run, __enter__=None)

    class Fleet:
        def __init__(self, site: Site) -> None: ...

        def __enter__(self) -> Any:
            return fleet

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(apply.provision, "plan", world.plan)
    monkeypatch.setattr(apply.provision, "apply", world.apply)
    monkeypatch.setattr(apply.provision, "learn_host_keys", lambda *_, **__: None)
    monkeypatch.setattr(apply, "Fleet", Fleet)
    monkeypatch.setattr(apply.refusal, "verify", world.verify)
    monkeypatch.setattr(apply, "run_playbook", world.playbook)
    monkeypatch.setattr(apply, "look", world.look)
    monkeypatch.setattr(apply, "REACH_SECONDS", 0.0)
    monkeypatch.setattr(apply, "LOCK_SECONDS", 0.1)
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    return world


def run(site: Site, tmp_path: Path, **options: Any) -> Outcome:
    return apply.Pipeline(site, apply.Options(**options), tmp_path / "log.txt", silent).run()


def states(outcome: Outcome) -> dict[str, str]:
    return {part.name: part.state.value for part in outcome.parts}


def test_all_well(lab_site: Site, world: World, tmp_path: Path) -> None:
    outcome = run(lab_site, tmp_path)
    assert states(outcome) == {"vcenter": "changed", "reach": "ok", "bundle": "ok", "roles": "ok"}
    assert len(world.limit) == 17
    assert outcome.artefacts == {"bundle": "abc"}
    assert outcome.exit_code is ExitCode.OK


def test_a_machine_that_fails_does_not_stop_the_others(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.broken_machines = {"web3": XjopsError("web3: disk full")}
    outcome = run(lab_site, tmp_path)
    assert "web3" not in world.limit
    assert len(world.limit) == 16
    assert outcome.hosts["web3"].error == "web3: disk full"
    assert outcome.exit_code is ExitCode.FAIL


def test_a_host_that_is_down_is_named_and_left_out(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.silent_hosts = {"web4", "db2"}
    outcome = run(lab_site, tmp_path)
    assert states(outcome)["reach"] == "failed"
    assert states(outcome)["roles"] == "ok"
    assert {"web4", "db2"}.isdisjoint(world.limit)
    assert outcome.hosts["web4"].unreachable
    assert outcome.exit_code is ExitCode.FAIL


def test_without_a_simulator_vcenter_is_not_run_and_the_hosts_go_on(
    lab_site: Site, world: World, tmp_path: Path
) -> None:
    world.vcenter_error = XjopsError("nothing listens at vCenter's address")  # must not be asked at all
    outcome = run(lab_site, tmp_path, no_vcenter="no simulator here")
    assert outcome.parts[0].detail == "no simulator here"
    assert states(outcome)["vcenter"] == "not-run"
    assert len(world.limit) == 17
    assert outcome.exit_code is ExitCode.NOT_RUN


def test_a_broken_vcenter_stops_the_run(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.vcenter_error = XjopsError("wrong password")
    outcome = run(lab_site, tmp_path)
    assert states(outcome) == {"vcenter": "failed"}
    assert outcome.exit_code is ExitCode.FAIL


def test_a_tampered_bundle_reaches_no_host(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.bundle_error = XjopsError("apt/x.deb: changed")
    outcome = run(lab_site, tmp_path)
    assert states(outcome)["bundle"] == "failed"
    assert world.limit == []
    assert outcome.exit_code is ExitCode.FAIL


def test_a_failed_role_is_a_failed_run(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.failing_roles = {"web5"}
    outcome = run(lab_site, tmp_path)
    assert outcome.parts[-1].state is State.FAILED
    assert "web5" in outcome.parts[-1].detail
    assert outcome.exit_code is ExitCode.FAIL


def test_check_makes_no_machine(lab_site: Site, world: World, tmp_path: Path) -> None:
    run(lab_site, tmp_path, check=True)
    assert world.applied == 0


def test_nothing_runs_where_nothing_differs(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.rounds = [[]]
    outcome = run(lab_site, tmp_path)
    assert states(outcome)["roles"] == "ok"
    assert outcome.parts[-1].detail == "nothing differs"
    assert world.limit == []
    assert len(outcome.hosts) == 17


def test_what_follows_a_change_runs_in_the_next_round(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.rounds = [["registry_release/build", "registry_release/activate"], ["registry_web"], []]
    outcome = run(lab_site, tmp_path, limit=("web2",))
    assert world.tags == ("registry_web",)
    assert outcome.hosts["web2"].ok == 2, "both rounds count"
    assert outcome.exit_code is ExitCode.OK


def test_a_step_that_stays_due_is_a_failure(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.rounds = [["base"], ["base"]]
    outcome = run(lab_site, tmp_path, limit=("web2",))
    assert states(outcome)["roles"] == "failed"
    assert "base on web2" in outcome.parts[-1].detail


def test_a_host_that_goes_away_in_the_middle_gets_one_more_try(
    lab_site: Site, world: World, tmp_path: Path
) -> None:
    world.vanishing = {"web3": 1}
    world.rounds = [["base"], ["base"], []]
    outcome = run(lab_site, tmp_path, limit=("web3",))
    assert world.plays == [["web3"], ["web3"]]
    assert (outcome.exit_code, outcome.hosts["web3"].error) == (ExitCode.OK, "")
    world.vanishing = {"web3": 2}
    world.rounds = [["base"], ["base"], []]
    outcome = run(lab_site, tmp_path, limit=("web3",))
    assert outcome.hosts["web3"].unreachable, "once more, and not for ever"
    assert outcome.exit_code is ExitCode.FAIL


def test_a_host_that_fails_or_stays_away_does_not_keep_the_others_from_their_next_round(
    lab_site: Site, world: World, tmp_path: Path
) -> None:
    world.failing_roles, world.vanishing = {"web3"}, {"web4": 9}
    world.rounds = [["base"], ["registry_web"], []]

    def playbook(*args: Any, **words: Any) -> dict[str, HostOutcome]:
        world.silent_hosts = {"web4"}
        return world.playbook(*args, **words)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "run_playbook", playbook)
        outcome = run(lab_site, tmp_path, limit=("web2", "web3", "web4"))
    assert world.plays == [["web2", "web3", "web4"], ["web2"]]
    assert outcome.hosts["web4"].unreachable
    assert [name for name, host in outcome.hosts.items() if host.failed] == ["web3", "web4"]
    assert outcome.exit_code is ExitCode.FAIL


def test_tags_choose_among_what_differs(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.rounds = [["base", "registry_web"], []]
    run(lab_site, tmp_path, tags=("registry_web", "postgresql"))
    assert world.tags == ("registry_web",)


def test_full_asks_no_ledger(lab_site: Site, world: World, tmp_path: Path) -> None:
    world.rounds = []
    assert states(run(lab_site, tmp_path, full=True))["roles"] == "ok"
    assert len(world.limit) == 17


def test_one_run_of_a_site_at_a_time(lab_site: Site, world: World, tmp_path: Path) -> None:
    held = paths.state(lab_site.name) / "apply.lock"
    with lock(held, what="test", seconds=1, mend=""):
        with pytest.raises(DeadlineError, match=f"another apply of {lab_site.name}"):
            run(lab_site, tmp_path)
        assert world.limit == []
        assert states(run(lab_site, tmp_path, check=True))["roles"] == "ok"  # looking is no harm
    assert states(run(lab_site, tmp_path))["roles"] == "ok"


def test_limit_takes_hosts_and_groups(lab_site: Site, world: World, tmp_path: Path) -> None:
    run(lab_site, tmp_path, limit=("web2", "database_servers"))
    assert sorted(world.limit) == ["db1", "db2", "web2"]


def test_an_unknown_limit_is_a_usage_error(lab_site: Site) -> None:
    with pytest.raises(UsageError, match="'web99' is neither a host nor a group"):
        apply.chosen(lab_site, ["web99"])
