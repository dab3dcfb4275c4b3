"""SSH host keys come from vCenter, and only for the machine that tells them."""

from __future__ import annotations

import base64
import stat
import subprocess
import threading
import time
from pathlib import Path

import pytest
from pyVmomi import vim

from tests.xjops.vcsim import add_foreign, reconfigure
from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.ssh import known_hosts
from xjops.adapters.vcenter_model import HOST_KEY
from xjops.provision.host_keys import HostKeyError, Learned, parse, remember
from xjops.provision.model import Deadlines
from xjops.site import Site


def key(number: int, kind: str = "ssh-ed25519") -> str:
    """A well-formed public key that belongs to nobody."""
    name = kind.encode()
    body = len(name).to_bytes(4) + name + (32).to_bytes(4) + bytes([number]) * 32
    return f"{kind} {base64.b64encode(body).decode()}"


@pytest.mark.parametrize("comment", ["", " root@web1", " a comment of words"])
def test_a_key_is_taken_without_its_comment(comment: str) -> None:
    assert parse(f"{key(1)}{comment}\n") == key(1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "ssh-dss AAAAB3NzaC1kc3M=",
        "ssh-ed25519 !!!!",
        "ssh-ed25519 AAAA",
        "ssh-ed25519 AAA",
        f"ssh-rsa {key(1).split()[1]}",  # says one kind, is another
        f"{key(1)}\nevil.example {key(2)}",  # two lines would be two hosts
        f"{key(1)} comment\n10.58.7.12 {key(2)}",
        f"@cert-authority * {key(1)}",
        f"10.58.7.12 {key(1)}",
    ],
)
def test_what_is_no_single_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="set "):
        parse(text)


def test_keys_are_remembered_under_address_and_name(lab_site: Site) -> None:
    web1, web2 = lab_site.host("web1"), lab_site.host("web2")
    assert remember(lab_site, {web1: key(1), web2: key(2)}) == Learned(added=("web1", "web2"))
    file = known_hosts(lab_site)
    assert file.read_text() == f"10.58.7.11,web1 {key(1)}\n10.58.7.12,web2 {key(2)}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    found = subprocess.run(
        ["ssh-keygen", "-F", "10.58.7.12", "-f", str(file)], capture_output=True, check=True
    )
    assert key(2).encode() in found.stdout


def test_other_lines_stay_and_a_new_key_replaces_the_old(lab_site: Site) -> None:
    file = known_hosts(lab_site)
    file.parent.mkdir(parents=True)
    file.write_text(f"# by hand\n10.58.7.31,db1 {key(9)}\n10.58.7.11,web1 {key(1)}\n")
    web1 = lab_site.host("web1")
    assert remember(lab_site, {web1: key(1)}) == Learned(kept=("web1",))
    assert remember(lab_site, {web1: key(3)}) == Learned(replaced=("web1",))
    assert file.read_text() == f"# by hand\n10.58.7.31,db1 {key(9)}\n10.58.7.11,web1 {key(3)}\n"


def test_a_port_of_its_own(lab_site: Site) -> None:
    host = lab_site.host("web1").model_copy(update={"port": 2222})
    remember(lab_site, {host: key(1)})
    assert known_hosts(lab_site).read_text().startswith("[10.58.7.11]:2222,[web1]:2222 ssh-ed25519 ")


def test_nothing_to_remember_makes_no_file(lab_site: Site) -> None:
    assert remember(lab_site, {}) == Learned()
    assert not known_hosts(lab_site).exists()


def test_many_writers_at_once_lose_nothing(lab_site: Site) -> None:
    hosts = lab_site.virtual_machines
    threads = [
        threading.Thread(target=remember, args=(lab_site, {host: key(number)}))
        for number, host in enumerate(hosts)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(known_hosts(lab_site).read_text().splitlines()) == len(hosts)


def publish(session: vcenter.VCenter, name: str, text: str) -> None:
    """As VMware Tools does when the guest tells its key."""
    reconfigure(session, name, extraConfig=[vim.option.OptionValue(key=HOST_KEY, value=text)])


@pytest.mark.vcsim
def test_keys_are_learned_from_vcenter(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        names = ["web1", "web2"]
        provision.apply(provision.plan(vcenter_site, names, session=session), session=session)
        publish(session, "web1", key(1))
        publish(session, "web2", f"{key(2)} root@web2")
        learned = provision.learn_host_keys(vcenter_site, names, seconds=5, session=session)
        assert learned == Learned(added=("web1", "web2"))
        again = provision.learn_host_keys(vcenter_site, names, seconds=5, session=session)
        assert again == Learned(kept=("web1", "web2"))
    assert f"10.58.7.12,web2 {key(2)}\n" in known_hosts(vcenter_site).read_text()


@pytest.mark.vcsim
def test_a_key_that_comes_late_is_waited_for(vcenter_site: Site) -> None:
    said = []
    with vcenter.connect(vcenter_site) as session:
        provision.apply(provision.plan(vcenter_site, ["web1"], session=session), session=session)

        def boot() -> None:
            time.sleep(1)
            with vcenter.connect(vcenter_site) as guest:
                publish(guest, "web1", key(1))

        thread = threading.Thread(target=boot)
        thread.start()
        learned = provision.learn_host_keys(
            vcenter_site, ["web1"], seconds=30, session=session, progress=lambda *words: said.append(words)
        )
        thread.join()
    assert learned.added == ("web1",)
    assert said == [("web1", "host-key", "ssh-ed25519")]


@pytest.mark.vcsim
def test_keys_that_never_come_are_named_and_the_others_kept(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        plan = provision.plan(vcenter_site, ["web1", "web2", "web3"], session=session)
        provision.apply(plan, session=session, deadlines=Deadlines())
        publish(session, "web1", key(1))
        publish(session, "web2", f"{key(2)}\n10.58.7.31 {key(3)}")
        started = time.monotonic()
        with pytest.raises(HostKeyError) as caught:
            provision.learn_host_keys(
                vcenter_site, ["web1", "web2", "web3", "web4"], seconds=1, session=session
            )
        assert time.monotonic() - started < 15
    text = str(caught.value)
    assert "web2 (set something that is no public key)" in text
    assert "web3 (set none)" in text
    assert "web4 (is not there)" in text
    assert known_hosts(vcenter_site).read_text() == f"10.58.7.11,web1 {key(1)}\n"


@pytest.mark.vcsim
def test_a_foreign_machine_is_not_believed(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web1")
        publish(session, "web1", key(6))
        with pytest.raises(HostKeyError, match="web1"):
            provision.learn_host_keys(vcenter_site, ["web1"], seconds=0.1, session=session)
    assert not known_hosts(vcenter_site).exists()


def test_the_unit_of_the_guide_sets_the_key_that_is_read() -> None:
    guide = Path(__file__).parents[3] / "docs" / "guide" / "vcenter.md"
    assert f"info-set {HOST_KEY}" in guide.read_text()
