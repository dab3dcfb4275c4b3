"""The HAProxy driver against a real HAProxy: members, states that outlive it, and every fault."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.xjops.running_haproxy import LocalFleet, RunningHAProxy, asking, local_site
from xjops.adapters import haproxy
from xjops.adapters.balancing import Health, Member, State, UnreachableBalancerError
from xjops.adapters.haproxy import HAProxy, HAProxyError, parse
from xjops.core.waiting import wait_for
from xjops.site import Site

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port
3 registry 1 web2 10.58.7.12 2 0 1 1 80
3 registry 2 web3 10.58.7.13 0 8 1 1 80
3 registry 3 web4 10.58.7.14 0 1 1 1 80
3 registry 4 web5 10.58.7.15 2 8 1 1 80
3 registry 5 web6 10.58.7.16 0 32 1 1 80
4 other 1 web2 10.9.9.9 2 0 1 1 80
"""
FIGURES = """# pxname,svname,qcur,scur,status,check_status,last_chk,new_column,
registry,web2,1,2,UP,L7OK,OK,x,
registry,web3,0,0,DOWN,* L4CON,Connection refused,x,
registry,web4,,0,MAINT,,,x,
registry,web5,0,3,DRAIN,L7OK,,x,
registry,web6,0,0,MAINT (resolution),,,x,
registry,BACKEND,0,0,UP,,,x,
other,web2,9,9,UP,,,x,
"""


@pytest.fixture
def fleet() -> LocalFleet:
    return LocalFleet()


@pytest.fixture
def driver(lab_site: Site, running: RunningHAProxy, fleet: LocalFleet) -> HAProxy:
    site = local_site(lab_site)
    return HAProxy(site, site.host("lb1"), fleet)  # type: ignore[arg-type]


def by_name(driver: HAProxy) -> dict[str, Member]:
    return {member.name: member for member in driver.members()}


def test_answers_are_read_by_the_names_of_their_columns() -> None:
    found = {m.name: (m.state, m.health, m.reason, m.sessions) for m in parse(STATES, FIGURES, {})}
    out = "not looked at while disabled"
    assert found == {
        "web2": (State.ENABLED, Health.UP, "", 3),
        "web3": (State.DRAINING, Health.DOWN, "L4CON Connection refused", 0),
        "web4": (State.DISABLED, Health.UNKNOWN, out, 0),
        "web5": (State.DRAINING, Health.UP, "", 3),
        "web6": (State.DISABLED, Health.UNKNOWN, out, 0),
    }


def test_a_member_is_the_host_of_its_address() -> None:
    found = parse(STATES, FIGURES, {"10.58.7.12": "web9"})
    assert (found[0].id, found[0].name) == ("web2", "web9")


@pytest.mark.parametrize(
    ("states", "figures"),
    [
        ("", ""),
        ("Can't find backend.\n", FIGURES),
        ("2\n# a b\n", FIGURES),
        (STATES, "Unknown command\n"),
        (STATES, FIGURES.replace("registry,web4", "registry,web44")),
        (STATES.replace(" 80\n", " http\n"), FIGURES),
    ],
)
def test_an_answer_that_is_none_is_one_line(
    driver: HAProxy, monkeypatch: pytest.MonkeyPatch, states: str, figures: str
) -> None:
    monkeypatch.setattr(driver, "_call", lambda *_: [states, figures])
    with pytest.raises(HAProxyError, match="lb1: HAProxy's answer can't be read") as caught:
        driver.members()
    assert "\n" not in str(caught.value)


def test_members_and_their_health(driver: HAProxy, running: RunningHAProxy) -> None:
    found = by_name(driver)
    assert [(m.id, m.address, m.state, m.health) for m in found.values()] == [
        ("web2", "127.0.0.12", State.ENABLED, Health.UP),
        ("web3", "127.0.0.13", State.ENABLED, Health.UP),
    ]
    running.members.stop("127.0.0.13")
    running.wait_for("registry web3 DOWN")
    three = by_name(driver)["web3"]
    assert (three.state, three.health) == (State.ENABLED, Health.DOWN)
    assert three.reason.startswith("L4CON Connection refused")


def test_a_draining_member_finishes_and_gets_nothing_new(driver: HAProxy, running: RunningHAProxy) -> None:
    with asking("/slow", running.port) as slow:
        (busy,) = [member for member in driver.members() if member.sessions]
        driver.set_state([busy.id], State.DRAINING)
        seen = by_name(driver)[busy.name]
        assert (seen.state, seen.health, seen.sessions) == (State.DRAINING, Health.UP, 1)
        running.members.asked.clear()
        for _ in range(6):
            with asking("/", running.port) as client:
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
        assert busy.address not in running.members.asked
        running.members.finish.set()
        assert slow.recv(1000).startswith(b"HTTP/1.1 200")
    wait_for(lambda: by_name(driver)[busy.name].sessions == 0 or None, what="the end", seconds=5, mend="")


def test_states_outlive_reload_and_crash(driver: HAProxy, running: RunningHAProxy) -> None:
    driver.set_state(["web2"], State.DRAINING)
    driver.set_state(["web3"], State.DISABLED)
    for again in (running.reload, lambda: (running.kill(), running.start())):
        again()
        found = by_name(driver)
        assert (found["web2"].state, found["web3"].state) == (State.DRAINING, State.DISABLED)
    driver.set_state(["web2", "web3"], State.ENABLED)
    running.kill()
    running.start()
    assert {member.state for member in driver.members()} == {State.ENABLED}


def test_a_new_port_of_a_drained_member_holds(driver: HAProxy, running: RunningHAProxy) -> None:
    """HAProxy itself would take the port out of its states' file."""
    driver.set_state(["web2"], State.DRAINING)
    running.configure({"web2": "127.0.0.12", "web3": "127.0.0.13"}, port=8081)
    running.reload()
    two = by_name(driver)["web2"]
    assert (two.port, two.state) == (8081, State.DRAINING)


def test_a_member_that_is_gone_is_forgotten(driver: HAProxy, running: RunningHAProxy) -> None:
    driver.set_state(["web2"], State.DRAINING)
    running.configure({"web3": "127.0.0.13"})
    running.reload()
    running.configure({"web2": "127.0.0.12", "web3": "127.0.0.13"})
    running.reload()
    assert by_name(driver)["web2"].state is State.ENABLED


def test_a_command_that_haproxy_refuses(driver: HAProxy) -> None:
    with pytest.raises(HAProxyError, match="refused draining: web7: No such server"):
        driver.set_state(["web7"], State.DRAINING)


def test_without_the_roles_program_nothing_is_changed(driver: HAProxy, running: RunningHAProxy) -> None:
    running.keep.unlink()
    with pytest.raises(HAProxyError, match="a reload of HAProxy would forget this → xjops apply --limit"):
        driver.set_state(["web2"], State.DRAINING)
    assert by_name(driver)["web2"].state is State.ENABLED


def test_a_state_that_could_not_be_written_down_is_said(driver: HAProxy, running: RunningHAProxy) -> None:
    (running.folder / "states").mkdir()
    with pytest.raises(HAProxyError, match=r"done, but not written down for the next reload: .*states"):
        driver.set_state(["web2"], State.DRAINING)


def test_the_states_file_survives_a_haproxy_that_does_not_answer(
    driver: HAProxy, running: RunningHAProxy
) -> None:

    driver.set_state(["web2"], State.DRAINING)
    before = (running.folder / "states").read_text()
    running.kill()
    done = subprocess.run([running.keep], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("haproxy-keep-states: ")
    assert (running.folder / "states").read_text() == before


def test_haproxy_that_does_not_run(driver: HAProxy, running: RunningHAProxy) -> None:
    running.kill()
    with pytest.raises(UnreachableBalancerError, match=r"HAProxy on lb1 can't be asked: .*admin\.sock"):
        driver.members()


def test_haproxy_that_hangs(
    driver: HAProxy, running: RunningHAProxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        monkeypatch.setattr(haproxy, "SOCKET", str(tmp_path / "deaf.sock"))
        monkeypatch.setattr(haproxy, "ANSWER_SECONDS", 0.3)
        with pytest.raises(UnreachableBalancerError, match="timed out"):
            driver.members()


def test_a_host_that_is_away(driver: HAProxy, fleet: LocalFleet) -> None:
    fleet.lost.add("lb1")
    with pytest.raises(UnreachableBalancerError, match="lb1 is not reachable by SSH"):
        driver.members()


def test_a_host_without_the_means(driver: HAProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = "echo 'sudo: a password is required' >&2; exit 1"
    monkeypatch.setattr(haproxy.remote_program, "command", lambda *_: refusal)
    with pytest.raises(UnreachableBalancerError, match=r"a password is required → python3 3\.8\+ and sudo"):
        driver.members()


def test_its_members_are_the_roles_work(driver: HAProxy) -> None:
    with pytest.raises(HAProxyError, match="written by the role load_balancer"):
        driver.reshape([("web4", "10.58.7.14", 80)], [])


def test_one_round_trip_for_all(driver: HAProxy, fleet: LocalFleet) -> None:
    driver.set_state(["web2", "web3"], State.DRAINING)
    assert fleet.calls == 1
