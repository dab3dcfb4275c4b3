"""The lab itself, on real containers: isolation, resuming, machines that come and go.

Runs before test_province.py (by name), while the hosts are fresh; leaves the lab up.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.lab.conftest import XJOPS, run
from xjops.adapters import vcenter
from xjops.adapters.ssh import Fleet
from xjops.adapters.vcenter_inventory import look as look_at
from xjops.adapters.vcenter_model import Size, Stage
from xjops.adapters.vcenter_specs import Identity, Marks
from xjops.adapters.vcenter_tasks import Works
from xjops.core.waiting import wait_for
from xjops.lab import agent, daemon, hosts, keys, podman, scratch, simulator
from xjops.lab.credentials import ssh_folder
from xjops.site import Site

pytestmark = pytest.mark.lab


def shell(host: str, line: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [XJOPS, "lab", "shell", host, line], capture_output=True, text=True, timeout=60, check=False,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def route(address: object) -> str:
    """What the kernel would do with a packet to `address`; nothing is sent."""
    done = subprocess.run(
        ["ip", "route", "get", str(address)], capture_output=True, text=True, timeout=10, check=False
    )
    return done.stdout + done.stderr


def started_at(site: Site, *names: str) -> dict[str, str]:
    return {
        name: podman.podman(
            "container", "inspect", "--format", "{{.State.StartedAt}}", hosts.container_name(site.name, name)
        )
        for name in names
    }


def every_address(site: Site) -> list[IPv4Address]:
    return [host.address for host in site.hosts] + [site.network.public.subnet[10]]


@pytest.mark.parametrize("lines", [1, 3, 6])
def test_a_killed_lab_up_goes_on(lab_site: Site, lines: int) -> None:
    """Killed with -9 after its nth line of progress, wherever that is; the last run must end well."""
    process = subprocess.Popen(
        [XJOPS, "lab", "up"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for _ in range(lines):
        if not process.stderr.readline():
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)
    process.stderr.close()


def test_every_host_comes_up_whole(base_lab: Site) -> None:
    def settled() -> dict[str, object] | None:
        done = subprocess.run(
            [XJOPS, "lab", "status", "--format", "json"], capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        found: dict[str, object] = json.loads(done.stdout or "{}")
        return found if done.returncode == 0 else None

    found = wait_for(settled, what="every host of the lab", seconds=240, mend="xjops lab status", interval=2)
    assert isinstance(found["hosts"], list)
    assert {host["systemd"] for host in found["hosts"]} == {"running"}
    assert {host["ssh"] for host in found["hosts"]} == {"ok"}
    assert {host["vm"] for host in found["hosts"]} == {"on", "-"}
    assert len(found["hosts"]) == len(base_lab.hosts)


def test_hosts_reach_each_other_and_nothing_else(base_lab: Site) -> None:
    with Fleet(base_lab) as fleet:
        routes = fleet.run(base_lab.hosts, "ip -4 route show default; ip -6 route show default")
        outside = fleet.run(base_lab.hosts, "ip route get 203.0.113.1")
        # each asks the next: one alone would refuse so many strangers at once (MaxStartups)
        following = dict(zip(base_lab.hosts, [*base_lab.hosts[1:], base_lab.hosts[0]], strict=True))
        inside = fleet.run(
            base_lab.hosts,
            lambda host: f"bash -c 'exec 3<>/dev/tcp/{following[host].address}/22 && head -c4 <&3'",
        )
    assert {name: output.stdout for name, output in routes.items()} == {
        host.name: "" for host in base_lab.hosts
    }
    assert {output.exit_code for output in outside.values()} == {2}, "no route, so no packet"
    assert {output.stdout for output in inside.values()} == {"SSH-"}


def test_a_changed_host_key_is_refused(base_lab: Site, tmp_path: Path) -> None:
    assert shell("db1", "true").returncode == 0
    file = ssh_folder(base_lab.name) / "known_hosts"
    good = file.read_text()
    other = keys.ensure_key(tmp_path / "other", "another host")
    try:
        lines = [line for line in good.splitlines() if "db1" not in line]
        file.write_text(
            "\n".join([*lines, keys.known_hosts_line(["db1", str(base_lab.host("db1").address)], other), ""])
        )
        refused = shell("db1", "true")
        file.write_text("\n".join([*lines, ""]))
        unknown = shell("db1", "true")
    finally:
        file.write_text(good)
    assert refused.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in refused.stderr
    assert unknown.returncode == 255
    assert "Host key verification failed" in unknown.stderr
    assert file.read_text() == good, "nothing was learnt"


def test_shell_gives_the_command_its_words_and_its_exit_code(base_lab: Site) -> None:
    assert shell("web2", "echo $HOSTNAME; exit 7").returncode == 7
    done = run("lab", "shell", "web2", "printf", "%s|", "a  b", "$HOME")
    assert done.stdout == "a  b|$HOME|"
    missing = shell("nohost", "true")
    assert missing.returncode == 2
    assert "has no host 'nohost'" in missing.stderr


def test_the_storage_host_has_a_disk_of_its_own(base_lab: Site) -> None:
    line = (
        "sudo python3 -c \"import os; s = os.statvfs('/srv/brick'); print(s.f_bavail * s.f_frsize >> 30); "
        "os.setxattr('/srv/brick', 'trusted.xjops', b'1'); "
        "print(os.getxattr('/srv/brick', 'trusted.xjops'))\""
    )
    done = shell("storage", line)
    assert done.returncode == 0, done.stderr
    size, attribute = done.stdout.split()
    assert int(size) >= base_lab.storage.size_gb
    assert attribute == "b'1'"


def test_a_host_that_died_is_started_again(base_lab: Site) -> None:
    names = [hosts.container_name(base_lab.name, name) for name in ("monitor", "web3")]
    before = started_at(base_lab, "db1", "monitor", "web3")
    podman.podman("kill", *names)
    assert (
        subprocess.run([XJOPS, "lab", "status"], capture_output=True, timeout=120, check=False).returncode
        == 1
    )
    run("lab", "up")
    after = started_at(base_lab, "db1", "monitor", "web3")
    assert after["db1"] == before["db1"], "what was well is left alone"
    assert after["monitor"] != before["monitor"]
    assert after["web3"] != before["web3"]


@pytest.fixture
def spare(base_lab: Site) -> Iterator[vcenter.VCenter]:
    """A machine `spare` of this site that is in no inventory, cloned and customized, not switched on."""
    with vcenter.connect(base_lab) as session:
        place, _ = look_at(session)
        works = Works(session, place)
        identity = Identity(
            name="spare",
            domain="lab.example",
            address=base_lab.network.internal.subnet[99],
            subnet=base_lab.network.internal.subnet,
            gateway=base_lab.network.internal.gateway,
            dns_servers=(),
            timezone=base_lab.site.timezone,
        )
        marks = Marks(base_lab.name, "spare", "", Stage.READY)
        works.clone("spare", Size(1, 1024, 10), marks, base_lab.vcenter.datastores[0])
        machine = wait_for(
            lambda: agent.machines(session).get("spare"), what="spare", seconds=20, mend="vcsim"
        )[0]
        works.customize(machine._moId, identity)
        yield session
        found = agent.machines(session).get("spare")
        if found:
            if found[1].on:
                found[0].PowerOff()
            found[0].Destroy()
    podman.remove([hosts.container_name(base_lab.name, "spare")])


def test_a_machine_that_is_on_is_a_host_and_one_that_is_gone_is_none(
    base_lab: Site, spare: vcenter.VCenter
) -> None:
    machine, _ = agent.machines(spare)["spare"]
    name = hosts.container_name(base_lab.name, "spare")

    def state(wanted: str) -> None:
        def seen() -> bool | None:
            shown = podman.podman("container", "inspect", "-f", "{{.State.Status}}", name, check=False)
            return True if shown == wanted else None

        mend = f"see {daemon.log_file(base_lab.name)}"
        wait_for(seen, what=f"spare being {wanted or 'gone'}", seconds=60, mend=mend)

    state("")
    machine.PowerOn()
    state("running")
    key = wait_for(
        lambda: agent.machines(spare)["spare"][1].host_key,
        what="the host key",
        seconds=60,
        mend="see the agent's log",
    )
    assert key.split()[1] == hosts.host_key(base_lab.name, "spare").split()[1]
    scan = subprocess.run(
        ["ssh-keyscan", "-t", "ed25519", str(base_lab.network.internal.subnet[99])],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert key.split()[1] in scan.stdout, "vCenter was told the key that the host really has"
    machine.PowerOff()
    state("exited")
    machine.PowerOn()
    state("running")
    machine.PowerOff()
    machine.Destroy()
    state("")


def test_hosts_outlive_a_restart_of_the_simulator(base_lab: Site) -> None:
    before = started_at(base_lab, "web2", "packaging", "db1")
    simulator.stop(base_lab)
    run("lab", "up")
    time.sleep(5)  # several looks of the agent at an empty vCenter
    assert started_at(base_lab, "web2", "packaging", "db1") == before
    with vcenter.connect(base_lab) as session:
        assert agent.machines(session) == {}
    run("vm", "apply", "--yes")
    time.sleep(5)
    assert started_at(base_lab, "web2", "packaging", "db1") == before
    with vcenter.connect(base_lab) as session:
        assert set(agent.machines(session)) == {host.name for host in base_lab.virtual_machines}


def test_a_lab_that_is_down_leaks_nothing_and_comes_back_with_its_data(base_lab: Site) -> None:
    for name in ("db1", "web2"):
        assert shell(name, "echo kept | sudo tee /var/lib/kept").returncode == 0
    assert " dev podman" in route(base_lab.host("db1").address)
    run("lab", "down")
    try:
        for address in every_address(base_lab):
            assert "No route to host" in route(address), address
        assert not [item for item in hosts.lab_containers(base_lab.name).values() if item.running]
        refused = shell("db1", "true")
        assert refused.returncode == 1
        assert "db1 is not running (exited) → xjops lab up" in refused.stderr
    finally:
        run("lab", "up")
    for name in ("db1", "web2"):
        assert shell(name, "cat /var/lib/kept").stdout == "kept\n"
    run("vm", "apply", "--yes")


def test_one_lab_command_waits_for_the_other(base_lab: Site) -> None:
    """Two at once: both end well, and nothing is started twice."""
    before = started_at(base_lab, "db1", "web2")
    both = [subprocess.Popen([XJOPS, "lab", "up"], stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    assert started_at(base_lab, "db1", "web2") == before


def test_scratch_sets_are_apart_and_leave_nothing(base_lab: Site, tmp_path: Path) -> None:
    bundle, public_key = tmp_path / "bundle", base_lab.file(base_lab.bundle.public_key_file)
    (bundle / "apt").mkdir(parents=True)
    (bundle / "apt" / "hello").write_text("from the bundle\n")
    command = [
        sys.executable, "-m", "xjops.cli.main", "lab", "scratch", "create", "--bundle", bundle, "--json",
    ]  # fmt: skip
    names = ("xjops-test-a", "xjops-test-b")
    try:
        both = [
            subprocess.Popen(
                [*command, name, "--host", "one", "--host", "two"], stdout=subprocess.PIPE, text=True
            )
            for name in names
        ]
        made = [json.loads(process.communicate(timeout=200)[0]) for process in both]
        addresses = [item["address"] for one in made for item in one["instances"]]
        assert len(set(addresses)) == 4
        first = made[0]
        words = keys.ssh_words(Path(first["known_hosts"]).parent, "xjops", first["instances"][0]["address"])
        line = (
            "cat /etc/apt/sources.list.d/*; cat /etc/apt/keyrings/xjops-bundle.asc; ip route show default; "
            "python3 -c \"import urllib.request as u; print(u.urlopen('URL/apt/hello', timeout=5).read())\""
        ).replace("URL", first["repository_url"])
        done = subprocess.run([*words, line], capture_output=True, text=True, timeout=60, check=True)
        source, rest = done.stdout.split("\n", 1)
        assert (
            source == f"deb [signed-by=/etc/apt/keyrings/xjops-bundle.asc] {first['repository_url']}/apt ./"
        )
        assert rest.startswith(public_key.read_text())
        assert rest.endswith("b'from the bundle\\n'\n")
        assert "default" not in rest
    finally:
        for name in names:
            scratch.destroy(name)
    assert not set(names) & set(scratch.sets())
    assert "No route to host" in route(addresses[0]) or "podman" in route(addresses[0])
