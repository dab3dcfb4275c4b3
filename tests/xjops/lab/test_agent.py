"""The agent against a real vSphere API (VMware's simulator); the containers are a dictionary here."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from xjops import provision
from xjops.adapters import vcenter
from xjops.core.errors import XjopsError
from xjops.lab import agent, daemon, hosts, keys
from xjops.lab.credentials import ssh_folder
from xjops.lab.machines import Known, Memory
from xjops.lab.podman import Container
from xjops.site import Site


@dataclass
class Containers:
    """What podman would have: name → container; `broken` names never start."""

    there: dict[str, Container] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    def of(self, site: str) -> dict[str, Container]:
        return {item.labels["xjops.host"]: item for item in self.there.values()}

    def start(self, name: str, words: Sequence[str]) -> str:
        if name in self.broken:
            raise XjopsError(f"{name} is broken")
        pairs = [word.split("=", 1) for before, word in itertools.pairwise(words) if before == "--label"]
        old = self.there.get(name)
        labels = dict(pairs) if pairs else dict(old.labels) if old else {}
        self.there[name] = Container(name, "running", labels)
        return "created"

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            self.there.pop(name, None)

    def stop(self, names: Sequence[str]) -> None:
        for name in names:
            self.there[name] = Container(name, "exited", self.there[name].labels)

    def running(self) -> set[str]:
        return {item.labels["xjops.host"] for item in self.there.values() if item.running}


@pytest.fixture
def containers(monkeypatch: pytest.MonkeyPatch) -> Containers:
    fake = Containers()
    monkeypatch.setattr(hosts, "lab_containers", fake.of)
    for name in ("start", "remove", "stop"):
        monkeypatch.setattr(agent, name, getattr(fake, name))
    monkeypatch.setattr(agent, "wait_ssh", lambda name, address, stopped: None)
    return fake


@pytest.fixture
def site(vcenter_site: Site) -> Site:
    keys.ensure_key(ssh_folder(vcenter_site.name) / "id_ed25519", "test")
    return vcenter_site


def look(site: Site, log: list[str], mark: str | None = None) -> None:
    with vcenter.connect(site) as session:
        agent.Agent(site, log.append).look(session, mark or agent.simulator_mark(session))


def power(site: Site, name: str, on: bool) -> None:
    with vcenter.connect(site) as session:
        machine, _ = agent.machines(session)[name]
        machine.PowerOn() if on else machine.PowerOff()


@pytest.mark.vcsim
def test_a_machine_lives_and_dies_with_its_host(site: Site, containers: Containers) -> None:
    log: list[str] = []
    provision.apply(provision.plan(site, ["web2", "web3"]))
    look(site, log)
    assert containers.running() == {"web2", "web3"}
    assert containers.of("")["web2"].labels["xjops.address"] == "10.58.7.12"
    learned = provision.learn_host_keys(site, ["web2", "web3"], seconds=5)
    assert set(learned.added) == {"web2", "web3"}
    lines = (ssh_folder(site.name) / "known_hosts").read_text()
    assert hosts.host_key(site.name, "web2").split()[1] in lines

    power(site, "web2", on=False)
    look(site, log)
    assert containers.running() == {"web3"}
    power(site, "web2", on=True)
    look(site, log)
    assert containers.running() == {"web2", "web3"}

    with vcenter.connect(site) as session:
        machine, _ = agent.machines(session)["web3"]
        machine.PowerOff()
        machine.Destroy()
    look(site, log)
    assert set(containers.of("")) == {"web2"}
    before = len(log)
    look(site, log)
    assert len(log) == before, "nothing to do says nothing"


@pytest.mark.vcsim
def test_a_restarted_simulator_leaves_hosts_alone(site: Site, containers: Containers) -> None:
    log: list[str] = []
    provision.apply(provision.plan(site, ["web2"]))
    look(site, log, mark="first run")
    with vcenter.connect(site) as session:
        machine, _ = agent.machines(session)["web2"]
        machine.PowerOff()
        machine.Destroy()
    look(site, log, mark="second run")
    assert containers.running() == {"web2"}
    provision.apply(provision.plan(site, ["web2"]))
    look(site, log, mark="second run")
    assert containers.running() == {"web2"}
    assert len([line for line in log if "web2" in line]) == 1, "started once, then left alone"


@pytest.mark.vcsim
def test_a_host_that_cannot_start_is_said_once_and_tried_again(site: Site, containers: Containers) -> None:
    log: list[str] = []
    containers.broken = {hosts.container_name(site.name, "web2")}
    provision.apply(provision.plan(site, ["web2", "web3"]))
    with vcenter.connect(site) as session:
        worker = agent.Agent(site, log.append)
        mark = agent.simulator_mark(session)
        worker.look(session, mark)
        worker.look(session, mark)
        assert containers.running() == {"web3"}
        assert len([line for line in log if line.startswith("web2: start failed")]) == 1
        assert agent.machines(session)["web2"][1].host_key is None
        containers.broken = set()
        worker.look(session, mark)
    assert containers.running() == {"web2", "web3"}


@pytest.mark.vcsim
def test_foreign_machines_and_foreign_addresses_become_no_hosts(site: Site, containers: Containers) -> None:
    log: list[str] = []
    provision.apply(provision.plan(site, ["web2", "web3"]))
    with vcenter.connect(site) as session:
        found = agent.machines(session)
        assert set(found) == {"web2", "web3"}, "the template and what others made are not ours"
    containers.start(
        "xj-x-web3",
        ["--label", "xjops.site=x", "--label", "xjops.host=web3", "--label", "xjops.kind=physical"],
    )
    network = site.network.model_copy(update={"internal": site.network.public})
    look(site.model_copy(update={"network": network}), log)
    assert containers.running() == {"web3"}
    assert "web2: no host: its address 10.58.7.12 is not in 10.58.107.0/24" in log
    assert "web3: no host: a physical machine of the lab has this name" in log


@pytest.mark.vcsim
def test_podman_is_asked_only_when_vcenter_shows_something_new(
    site: Site, containers: Containers, monkeypatch: pytest.MonkeyPatch
) -> None:
    log: list[str] = []
    asked: list[str] = []

    def count(name: str) -> dict[str, Container]:
        asked.append(name)
        return containers.of(name)

    monkeypatch.setattr(hosts, "lab_containers", count)
    provision.apply(provision.plan(site, ["web2"]))
    with vcenter.connect(site) as session:
        worker = agent.Agent(site, log.append)
        for _ in range(3):
            worker.glance(session, "mark")
        assert len(asked) == 1
        agent.machines(session)["web2"][0].PowerOff()
        for _ in range(3):
            worker.glance(session, "mark")
        assert len(asked) == 2
        assert containers.running() == set()
        monkeypatch.setattr(agent, "THOROUGH_SECONDS", 0.0)
        worker._due = 0.0
        worker.glance(session, "mark")
        worker.glance(session, "mark")
        assert len(asked) == 4, "once in a while it looks all the same"


@pytest.mark.vcsim
def test_an_agent_that_is_told_to_stop_starts_nothing_more(site: Site, containers: Containers) -> None:
    log: list[str] = []
    provision.apply(provision.plan(site, ["web2"]))
    with vcenter.connect(site) as session:
        assert not agent.Agent(site, log.append, lambda: True).look(session, "mark")
        assert containers.running() == set()
        assert agent.Agent(site, log.append).look(session, "mark"), "the next agent goes on"
    assert containers.running() == {"web2"}


@pytest.mark.vcsim
def test_the_mark_of_a_simulator_stays_the_same(site: Site) -> None:
    with vcenter.connect(site) as session:
        first = agent.simulator_mark(session)
        assert len(first) == 32
        assert agent.simulator_mark(session) == first


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"simulator": "x"}', '{"simulator": "x", "machines": {"a": 1}}']
)
def test_a_damaged_memory_is_an_empty_one(lab_site: Site, text: str) -> None:
    agent.remember("lab", Memory("sim", {"web1": Known("uuid", True)}))
    assert agent.recall("lab").machines == {"web1": Known("uuid", True)}
    agent.memory_file("lab").write_text(text)
    assert agent.recall("lab") == Memory()


def test_vcenter_that_does_not_answer_is_named_once(lab_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []
    looks = iter([False, False, False, True, True])
    monkeypatch.setattr(agent, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(agent.network, "guard", lambda subnets: None)
    agent.run(lab_site, log.append, lambda: next(looks))
    assert len(log) == 1
    assert "vault_vcenter_password" in log[0] or "not reachable" in log[0] or "vcenter-ca.pem" in log[0]


def test_there_is_one_agent_and_its_lock_says_so(lab_site: Site) -> None:
    assert daemon.running("lab") is None
    daemon.pid_file("lab").write_text("1")  # a process that is not ours
    assert daemon.running("lab") is None
    with daemon.only_one("lab"):
        assert daemon.running("lab") == os.getpid()
        with pytest.raises(XjopsError, match="other agent"), daemon.only_one("lab"):
            pass
    assert daemon.running("lab") is None
    assert not daemon.terminate("lab")


def test_the_agent_starts_detached_and_ends_on_request(lab_site: Site) -> None:
    assert daemon.ensure("lab")
    pid = daemon.running("lab")
    try:
        assert pid is not None
        assert os.getsid(pid) == pid, "it survives the shell that started it"
        assert not daemon.ensure("lab"), "a second start does nothing"
        assert daemon.running("lab") == pid
    finally:
        assert daemon.terminate("lab")
    assert daemon.running("lab") is None
    text = daemon.log_file("lab").read_text()
    assert "agent started" in text
    assert "agent stopped" in text
    assert "Traceback" not in text


def test_a_killed_agent_is_started_again(lab_site: Site) -> None:
    daemon.ensure("lab")
    pid = daemon.running("lab")
    assert pid is not None
    os.kill(pid, 9)
    deadline = time.monotonic() + 10
    while daemon.running("lab") and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        assert daemon.ensure("lab")
        assert daemon.running("lab") not in (None, pid)
    finally:
        daemon.terminate("lab")
