"""The session with a BIG-IP: tokens that end, busy and hanging devices, lost answers, certificates."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from tests.xjops.f5site import Authority, Endpoint, change
from tests.xjops.icontrol import BigIPDevice, serving
from xjops.adapters import f5, f5_session
from xjops.adapters.balancing import BalancerError, State, UnreachableBalancerError
from xjops.adapters.f5 import BigIP
from xjops.adapters.f5_session import (
    BusyError,
    F5Error,
    LostAnswerError,
    Session,
    UntrustedBalancerError,
    WrongBalancerPasswordError,
)
from xjops.core.errors import ConfigurationError, NotRunError
from xjops.site import Site

WEB2, WEB3 = "/Common/web2:80", "/Common/web3:80"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short deadlines: a fault is met in seconds, not in minutes."""
    monkeypatch.setattr(f5_session, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(f5_session, "REQUEST_SECONDS", 1.0)


def test_one_token_for_all_calls_and_given_back(f5_site: Site, device: BigIPDevice) -> None:
    with Session(f5_site) as session:
        for _ in range(3):
            BigIP(f5_site, session).members()
        assert len(device.tokens) == 1
    assert (device.logins, device.tokens) == (1, {})


def test_a_token_is_renewed_before_it_ends(f5_site: Site, device: BigIPDevice) -> None:
    device.token_seconds = 1.0
    with Session(f5_site) as session:
        driver = BigIP(f5_site, session)
        driver.members()
        time.sleep(0.9)  # 0.85 of its life is over: renewed although the device would take it still
        driver.members()
    assert device.logins == 2


@pytest.mark.parametrize("when", ["/members/stats", "/tm/transaction", "/tm/sys/config", "~web3"])
def test_a_token_that_ends_in_the_middle(f5_site: Site, device: BigIPDevice, when: str) -> None:
    taken: list[str] = []

    def expire(method: str, path: str) -> bool:
        if when in path and not taken:
            taken.append(path)
            device.tokens.clear()
        return False

    device.busy = expire
    with Session(f5_site) as session:
        driver = BigIP(f5_site, session)
        driver.members()
        driver.set_state([WEB2, WEB3], State.DRAINING)
    assert taken
    assert device.logins == 2
    assert {device.member(name).session for name in ("web2", "web3")} == {"user-disabled"}


def test_a_wrong_password_is_said_once(f5_site: Site, device: BigIPDevice, tmp_path: Path) -> None:
    vault = tmp_path / "inventories/shaanxi/group_vars/all/vault.yml"
    vault.write_text("vault_balancer_password: another\n")
    with Session(Site.load("shaanxi")) as session, pytest.raises(WrongBalancerPasswordError) as caught:
        session.get("/tm/ltm/node")
    assert "vault_balancer_password" in str(caught.value)
    assert "another" not in str(caught.value)
    assert len(device.requests) == 1  # an account is locked after some wrong ones


def test_no_password_in_the_vault(f5_site: Site, tmp_path: Path) -> None:
    (tmp_path / "inventories/shaanxi/group_vars/all/vault.yml").write_text("vault_x: y\n")
    with Session(Site.load("shaanxi")) as session, pytest.raises(ConfigurationError, match="missing value"):
        session.get("/tm/ltm/node")


def test_too_many_tokens(f5_site: Site, device: BigIPDevice) -> None:
    device.token_limit = 0
    with Session(f5_site) as session, pytest.raises(F5Error, match="too many tokens open"):
        session.get("/tm/ltm/node")


def test_an_account_without_the_role(f5_site: Site, device: BigIPDevice) -> None:
    device.role = "operator"
    with Session(f5_site) as session:
        driver = BigIP(f5_site, session)
        driver.set_state([WEB2], State.DRAINING)
        with pytest.raises(F5Error, match="give xjops the role Manager"):
            driver.reshape([("web1", "192.0.2.11", 80)], [])
    assert device.logins == 1  # a refusal for want of rights is no expired token


# -- faults


def test_busy_is_waited_for(f5_site: Site, device: BigIPDevice) -> None:
    times = iter([True] * 6)
    device.busy = lambda method, path: "/members" in path and next(times, False)
    with Session(f5_site) as session:
        BigIP(f5_site, session).set_state([WEB2], State.DRAINING)
    assert device.member("web2").session == "user-disabled"


def test_busy_until_the_deadline(f5_site: Site, device: BigIPDevice) -> None:
    device.busy = lambda method, path: "/members" in path
    with Session(f5_site) as session, pytest.raises(BusyError, match="active asynchronous task") as caught:
        session.call(
            f5_session.Request("GET", "/tm/ltm/pool/~Common~xueji_web/members", again=True), seconds=0.5
        )
    assert caught.value.code == 503


@pytest.mark.parametrize("again", [True, False])
def test_a_hang_ends_at_the_deadline(f5_site: Site, device: BigIPDevice, again: bool) -> None:
    path = "/tm/ltm/pool/~Common~xueji_web/members"
    device.slow = lambda method, path: 30.0 if "/members" in path else 0.0
    begin = time.monotonic()
    with Session(f5_site) as session, pytest.raises(UnreachableBalancerError) as caught:
        request = f5_session.Request("GET" if again else "POST", path, {} if not again else None, again=again)
        session.call(request, seconds=2.0)
    assert time.monotonic() - begin < 4
    assert isinstance(caught.value, LostAnswerError) == (not again)


def test_a_lost_answer_of_a_change_that_may_be_made_again(f5_site: Site, device: BigIPDevice) -> None:
    lost = iter([True])
    device.lose = lambda method, path: method == "PATCH" and next(lost, False)
    with Session(f5_site) as session:
        BigIP(f5_site, session).set_state([WEB2], State.DRAINING)
    assert [method for method, _ in device.requests].count("PATCH") == 2
    assert device.member("web2").session == "user-disabled"


def test_a_lost_answer_of_a_creation_is_not_sent_again(f5_site: Site, device: BigIPDevice) -> None:
    device.lose = lambda method, path: method == "POST" and path.endswith("/members")
    with Session(f5_site) as session, pytest.raises(LostAnswerError, match="may have been done or not"):
        BigIP(f5_site, session).reshape([("web1", "192.0.2.11", 80)], [])
    assert [method for method, path in device.requests if path.endswith("/members")] == ["POST"]


def test_a_lost_answer_of_the_commit_is_asked_for(f5_site: Site, device: BigIPDevice) -> None:
    device.lose = lambda method, path: method == "PATCH" and "/transaction/" in path
    with Session(f5_site) as session:
        BigIP(f5_site, session).set_state([WEB2, WEB3], State.DRAINING)
    assert {device.member(name).session for name in ("web2", "web3")} == {"user-disabled"}
    assert device.saves == 1


def test_done_but_not_saved_is_said(
    f5_site: Site, device: BigIPDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f5, "SAVE_SECONDS", 0.5)
    device.busy = lambda method, path: path.endswith("/sys/config")
    with Session(f5_site) as session, pytest.raises(F5Error, match="not saved, so a reboot forgets it"):
        BigIP(f5_site, session).set_state([WEB2], State.DRAINING)
    assert device.member("web2").session == "user-disabled"


def test_a_restart_of_the_device_is_lived_through(f5_site: Site, device: BigIPDevice) -> None:
    with Session(f5_site) as session:
        driver = BigIP(f5_site, session)
        driver.set_state([WEB2], State.DRAINING)
        device.restart(seconds=1.0)
        found = {member.name: member.state for member in driver.members()}
    assert found["web2"] is State.DRAINING
    assert device.logins == 2


def test_a_device_that_goes_and_comes_back(
    f5_site: Site, device: BigIPDevice, authority: Authority, tmp_path: Path
) -> None:
    with serving(device, authority.certificate, authority.key) as port:
        pass  # a port that nobody listens on any more
    site = change(
        tmp_path / "inventories/shaanxi",
        f"management_port: {f5_site.balancer.management_port}",
        f"management_port: {port}",
    )
    back = threading.Event()

    def come_back() -> None:
        time.sleep(0.5)
        with serving(device, authority.certificate, authority.key, port):
            back.wait(20)

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        with Session(site) as session:
            assert len(BigIP(site, session).members()) == 8
    finally:
        back.set()
        thread.join(20)


def test_nobody_there(f5_site: Site, tmp_path: Path, device: BigIPDevice, authority: Authority) -> None:
    with serving(device, authority.certificate, authority.key) as port:
        pass
    folder = tmp_path / "inventories/shaanxi"
    old = f"management_port: {f5_site.balancer.management_port}"
    site = change(folder, old, f"management_port: {port}")
    request = f5_session.Request("GET", "/tm/ltm/node", again=True)
    with Session(site) as session, pytest.raises(UnreachableBalancerError, match="is not reachable"):
        session.call(request, seconds=0.5)


# -- trust


def test_another_authority_is_refused(f5_site: Site, tmp_path: Path) -> None:
    from xjops.lab import certificates

    certificates.ensure_authority(tmp_path / "other.pem", tmp_path / "other.key", "other")
    shutil.copy(tmp_path / "other.pem", f5_site.folder / "files" / "f5-ca.pem")
    with Session(f5_site) as session, pytest.raises(UntrustedBalancerError, match="not vouched for by files"):
        session.get("/tm/ltm/node")


def test_the_systems_authorities_do_not_know_it(f5_site: Site, device: BigIPDevice) -> None:
    site = change(f5_site.folder, "  management_ca_file: files/f5-ca.pem\n", "")
    with Session(site) as session, pytest.raises(UntrustedBalancerError, match="the system's authorities"):
        session.get("/tm/ltm/node")
    assert device.requests == []  # the password never left


def test_a_pinned_certificate_whatever_its_name(f5_site: Site, device: BigIPDevice, tmp_path: Path) -> None:
    from xjops.lab import certificates

    signer, _ = certificates.ensure_authority(tmp_path / "self.pem", tmp_path / "self.key", "self")
    pem, key = tmp_path / "own.pem", tmp_path / "own.key"
    certificates.ensure_certificate(signer, pem, key, ["localhost.localdomain"])
    with serving(device, pem, key) as port:
        folder = f5_site.folder
        (folder / "files" / "f5.pem").write_text(_first(pem))
        change(folder, f"management_port: {f5_site.balancer.management_port}", f"management_port: {port}")
        site = change(
            folder, "management_ca_file: files/f5-ca.pem", "management_certificate_file: files/f5.pem"
        )
        with Session(site) as session:
            assert len(BigIP(site, session).members()) == 8
        # another certificate of the same authority is another machine
        certificates.ensure_certificate(
            signer, tmp_path / "b.pem", tmp_path / "b.key", ["localhost.localdomain"]
        )
        (folder / "files" / "f5.pem").write_text(_first(tmp_path / "b.pem"))
        with Session(site) as session, pytest.raises(UntrustedBalancerError):
            session.get("/tm/ltm/node")


def _first(pem: Path) -> str:
    end = "-----END CERTIFICATE-----\n"
    text = pem.read_text()
    return text[text.index("-----BEGIN CERTIFICATE") : text.index(end) + len(end)]


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_holds_none(f5_site: Site, content: str | None) -> None:
    file = f5_site.folder / "files" / "f5-ca.pem"
    file.unlink()
    if content:
        file.write_text(content)
    with pytest.raises(UntrustedBalancerError, match=r"At 'balancer\.management_ca_file'"):
        Session(f5_site)


def test_no_settings_is_not_run(f5_site: Site) -> None:
    folder = f5_site.folder
    for line in ("  username: xjops\n", "  pool: xueji_web\n"):
        text = (folder / "group_vars/all/site.yml").read_text()
        (folder / "group_vars/all/site.yml").write_text(text.replace(line, ""))
    site = change(folder, "  virtual_server: xueji_https\n", "")
    with pytest.raises(NotRunError, match="no settings for its F5's driver"):
        Session(site)


def test_what_is_no_bigip(f5_site: Site, endpoint: Endpoint) -> None:
    endpoint.device.answer = lambda *_: "hello"  # type: ignore[assignment,method-assign,return-value]
    with (
        Session(f5_site) as session,
        pytest.raises(BalancerError, match="with no JSON object: is it a BIG-IP"),
    ):
        session.get("/tm/ltm/node")
