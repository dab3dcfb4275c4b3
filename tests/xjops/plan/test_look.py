"""A look as a whole: what it comes to, how it is saved, and when a saved plan still holds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from xjops.checks.probe import Facts
from xjops.core.errors import ExitCode, XjopsError
from xjops.ledger.compare import Due, Why
from xjops.ledger.look import Drift, Seen
from xjops.plan import saved
from xjops.plan.look import RELEASE, Look, Machines, parts
from xjops.plan.saved import StalePlanError

DRIFT = Drift("file", "/etc/a", {"mode": "0644"}, {"mode": "0600"})


def due(host: str, step: str = "base", why: Why = Why.DRIFT) -> Due:
    return Due(host, step, why, drift=(DRIFT,))


def test_nothing_to_do(well: Look) -> None:
    assert well.nothing_to_do
    assert well.exit_code is ExitCode.OK


def test_exit_codes(well: Look) -> None:
    gone = {**well.hosts, "web2": Seen("web2", error=XjopsError("web2 is gone"))}
    assert replace(well, due=(due("web1"),)).exit_code is ExitCode.WARN
    assert replace(well, machines=Machines("", (("web1", "create"),))).exit_code is ExitCode.WARN
    assert replace(well, hosts=gone, due=(due("web1"),)).exit_code is ExitCode.NOT_RUN
    assert replace(well, machines=Machines(error=XjopsError("no vCenter"))).exit_code is ExitCode.NOT_RUN
    assert replace(well, machines=Machines(problems=("too big",)), hosts=gone).exit_code is ExitCode.FAIL


def test_as_data_names_everything(well: Look) -> None:
    data = replace(well, due=(due("web2"),)).as_data()
    (web2,) = [host for host in data["hosts"] if host["name"] == "web2"]
    assert web2["due"][0]["drift"][0]["now"] == {"mode": "0600"}
    assert data["exit_code"] == 3
    json.dumps(data)


def test_a_saved_plan_holds_while_nothing_changes(well: Look, tmp_path: Path) -> None:
    seen = replace(well, due=(due("web2"),))
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(saved.as_saved(seen, ["web_servers"])))
    plan = saved.load(path)
    assert (plan.site, plan.limit) == ("lab", ("web_servers",))
    plan.agree(seen)
    for other in (
        well,
        replace(well, due=(due("web3"),)),
        replace(seen, due=(due("web2", why=Why.NEVER),)),
        replace(seen, machines=Machines("", (("web1", "create"),))),
        replace(seen, hosts={**well.hosts, "web9": Seen("web9", error=XjopsError("gone"))}),
    ):
        with pytest.raises(StalePlanError, match="has changed since"):
            plan.agree(other)


def test_summary_counts_what_was_seen_and_what_is_to_be_done(well: Look) -> None:
    hosts = {**well.hosts, "web9": Seen("web9", error=XjopsError("gone"))}
    due_steps = (due("web1"), due("web1", "registry_web"), due("db1", why=Why.EXPIRED))
    changes = (("web3", "create"), ("web4", "grow"))
    seen = replace(well, hosts=hosts, due=due_steps, machines=Machines("", changes, ("too big",)))
    assert seen.as_data()["summary"] == {
        "hosts": {"seen": 16, "unreachable": 1, "differ": 2},
        "due": {"never run": 0, "interrupted": 0, "changed inputs": 0, "drift": 2, "expired": 1},
        "machines": 2,
        "problems": 1,
    }
    assert replace(well, machines=Machines(error=XjopsError("no vCenter"))).summary["machines"] is None


def test_parts_side_by_side(well: Look) -> None:
    database = {"version": "15.20 (Debian)", "standby": False, "streaming": 1}
    members = [{"status": "UP"}, {"status": "UP 1/2"}, {"status": "DOWN"}]
    facts = {
        "db1": {"database": database},
        "db2": {"database": {"error": "no answer within 10 s"}},
        "lb1": {"balancer": {"members": members}},
    }
    releases = {"web1": "0.1.0+1", "web2": "0.2.0+2", "packaging": "0.1.0+1", "scheduling": ""}
    links = {name: {RELEASE: f"/opt/registry/releases/{to}" if to else ""} for name, to in releases.items()}
    told = parts(
        replace(
            well,
            facts={name: Facts(name, "now", values) for name, values in facts.items()},
            hosts={name: Seen(name, links=links.get(name, {})) for name in well.hosts},
        )
    )
    assert told == {
        "database db1": "PostgreSQL 15.20, primary, 1 standbys streaming",
        "database db2": "no answer within 10 s",
        "balancer lb1": "2 of 3 members up",
        "application": "0.1.0+1 on 2 hosts; 0.2.0+2 on 1 hosts; no release on 1 hosts",
    }
