"""The F5 driver against a stateful iControl REST endpoint: what it does, and every fault that it meets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.xjops.f5site import change
from tests.xjops.icontrol import BigIPDevice
from xjops.adapters import f5, f5_session
from xjops.adapters.balancing import Health, State
from xjops.adapters.f5 import BigIP, path_of
from xjops.adapters.f5_session import (
    F5Error,
    LostAnswerError,
    Session,
)
from xjops.site import Site

WEB2, WEB3 = "/Common/web2:80", "/Common/web3:80"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short deadlines: a fault is met in seconds, not in minutes."""
    monkeypatch.setattr(f5_session, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(f5_session, "REQUEST_SECONDS", 1.0)


def test_members_as_the_device_has_them(f5_site: Site, device: BigIPDevice) -> None:
    device.member("web3").session = "user-disabled"
    device.member("web4").forced = True
    device.down[device.member("web5").full] = "connection refused"
    device.connections = {WEB2: 7, WEB3: 2}
    with Session(f5_site) as session:
        found = {member.name: member for member in BigIP(f5_site, session).members()}
    assert list(found) == [f"web{number}" for number in range(2, 10)]
    two, three, four, five = (found[f"web{number}"] for number in range(2, 6))
    assert (two.state, two.health, two.sessions, two.reason) == (State.ENABLED, Health.UP, 7, "")
    assert (two.id, two.address, two.port) == (WEB2, "192.0.2.12", 80)
    assert (three.state, three.health, three.sessions) == (State.DRAINING, Health.UP, 2)
    assert (four.state, four.health) == (State.DISABLED, Health.UNKNOWN)
    assert (five.state, five.health) == (State.ENABLED, Health.DOWN)
    assert "connection refused" in five.reason


@pytest.mark.parametrize(
    ("state", "session", "forced"),
    [
        (State.DRAINING, "user-disabled", False),
        (State.DISABLED, "user-disabled", True),
        (State.ENABLED, "user-enabled", False),
    ],
)
@pytest.mark.parametrize("ids", [[WEB2], [WEB2, WEB3]])
def test_states_are_set_and_saved(
    f5_site: Site, device: BigIPDevice, state: State, session: str, forced: bool, ids: list[str]
) -> None:
    for name in ("web2", "web3"):
        device.member(name).session, device.member(name).forced = "user-disabled", not forced
    with Session(f5_site) as opened:
        BigIP(f5_site, opened).set_state(ids, state)
    device.restart()  # what was not saved would be gone
    for full in ids:
        member = device.running.pools[device.pool][full]
        assert (member.session, member.forced) == (session, forced)
    together = ("POST", "/mgmt/tm/transaction") in device.requests
    assert together == (len(ids) > 1)


def test_a_change_of_several_is_done_as_a_whole_or_not_at_all(f5_site: Site, device: BigIPDevice) -> None:
    with Session(f5_site) as session, pytest.raises(F5Error) as caught:
        BigIP(f5_site, session).set_state([WEB2, "/Common/web77:80"], State.DRAINING)
    assert "transaction failed" in str(caught.value)
    assert "/Common/web77 80) was not found" in str(caught.value)
    assert device.member("web2").session == "user-enabled"
    assert device.saves == 0


@pytest.mark.parametrize("seconds", [0.0, 0.6])
def test_a_transaction_that_is_done_later_is_waited_for(
    f5_site: Site, device: BigIPDevice, seconds: float
) -> None:
    device.async_commit = seconds
    with Session(f5_site) as session:
        BigIP(f5_site, session).set_state([WEB2, WEB3], State.DRAINING)
    assert {device.member(name).session for name in ("web2", "web3")} == {"user-disabled"}


def test_a_transaction_that_fails_later_says_why(f5_site: Site, device: BigIPDevice) -> None:
    device.async_commit = 0.3
    with Session(f5_site) as session, pytest.raises(F5Error, match="nothing was done: 01020036:3"):
        BigIP(f5_site, session).set_state([WEB2, "/Common/web77:80"], State.DRAINING)


def test_a_transaction_that_never_ends(
    f5_site: Site, device: BigIPDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f5, "COMMIT_SECONDS", 0.8)
    device.async_commit = 3600
    with Session(f5_site) as session, pytest.raises(LostAnswerError, match=r"did not end within 0\.8 s"):
        BigIP(f5_site, session).set_state([WEB2, WEB3], State.DRAINING)


def test_a_transaction_that_the_device_drops_is_begun_once_more(f5_site: Site, device: BigIPDevice) -> None:
    device.drop_transactions = 1
    with Session(f5_site) as session:
        BigIP(f5_site, session).set_state([WEB2, WEB3], State.DRAINING)
        assert device.member("web3").session == "user-disabled"
        device.drop_transactions = 2
        with pytest.raises(F5Error, match="drops every transaction"):
            BigIP(f5_site, session).set_state([WEB2, WEB3], State.ENABLED)


def test_members_are_made_and_removed(f5_site: Site, device: BigIPDevice) -> None:
    stray = device.add("web1", "192.0.2.11")
    del device.running.pools[device.pool][WEB2]  # its node stays, under another name
    del device.running.pools[device.pool][WEB3]
    device.running.nodes["/Common/old-name"] = device.running.nodes.pop("/Common/web2")
    del device.running.nodes["/Common/web3"]
    with Session(f5_site) as session:
        driver = BigIP(f5_site, session)
        (web1,) = [member for member in driver.members() if member.id == stray.full]
        driver.reshape([("web2", "192.0.2.12", 80), ("web3", "192.0.2.13", 80)], [web1])
    device.restart()
    assert device.mapped == [(f"192.0.2.{10 + number}", 80) for number in range(2, 10)]
    assert "/Common/old-name:80" in device.running.pools[device.pool]
    assert WEB3 in device.running.pools[device.pool]


def test_a_member_that_is_there_already_is_a_conflict(f5_site: Site, device: BigIPDevice) -> None:
    with Session(f5_site) as session, pytest.raises(F5Error) as caught:
        BigIP(f5_site, session).reshape([("web2", "192.0.2.12", 80)], [])
    assert caught.value.code == 409
    assert "already exists in partition Common" in str(caught.value)
    assert str(caught.value).endswith("→ xjops lb plan, then again")


def test_the_virtual_server(f5_site: Site, device: BigIPDevice, tmp_path: Path) -> None:
    def problems(site: Site) -> list[str]:
        with Session(site) as session:
            return [what for what, _ in BigIP(site, session).problems()]

    assert problems(f5_site) == []
    device.running.virtuals["/Common/xueji_https"] = {
        "pool": "/Common/other",
        "disabled": True,
        "destination": "/Common/198.51.100.7%2:443",
    }
    site = f5_site.model_copy(
        update={"balancer": f5_site.balancer.model_copy(update={"address": "203.0.113.10"})}
    )
    assert problems(site) == [
        "virtual server xueji_https sends to /Common/other, not to /Common/xueji_web",
        "virtual server xueji_https is disabled",
        "virtual server xueji_https listens on 198.51.100.7, balancer.address is 203.0.113.10",
    ]
    device.running.virtuals.clear()
    assert problems(f5_site) == ["no virtual server xueji_https in Common"]


@pytest.mark.parametrize(
    ("partition", "name", "path"),
    [
        ("Common", "pool", "/x/~Common~pool"),
        ("Common", "192.0.2.12%1:80", "/x/~Common~192.0.2.12%251%3A80"),
        ("Shaanxi", "folder/pool a", "/x/~Shaanxi~folder~pool%20a"),
    ],
)
def test_full_names_in_addresses(partition: str, name: str, path: str) -> None:
    assert path_of("/x", partition, name) == path


def test_a_pool_elsewhere_with_a_route_domain(f5_site: Site, device: BigIPDevice, tmp_path: Path) -> None:
    pool = device.running.pools.pop(device.pool)
    device.pool = "/Shaanxi/app/pool a"
    device.running.pools[device.pool] = {}
    member = device.add("10.0.0.9%3", "192.0.2.12%3")
    folder = tmp_path / "inventories" / "shaanxi"
    change(folder, "partition: Common", "partition: Shaanxi")
    site = change(folder, "pool: xueji_web", "pool: app/pool a")
    with Session(site) as session:
        driver = BigIP(site, session)
        (seen,) = driver.members()
        assert (seen.name, seen.id, seen.address) == ("web2", member.full, "192.0.2.12")
        driver.set_state([seen.id], State.DRAINING)
    assert member.full in device.running.pools[device.pool]
    assert device.running.pools[device.pool][member.full].session == "user-disabled"
    assert pool[WEB2].session == "user-enabled"
