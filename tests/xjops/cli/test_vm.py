"""`xjops vm`: what people see, what programs read, the exit codes."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.xjops.provision.test_host_keys import key, publish
from tests.xjops.vcsim import add_foreign, reconfigure
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.ssh import known_hosts
from xjops.cli.main import main
from xjops.journal.runs import journal_of
from xjops.site import Site

pytestmark = pytest.mark.vcsim
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(vcenter_site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("XJOPS_SITE", vcenter_site.name)
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["vm", *words])
        said = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, said.out, said.err

    return run


def test_plan_apply_list(run: Run, vcenter_site: Site) -> None:
    code, out, err = run("plan")
    assert (code, err) == (0, "")
    assert "11 create; foreign machines, left alone: 0" in out
    (line,) = [line for line in out.splitlines() if line.strip().startswith("packaging ")]
    words = line.split()
    assert words[:8] == ["packaging", "packaging_servers", "create", "8", "16", "GB", "50", "GB"]
    assert words[8] in vcenter_site.vcenter.datastores
    assert words[9:] == ["10.58.7.20"]

    code, out, err = run("apply", "--yes")
    assert code == 0
    assert "11 of 11 machines done" in out
    assert sum("done" in line for line in err.splitlines()) == 11  # one line a machine

    code, out, _ = run("list")
    assert code == 0
    (line,) = [line for line in out.splitlines() if line.strip().startswith("web3 ")]
    assert line.split()[2:] == [
        "on",
        "4",
        "8",
        "GB",
        "50",
        "GB",
        line.split()[8],
        "VM",
        "Network",
        "10.58.7.13",
        "no",
    ]

    code, out, err = run("apply")  # nothing to do: no question
    assert (code, err) == (0, "")
    assert "11 nothing" in out

    entries = [entry.data for entry in journal_of(vcenter_site.name).entries()]
    assert [entry["event"] for entry in entries] == ["start", "end"]  # only the run that changed something
    assert entries[0]["verb"] == "vm apply"
    assert len(entries[0]["hosts"]) == len(entries[1]["result"]["machines"]) == 11
    assert entries[1]["exit_code"] == 0


def test_json(run: Run) -> None:
    code, out, err = run("plan", "--format", "json")
    plan = json.loads(out)
    assert (code, err, plan["summary"]) == (0, "", "11 create")
    code, out, err = run("apply", "--yes", "--format", "json")
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert [machine["error"] for machine in data["result"]["machines"]] == [None] * 11
    code, out, err = run("apply", "--format", "json")
    assert json.loads(out)["result"] == {"seconds": 0.0, "machines": []}
    code, out, err = run("list", "--format", "json")
    web1 = json.loads(out)["machines"][0]
    assert web1 == {
        "name": "web1",
        "role": "web_servers",
        "there": True,
        "power": "on",
        "size": {"cpus": 4, "memory_mb": 8192, "disk_gb": 50},
        "datastore": web1["datastore"],
        "networks": ["VM Network"],
        "addresses": ["10.58.7.11"],
        "host_key": None,
    }


def test_a_refused_plan(run: Run, vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web1")
    code, out, err = run("plan")
    assert code == 1
    assert "1 refused" in out
    assert err.startswith("xjops: the name web1 is taken by DC0/vm/web1, a machine without the mark")
    assert "xjops vm apply --site labtest --adopt web1" in err
    code, _, err = run("apply", "--yes")
    assert code == 1
    assert err.startswith("xjops: the name web1 is taken by DC0/vm/web1")
    code, out, _ = run("list")
    assert [line.split()[2] for line in out.splitlines() if line.strip().startswith("web1 ")] == ["foreign"]
    with vcenter.connect(vcenter_site) as session:
        assert [machine.name for machine in session.machines()] == ["web1"]


def test_what_a_machine_keeps_is_said(run: Run, vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        provision.apply(provision.plan(vcenter_site, ["web1"], session=session), session=session)
        reconfigure(session, "web1", memoryMB=16384)
    code, out, _ = run("plan")
    assert code == 0
    assert "web1: keeps 16384 MB, 8192 are required" in out.splitlines()


def test_a_machine_that_is_no_longer_in_the_inventory_is_named(run: Run, vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web10", annotation=f"xjops: site={vcenter_site.name} role=web_servers")
    for command in ("plan", "list"):
        code, out, _ = run(command)
        assert code == 0
        assert "DC0/vm/web10 carries the mark of labtest but is not in its inventory; left alone" in out


def test_options_reach_the_plan(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    honest = provision.plan

    def plan(site: Site, **options: Any) -> Any:
        seen.update(options)
        return honest(site, **options)

    monkeypatch.setattr(provision, "plan", plan)
    run("plan", "--restart", "--adopt", "web1", "--adopt", "web2")
    assert (seen["restart"], seen["adopt"]) == (True, ("web1", "web2"))


@pytest.mark.parametrize(
    "words", [("apply", "--deadline", "0"), ("plan", "--format", "xml"), ("list", "web1")]
)
def test_a_wrong_command_line(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words)[0] == 2


def test_host_keys_are_learnt_or_their_lack_is_named(run: Run, vcenter_site: Site) -> None:
    assert run("apply", "--yes")[0] == 0
    code, _, err = run("host-keys", "--deadline", "0")
    assert code == 1
    assert "no SSH host key from vCenter within 0 s: web1 (set none)" in err
    with vcenter.connect(vcenter_site) as session:
        for number, host in enumerate(vcenter_site.virtual_machines):
            publish(session, host.name, key(number))
    assert run("host-keys", "--deadline", "0")[:2] == (0, "11 new, 0 replaced, 0 known before\n")
    assert run("host-keys", "--deadline", "0")[:2] == (0, "0 new, 0 replaced, 11 known before\n")
    assert f"{key(0)}\n" in known_hosts(vcenter_site).read_text()


@pytest.fixture
def built(run: Run, vcenter_site: Site) -> Site:
    """Three web servers that are on."""
    with vcenter.connect(vcenter_site) as session:
        plan = provision.plan(vcenter_site, ["web1", "web2", "web3"], session=session)
        provision.apply(plan, session=session)
    return vcenter_site


def left(site: Site) -> list[str]:
    with vcenter.connect(site) as session:
        return [machine.name for machine in session.machines()]


def test_delete(run: Run, built: Site) -> None:
    code, out, err = run("delete", "web2", "web3")
    assert (code, out) == (1, "")
    assert [line.split(" → ")[1] for line in err.splitlines()] == [
        "shut it down, or: xjops vm delete --power-off web2",
        "shut it down, or: xjops vm delete --power-off web3",
    ]
    code, out, err = run("delete", "web2", "web3", "web9", "--power-off", "--yes")
    assert code == 0
    assert "2 of 2 machines deleted" in out
    assert "web2: stands in the inventory: `xjops vm apply` makes it anew" in out.splitlines()
    rows = [line.split() for line in out.splitlines()]
    assert ["web9", "gone", "already"] in rows
    assert [row[1:4] for row in rows if row[:1] == ["web2"]] == [["delete", "on", "50"]]
    assert sum("done" in line for line in err.splitlines()) == 2  # one line a machine
    assert left(built) == ["web1"]
    start, end = [entry.data for entry in journal_of(built.name).entries()]
    assert (start["verb"], start["hosts"]) == ("vm delete", ["web2", "web3", "web9"])
    assert (end["exit_code"], len(end["result"]["machines"])) == (0, 2)
    code, out, err = run("delete", "web2")  # gone already: no question, nothing to record
    assert (code, err) == (0, "")
    assert "nothing to delete" in out
    assert len(list(journal_of(built.name).entries())) == 2


@pytest.mark.parametrize(
    ("answer", "deleted"),
    [("web2 web1\n", True), ("y\n", False), ("yes\n", False), ("web1\n", False), ("", False)],
)
def test_deleting_is_confirmed_by_the_names(
    run: Run, built: Site, monkeypatch: pytest.MonkeyPatch, answer: str, deleted: bool
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, _, err = run("delete", "web1", "web2", "--power-off")
    assert "Type their names to go on (web1 web2)" in err
    assert code == (0 if deleted else 130)
    assert len(left(built)) == (1 if deleted else 3)
    assert bool(list(journal_of(built.name).entries())) is deleted


def test_delete_json_and_failure(run: Run, built: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from xjops.adapters.vcenter_tasks import Works

    def refuse(*_: object) -> str:
        raise vcenter.FaultError("vCenter: NoPermission", ValueError())

    with monkeypatch.context() as patch:
        patch.setattr(Works, "delete", refuse)
        code, out, err = run("delete", "web1", "--power-off", "--yes", "--format", "json")
    failed = json.loads(out)
    assert code == 1
    assert "delete was refused: vCenter: NoPermission" in failed["result"]["machines"][0]["error"]
    code, out, err = run("delete", "web1", "--yes", "--format", "json")  # it is off by now
    data = json.loads(out)
    assert (code, err) == (0, "")
    assert data["plan"]["machines"][0] == {
        "name": "web1",
        "action": "delete",
        "path": "DC0/vm/xjops-lab/web1",
        "power": "off",
        "steps": ["delete"],
        "notes": ["stands in the inventory: `xjops vm apply` makes it anew"],
    }
    assert [(item["name"], item["error"]) for item in data["result"]["machines"]] == [("web1", None)]
    assert data["forgotten"] == []
