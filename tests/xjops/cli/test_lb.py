"""`xjops lb` end to end: an F5 by its iControl REST endpoint, a real HAProxy; exit codes, journal, words."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.xjops.f5site import change
from tests.xjops.icontrol import PASSWORD, BigIPDevice
from tests.xjops.running_haproxy import LocalFleet, RunningHAProxy, asking
from xjops.adapters import f5_session
from xjops.cli.main import main
from xjops.journal.runs import journal_of
from xjops.site import Site

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(f5_session, "PAUSE_SECONDS", 0.05)

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["lb", *words])
        said = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, said.out, said.err

    return run


def rows(out: str) -> dict[str, list[str]]:
    """The lines of a table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.strip().startswith("web")}


def entries(site: str) -> list[dict[str, Any]]:
    return [entry.data for entry in journal_of(site).entries()]


# -- F5


@pytest.mark.usefixtures("f5_site")
def test_status_of_an_f5(run: Run, device: BigIPDevice) -> None:
    code, out, err = run("status")
    assert (code, err) == (0, "")
    assert rows(out)["web2"] == ["192.0.2.12:80", "enabled", "up", "0", "/Common/web2:80"]
    device.member("web3").session = "user-disabled"
    device.connections["/Common/web3:80"] = 4
    code, out, err = run("status")
    assert (code, err) == (3, "")
    assert rows(out)["web3"][1:4] == ["draining", "up", "4"]
    device.down["/Common/web4:80"] = "connection refused"
    code, out, _ = run("status")
    assert code == 1
    assert "down by a monitor: connection refused" in " ".join(rows(out)["web4"])


@pytest.mark.usefixtures("f5_site")
def test_drain_waits_and_enable_puts_it_back(run: Run, device: BigIPDevice) -> None:
    device.connections["/Common/web2:80"] = 3
    device.finishing["/Common/web2:80"] = time.monotonic() + 1.5
    begin = time.monotonic()
    code, out, err = run("drain", "web2", "web3", "--yes", "--wait", "30")
    assert (code, out) == (0, "")
    assert "web2" in err
    assert "drained" in err
    assert 1.0 < time.monotonic() - begin < 10
    device.restart()
    assert [device.member(f"web{n}").session for n in (2, 3, 4)] == ["user-disabled"] * 2 + ["user-enabled"]
    code, out, err = run("enable", "web2", "web3", "--yes")
    assert (code, err) == (0, "")
    assert rows(out)["web2"][1] == "enabled"
    told = entries("shaanxi")
    assert [
        (entry["event"], entry["verb"], entry["hosts"]) for entry in told if entry["event"] == "start"
    ] == [
        ("start", "lb drain", ["web2", "web3"]),
        ("start", "lb enable", ["web2", "web3"]),
    ]
    ends = [(entry["exit_code"], entry["result"]) for entry in told if entry["event"] == "end"]
    assert ends == [
        (0, {"left": {"web2": 0, "web3": 0}}),
        (0, {"web2": {"f5 127.0.0.1": ["enabled"]}, "web3": {"f5 127.0.0.1": ["enabled"]}}),
    ]
    assert PASSWORD not in json.dumps(told)
    assert device.tokens == {}  # every one was given back


@pytest.mark.usefixtures("f5_site")
def test_sessions_that_stay_are_a_warning(run: Run, device: BigIPDevice) -> None:
    device.connections["/Common/web2:80"] = 3
    code, _, err = run("drain", "web2", "--yes", "--wait", "0.2")
    assert code == 3
    assert "still at work after 0.2 s: web2 (3) sessions → wait longer: xjops lb drain web2 --wait 60" in err
    code, out, err = run("drain", "web2", "--yes", "--wait", "0", "--format", "json")
    data = json.loads(out)
    assert (code, err) == (3, "")
    assert (data["left"], data["exit_code"], data["schema"]) == ({"web2": 3}, 3, 1)
    assert data["balancers"][0]["members"][0] == {
        "name": "web2",
        "id": "/Common/web2:80",
        "address": "192.0.2.12",
        "port": 80,
        "state": "draining",
        "health": "up",
        "reason": "",
        "sessions": 3,
    }


@pytest.mark.usefixtures("f5_site")
def test_the_last_member_stays_without_force(run: Run, device: BigIPDevice) -> None:
    rest = [f"web{number}" for number in range(3, 10)]
    assert run("drain", *rest, "--yes", "--wait", "0")[0] == 0
    code, _, err = run("drain", "web2", "--yes")
    assert code == 1
    assert err.startswith("xjops: f5 127.0.0.1: nobody would serve without web2 (web3 is draining, up;")
    assert err.endswith("→ xjops lb enable another one first, or --force\n")
    assert device.member("web2").session == "user-enabled"
    assert run("drain", "web2", "--yes", "--force")[0] == 0


@pytest.mark.usefixtures("f5_site")
@pytest.mark.parametrize("words", [("drain", "web2"), ("enable", "web2"), ("apply",)])
@pytest.mark.parametrize("answer", ["n\n", ""])
def test_a_question_without_yes_changes_nothing(
    run: Run, device: BigIPDevice, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], answer: str
) -> None:
    device.member("web9").session = "user-disabled"
    del device.running.pools[device.pool]["/Common/web8:80"]
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    code, _, err = run(*words)
    assert code == 130
    assert "on f5 127.0.0.1?" in err
    assert {method for method, path in device.requests if "/tm/" in path} <= {"GET"}
    assert entries("shaanxi") == []


@pytest.mark.usefixtures("f5_site")
def test_plan_and_apply(run: Run, device: BigIPDevice) -> None:
    assert run("plan")[:2] == (0, "nothing to do\n")
    device.add("web1", "192.0.2.11")
    del device.running.pools[device.pool]["/Common/web9:80"]
    code, out, _ = run("plan")
    assert code == 1  # web1 gets the public's requests
    assert "to do: 1 add, 1 remove" in out
    line = next(line for line in out.splitlines() if "web1" in line)
    assert line.split()[2:5] == ["remove", "web1", "192.0.2.11:80"]
    assert "must stay outside the balancer" in line
    code, _, err = run("status")
    assert code == 1
    assert "web1 (192.0.2.11:80) must stay outside the balancer → xjops lb plan" in err
    code, out, err = run("apply", "--yes")
    assert (code, err) == (0, "")
    assert "done: 1 add, 1 remove" in out
    device.restart()
    assert device.mapped == [(f"192.0.2.{10 + number}", 80) for number in range(2, 10)]
    assert run("apply")[0] == 0  # nothing to do: no question
    assert [entry["verb"] for entry in entries("shaanxi")] == ["lb apply"] * 2


@pytest.mark.usefixtures("f5_site")
def test_strangers_go_only_with_prune(run: Run, device: BigIPDevice) -> None:
    device.add("old", "10.9.9.9", 8080)
    code, out, err = run("plan", "--format", "json")
    data = json.loads(out)
    assert (code, err, data["exit_code"], data["summary"]) == (3, "", 3, "1 remove")
    assert data["changes"][0]["why"] == "foreign"
    code, _, err = run("apply", "--yes")
    assert code == 1
    assert "/Common/old:8080 (10.9.9.9:8080) is no machine of shaanxi → xjops lb apply --prune" in err
    assert ("10.9.9.9", 8080) in device.mapped
    code, out, _ = run("apply", "--yes", "--prune", "--format", "json")
    assert (code, json.loads(out)["after"]["summary"]) == (0, "nothing")
    assert ("10.9.9.9", 8080) not in device.mapped


@pytest.mark.usefixtures("f5_site")
def test_a_virtual_server_that_sends_elsewhere(run: Run, device: BigIPDevice) -> None:
    device.running.virtuals["/Common/xueji_https"]["pool"] = "/Common/old"
    for command in ("status", "plan"):
        code, _, err = run(command)
        assert code == 1
        assert "xueji_https sends to /Common/old, not to /Common/xueji_web → tmsh modify" in err


def test_a_site_without_settings_is_not_run(run: Run, f5_site: Site) -> None:
    file = f5_site.folder / "group_vars/all/site.yml"
    lines = file.read_text().splitlines(keepends=True)
    keys = ("  username: xjops\n", "  pool:", "  virtual_server:")
    file.write_text("".join(line for line in lines if not line.startswith(keys)))
    for words in (("status",), ("drain", "web2", "--yes"), ("plan",)):
        code, out, err = run(*words)
        assert (code, out) == (4, "")
        assert err == (
            "xjops: shaanxi has no settings for its F5's driver "
            "→ add username and pool to balancer in group_vars/all/site.yml\n"
        )


def test_an_f5_that_is_away(run: Run, f5_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f5_session, "CALL_SECONDS", 0.3)
    monkeypatch.setattr(f5_session.Session.call, "__kwdefaults__", {"seconds": 0.3})
    change(f5_site.folder, f"management_port: {f5_site.balancer.management_port}", "management_port: 1")
    code, _, err = run("status")
    assert code == 4
    assert "f5 127.0.0.1 could not be asked: BIG-IP 127.0.0.1:1 is not reachable" in err
    code, _, err = run("drain", "web2", "--yes")
    assert code == 1
    assert err.startswith("xjops: BIG-IP 127.0.0.1:1 is not reachable")


@pytest.mark.usefixtures("f5_site")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("drain",), 2, "Missing argument"),
        (("drain", "web2", "--wait", "-1"), 2, "-1"),
        (("drain", "wbe2", "--yes"), 2, "wbe2: no web server of shaanxi → one of web1"),
        (("drain", "web1", "--yes"), 1, "web1: no member on f5 127.0.0.1, which has web2"),
        (("enable", "db1", "--yes"), 2, "db1: no web server"),
    ],
)
def test_a_wrong_command_line(run: Run, words: tuple[str, ...], code: int, said: str) -> None:
    seen = run(*words)
    assert seen[0] == code
    assert said in seen[2]


# -- HAProxy


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> LocalFleet:
    made = LocalFleet()
    monkeypatch.setattr("xjops.adapters.ssh.Fleet", lambda _: made)
    return made


@pytest.fixture
def small_site(lab_site: Site, running: RunningHAProxy, fleet: LocalFleet) -> Site:
    """The lab with its hosts on loopback and two members, behind the running HAProxy."""
    for name in ("hosts.yml", "group_vars/all/site.yml"):
        file = lab_site.folder / name
        file.write_text(file.read_text().replace("10.58.7.", "127.0.0."))
    return change(
        lab_site.folder,
        "members: [web2, web3, web4, web5, web6, web7, web8, web9]",
        "members: [web2, web3]",
    )


def test_haproxy_from_status_to_enable(
    run: Run, small_site: Site, running: RunningHAProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xjops.balancer.reconcile.MEMBER_PORT", running.member_port)
    code, out, err = run("status")
    assert (code, err) == (0, "")
    assert "lb1, balancer of lab" in out
    assert rows(out)["web3"][1:] == ["enabled", "up", "0"]
    with asking("/slow", running.port):
        code, out, _ = run("status", "--format", "json")
        members = json.loads(out)["balancers"][0]["members"]
        (busy,) = [member["name"] for member in members if member["sessions"]]
        code, _, err = run("drain", busy, "--yes", "--wait", "0.5")
        assert code == 3
        assert f"{busy} (1) sessions" in err
        running.members.finish.set()
        assert run("drain", busy, "--yes", "--wait", "10")[0] == 0
    code, out, _ = run("status")
    assert (code, rows(out)[busy][1]) == (3, "draining")
    running.reload()
    assert rows(run("status")[1])[busy][1] == "draining"
    (rest,) = {"web2", "web3"} - {busy}
    code, _, err = run("drain", rest, "--yes")
    assert code == 1
    assert "lb1: nobody would serve" in err
    assert run("enable", busy, "--yes")[0] == 0
    assert run("status")[0] == 0


def test_haproxys_members_are_the_roles_work(
    run: Run, small_site: Site, running: RunningHAProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xjops.balancer.reconcile.MEMBER_PORT", running.member_port)
    assert run("apply")[0] == 0
    running.configure({"web1": "127.0.0.11", "web3": "127.0.0.13"})
    running.reload()
    code, out, err = run("plan")
    assert (code, err) == (1, "")
    assert "to do: 1 add, 1 remove" in out
    code, _, err = run("apply", "--yes")
    assert code == 4
    assert "lb1's members are written by the role load_balancer → xjops apply --limit balancers" in err
    assert entries("lab") == []


def test_a_balancer_host_that_is_away(run: Run, small_site: Site, fleet: LocalFleet) -> None:
    fleet.lost.add("lb1")
    code, out, err = run("status")
    assert (code, out) == (4, "")
    assert err.startswith("xjops: lb1 could not be asked: lb1 is not reachable by SSH")
    code, _, err = run("drain", "web2", "--yes")
    assert (code, err) == (1, "xjops: lb1 is not reachable by SSH: no answer → xjops lab status\n")
