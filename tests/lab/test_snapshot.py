"""Snapshots of a whole province: damaged, killed on the way, brought back whole."""

from __future__ import annotations

import os
import signal
import subprocess
import time

import pytest

from tests.lab.conftest import XJOPS, run, wait_healthy
from xjops.site import Site

pytestmark = pytest.mark.lab
FILE = "/srv/registry/shared/snapshot-probe"


def shell(host: str, line: str) -> str:
    return run("lab", "shell", host, line, seconds=60).stdout.strip()


def sql(host: str, text: str) -> str:
    return shell(host, f'sudo -n -u postgres psql -Atc "{text}"')


def kill(*words: str, seconds: float) -> None:
    with subprocess.Popen([XJOPS, *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, start_new_session=True) as child:  # fmt: skip
        time.sleep(seconds)
        os.killpg(child.pid, signal.SIGKILL)


def shared(seconds: float = 60) -> str:
    """The probe on the shared storage; its mount comes a moment after SSH."""
    end = time.monotonic() + seconds
    while not (text := shell("web2", f"cat {FILE} 2>/dev/null || true")) and time.monotonic() < end:
        time.sleep(1)
    return text


def test_a_province_damaged_and_brought_back(province: Site) -> None:
    sql("db1", "create table snapshot_probe as select generate_series(1, 1000) n")
    shell("web2", f"echo before | sudo tee {FILE}")
    kill("lab", "snapshot", "probe", seconds=4)
    run("lab", "snapshot", "probe", seconds=300)
    assert (sql("db1", "select count(*) from snapshot_probe"), shared()) == ("1000", "before")
    sql("db1", "drop table snapshot_probe")
    shell("web2", f"echo after | sudo tee {FILE}; sudo touch /etc/after")
    run("vm", "delete", "web9", "--power-off", "--yes")
    kill("lab", "restore", "probe", "--yes", seconds=4)
    run("lab", "restore", "probe", "--yes", seconds=300)
    assert (sql("db1", "select count(*) from snapshot_probe"), shared()) == ("1000", "before")
    assert sql("db2", "select pg_is_in_recovery()") == "t"
    for web in ("web2", "web9"):
        wait_healthy(province, web)
    assert shell("web2", "ls /etc/after 2>/dev/null || true") == ""
    run("lab", "status")
    run("site", "addresses", "--probe")
    run("lab", "snapshots", "--delete", "probe", "--yes")
    sql("db1", "drop table snapshot_probe")
    shell("web2", f"sudo rm {FILE}")
