"""Real playbooks on local connections: outcomes per host, the log, and what can't be run at all."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from xjops.adapters import ansible
from xjops.core import paths
from xjops.core.waiting import wait_for
from xjops.site import Site

PLAYBOOK = """
- hosts: all
  gather_facts: false
  tasks:
    - name: Everywhere
      ansible.builtin.debug: {msg: hello}
    - name: Change one
      ansible.builtin.command: "true"
      when: inventory_hostname == 'one'
    - name: Break two
      ansible.builtin.fail: {msg: the disk is full}
      when: inventory_hostname == 'two'
    - name: "not-run: what can't be done yet"
      ansible.builtin.debug: {msg: no driver for this balancer}
      when: inventory_hostname == 'three'
    - block:
        - name: Fails and is rescued
          ansible.builtin.fail: {msg: never mind}
          when: inventory_hostname == 'four'
      rescue:
        - name: Rescue
          ansible.builtin.debug: {msg: rescued}
"""


@pytest.fixture
def site(lab_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    folder = tmp_path / "site"
    folder.mkdir()
    hosts = "".join(
        f"    {name}: {{ansible_connection: local}}\n" for name in ("one", "two", "three", "four")
    )
    (folder / "hosts.yml").write_text("all:\n  hosts:\n" + hosts)
    (tmp_path / "playbooks").mkdir()
    (tmp_path / "playbooks" / "site.yml").write_text(PLAYBOOK)
    settings = ("gathering = explicit", "interpreter_python = /usr/bin/python3")
    (tmp_path / "ansible.cfg").write_text("\n".join(("[defaults]", *settings)))
    monkeypatch.setattr(paths, "project", lambda: tmp_path)
    return lab_site.model_copy(update={"folder": folder})


def test_outcomes_per_host(site: Site, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    log = tmp_path / "log.txt"
    hosts = ansible.run_playbook(
        site, "site.yml", log=log, progress=lambda host, stage, detail="": seen.append((host, stage))
    )
    assert hosts["one"].error == ""
    assert {name: (host.failed, host.changed) for name, host in hosts.items()} == {
        "one": (False, 1),
        "two": (True, 0),
        "three": (False, 0),
        "four": (False, 0),
    }
    assert hosts["two"].error == "Break two: the disk is full"
    assert hosts["four"].error == ""
    assert hosts["three"].not_run == ["no driver for this balancer"]
    assert ("one", "Everywhere") in seen
    assert "the disk is full" in log.read_text()


def test_limit_and_check(site: Site, tmp_path: Path) -> None:
    hosts = ansible.run_playbook(site, "site.yml", log=tmp_path / "log.txt", limit=["one"], check=True)
    assert set(hosts) == {"one"}


def test_a_playbook_that_cannot_run_is_one_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "playbooks" / "site.yml").write_text("- hosts: all\n  tasks:\n    - no_such_module: {}\n")
    with pytest.raises(ansible.PlaybookError, match="no_such_module"):
        ansible.run_playbook(site, "site.yml", log=tmp_path / "log.txt")


def test_nothing_is_left_of_the_private_folder(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(ansible.tempfile, "mkdtemp", lambda prefix: str(scratch))
    ansible.run_playbook(site, "site.yml", log=tmp_path / "log.txt", limit=["one"])
    assert not scratch.exists()


def test_a_killed_run_leaves_no_worker(site: Site, tmp_path: Path) -> None:
    """ansible-runner has the playbook ignore a hang-up, and workers have sessions of their own."""
    (tmp_path / "playbooks" / "site.yml").write_text(
        "- hosts: all\n  gather_facts: false\n  tasks:\n    - ansible.builtin.command: sleep 97.5\n"
    )
    child = os.fork()
    if not child:
        ansible.run_playbook(site, "site.yml", log=tmp_path / "log.txt")
        os._exit(0)

    def sleeping() -> list[str]:
        return [line for line in _commands() if "sleep 97.5" in line or str(site.folder) in line]

    try:
        wait_for(
            lambda: True if any("sleep 97.5" in line for line in sleeping()) else None,
            what="the task", seconds=60, mend="",
        )  # fmt: skip
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    wait_for(lambda: None if sleeping() else True, what="the end of Ansible", seconds=20, mend="")


def _commands() -> list[str]:
    """The command lines of everything that runs here."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return lines


def test_extra_variables_reach_the_playbook(site: Site, tmp_path: Path) -> None:
    book = """
- hosts: one
  gather_facts: false
  tasks:
    - name: Type and value
      ansible.builtin.assert: {that: [wanted is false, minutes == 30, path == "/a b"]}
"""
    (tmp_path / "playbooks" / "other.yml").write_text(book)
    values = {"wanted": False, "minutes": 30, "path": "/a b"}
    outcomes = ansible.run_playbook(site, "other.yml", log=tmp_path / "log.txt", variables=values)
    assert not outcomes["one"].failed, outcomes["one"].error
    outcomes = ansible.run_playbook(
        site, "other.yml", log=tmp_path / "log.txt", variables={**values, "minutes": 5}
    )
    assert outcomes["one"].failed
