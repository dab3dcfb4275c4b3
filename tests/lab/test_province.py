"""A whole province of its own, end to end: what `make up` promises, seen from outside."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.lab.conftest import health, wait_healthy
from xjops.adapters.ssh import Fleet
from xjops.site import Site

pytestmark = pytest.mark.lab
XJOPS = Path(sys.executable).with_name("xjops")


def xjops(*words: str, seconds: float = 900) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [XJOPS, *words],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def data(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    assert done.stdout.startswith("{"), done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def browser(province: Site) -> httpx.Client:
    """A client that trusts the lab's CA and reaches the domain at the balancer's public address."""
    context = ssl.create_default_context(cafile=str(province.file(province.balancer.ca_file)))
    transport = httpx.HTTPTransport(verify=context)
    return httpx.Client(
        transport=transport,
        base_url=f"https://{province.balancer.address}",
        headers={"Host": str(province.balancer.domain)},
        timeout=20,
    )


def test_every_host_is_up(province: Site) -> None:
    status = data(xjops("lab", "status", "--site", province.name, "--format", "json"))
    assert len(status["hosts"]) == 17
    assert {host["systemd"] for host in status["hosts"]} == {"running"}


def test_both_checklists_end_well_with_evidence(province: Site, tmp_path: Path) -> None:
    done = xjops("checklist", "run", "--site", province.name, "-o", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    k12 = json.loads((tmp_path / "checklist-k12.json").read_text())
    assert k12["counts"] == {"pass": 14, "warn": 0, "fail": 0, "waived": 2, "attested": 0, "not-run": 0}
    vocational = json.loads((tmp_path / "checklist-vocational.json").read_text())
    assert vocational["counts"] == {"pass": 3, "warn": 0, "fail": 0, "waived": 1, "attested": 1, "not-run": 0}


def test_the_site_answers_through_the_balancer(province: Site, browser: httpx.Client) -> None:
    assert browser.get("/livez").text.strip() == "ok"
    page = browser.get("/", follow_redirects=True)
    assert page.status_code == 200
    assert "学籍" in page.text


def test_plain_http_leads_to_https(province: Site) -> None:
    answer = httpx.get(
        f"http://{province.balancer.address}/", headers={"Host": str(province.balancer.domain)}
    )
    assert answer.status_code in (301, 302, 307, 308)
    assert answer.headers["location"].startswith("https://")


def test_web2_to_web9_serve_and_web1_does_not(province: Site, browser: httpx.Client) -> None:
    seen = set()
    for _ in range(40):
        text = browser.get("/login/").text
        seen |= set(re.findall(r"\bweb\d\b", text))
    assert seen == {f"web{n}" for n in range(2, 10)}


def test_a_stranger_sees_no_detail_of_the_health(province: Site, browser: httpx.Client) -> None:
    answer = browser.get("/healthz")
    assert answer.status_code == 200
    assert "checks" not in answer.json()


def test_an_application_that_started_without_its_storage_takes_it_when_it_comes(province: Site) -> None:
    mount = "srv-registry-shared.mount"

    def on_host(line: str) -> None:
        with Fleet(province) as fleet:
            output = fleet.run([province.host("web5")], line, seconds=90)["web5"]
        assert (output.error, output.exit_code) == (None, 0), output.stderr

    wait_healthy(province, "web5")
    on_host(f"sudo -n systemctl stop {mount} && sudo -n systemctl restart registry-web.service")
    assert health(province, "web5") == 503
    on_host(f"sudo -n systemctl start {mount}")
    wait_healthy(province, "web5", seconds=20)


def test_the_sample_is_there_and_found_by_name(province: Site) -> None:
    """Counted in the database itself, not by the program that loaded it."""
    query = "select count(*), count(distinct school_id), count(student_number) from students_student"
    command = f"sudo -n -u postgres psql -XAtq registry -c {json.dumps(query)}"
    with Fleet(province) as fleet:
        output = fleet.run([province.host("db1"), province.host("db2")], command)
    students, schools, _ = output["db1"].stdout.strip().split("|")
    assert int(students) == int(os.environ.get("XJOPS_TEST_STUDENTS", "2000"))
    assert int(schools) > 10
    assert output["db2"].stdout == output["db1"].stdout, "the standby has what the primary has"


def test_a_second_apply_changes_nothing(province: Site) -> None:
    outcome = data(xjops("apply", "--yes", "--site", province.name, "--format", "json"))
    assert outcome["exit_code"] == 0
    assert {host["state"] for host in outcome["hosts"]} == {"ok"}
    assert sum(host["changed"] for host in outcome["hosts"]) == 0


def test_a_host_that_is_down_is_named_and_the_others_go_on(province: Site) -> None:
    container = f"xj-{province.name}-web9"
    subprocess.run(["podman", "stop", "-t", "1", container], check=True, capture_output=True, timeout=60)
    try:
        words = ("--limit", "web8", "--limit", "web9", "--tags", "base")
        done = xjops("apply", "--yes", "--site", province.name, "--format", "json", *words)
        outcome = {host["name"]: host for host in data(done)["hosts"]}
        assert outcome["web9"]["state"] == "unreachable"
        assert "web9 (" in outcome["web9"]["error"]
        assert outcome["web8"]["state"] == "ok"
        assert done.returncode == 1
        assert httpx.get(
            f"https://{province.balancer.address}/livez", verify=False, timeout=10
        ).status_code in (200, 403, 421)
    finally:
        assert xjops("lab", "up", "--site", province.name).returncode == 0
    after = data(xjops("apply", "--yes", "--site", province.name, "--format", "json", "--limit", "web9"))
    assert after["exit_code"] == 0


def test_apply_refuses_a_tampered_bundle(province: Site, tmp_path: Path) -> None:
    from xjops.bundle.build import default_folder

    folder = tmp_path / "bundle"
    shutil.copytree(default_folder(), folder)
    victim = sorted((folder / "wheels").glob("*.whl"))[0]
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    words = ("--bundle", str(folder), "--limit", "repo", "--format", "json")
    done = xjops("apply", "--yes", "--site", province.name, *words)
    parts = {part["name"]: part for part in data(done)["parts"]}
    assert done.returncode == 1
    assert parts["bundle"]["state"] == "failed"
    assert victim.name in parts["bundle"]["detail"]
    assert "roles" not in parts


def test_a_wrong_vault_password_is_one_line(province: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "password"
    wrong.write_text("wrong\n")
    done = subprocess.run(
        [XJOPS, "site", "check", "--site", province.name],
        env={**os.environ, "XJOPS_VAULT_PASSWORD_FILE": str(wrong)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 78
    assert "Traceback" not in done.stderr
    assert "vault" in done.stderr


def test_hosts_have_no_way_out(province: Site) -> None:
    with Fleet(province) as fleet:
        outputs = fleet.run(province.hosts, "ip -4 route show default; ip -6 route show default")
    assert {name: output.stdout for name, output in outputs.items()} == {
        host.name: "" for host in province.hosts
    }


def test_hosts_install_from_the_bundle_alone(province: Site) -> None:
    command = "cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -vE '^(#|$)'"
    with Fleet(province) as fleet:
        outputs = fleet.run(province.hosts, command)
    for name, output in outputs.items():
        assert str(province.bundle.url) in output.stdout or name == "repo", name
        assert "debian.org" not in output.stdout
        assert "trusted=yes" not in output.stdout


def test_a_stranger_cannot_log_in_by_password_or_as_root(province: Site) -> None:
    with Fleet(province) as fleet:
        outputs = fleet.run(province.hosts, "sudo -n sshd -T")
    for name, output in outputs.items():
        assert "passwordauthentication no" in output.stdout, name
        assert "permitrootlogin no" in output.stdout, name


def test_the_database_is_closed_to_the_machine(province: Site) -> None:
    """The control node is no application server: the firewall lets it reach SSH only."""
    with pytest.raises(OSError, match=r"timed out|refused|No route"):
        socket.create_connection((str(province.host("db1").address), 5432), timeout=3)


def test_the_journal_holds_every_run_and_its_chain_is_whole(province: Site) -> None:
    verified = xjops("journal", "verify", "--site", province.name)
    assert verified.returncode == 0, verified.stderr
    runs = json.loads(xjops("journal", "show", "--site", province.name, "--format", "json").stdout)
    assert {"up", "apply", "checklist run"} & {run["verb"] for run in runs}
    assert all(run["who"] for run in runs)
