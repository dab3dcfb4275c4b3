"""`xjops site`: what people see, what programs read, and the exit codes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xjops.cli.main import main

PROJECT = Path(__file__).parents[3]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository's sites, the lab without what `xjops lab up` adds."""
    unwanted = shutil.ignore_patterns("vault.yml", "files")
    shutil.copytree(PROJECT / "inventories", tmp_path / "inventories", ignore=unwanted)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(tmp_path / "inventories"))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("XJOPS_SITE", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path / "inventories"


@pytest.fixture
def run(sites: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(["site", *words])
        said = capsys.readouterr()
        assert isinstance(caught.value.code, int)
        return caught.value.code, said.out, said.err

    return run


def data(run: Run, *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(*words, "--format", "json")[1])
    return found


def test_list(run: Run, sites: Path) -> None:
    (sites / "shaanxi" / "group_vars" / "all" / "site.yml").write_text("site:\n")
    code, out, _ = run("list")
    assert code == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[1][:3] == ["example", "示例省", "production"]
    assert "11 virtual, 6 physical" in out
    assert "8 problems: xjops site check --site shaanxi" in out
    broken = data(run, "list")["sites"][2]
    assert (broken["name"], len(broken["problems"])) == ("shaanxi", 8)


def test_show_is_the_lab_unless_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "实验省" in run("show")[1]
    assert "陕西省" in run("show", "--site", "shaanxi")[1]
    monkeypatch.setenv("XJOPS_SITE", "shaanxi")
    assert "陕西省" in run("show")[1]


def test_show_has_every_host_and_part(run: Run) -> None:
    code, out, err = run("show", "--site", "shaanxi")
    assert (code, err) == (0, "")
    assert "\x1b" not in out, "plain where there is no terminal"
    web1 = next(line for line in out.splitlines() if line.startswith("web1 "))
    assert web1.split() == ["web1", "web", "server", "192.0.2.11", "4", "16G", "50G", "virtual"]
    for text in (
        "10.5.58.11:/vol/volJYTUPLOAD, 4T",
        "Oracle RAC",
        "no address yet",
        "web2 to web9",
        "no vault yet",
    ):
        assert text in out


def test_show_json(run: Run) -> None:
    found = data(run, "show", "--site", "shaanxi")
    assert (found["schema"], found["name"], found["storage"]["size_gb"]) == (1, "shaanxi", 4096)
    assert found["hosts"][0]["memory_mb"] == 16384
    assert found["secrets"] == []
    assert {"address": "192.0.2.33", "owner": "database VIP 1", "side": "internal"} in found["addresses"]


def test_gap_of_shaanxi(run: Run) -> None:
    code, out, err = run("gap", "--site", "shaanxi")
    assert (code, err) == (3, "")
    rows = [" ".join(line.split()) for line in out.splitlines()]
    for row in (
        "Servers 全国中小学学籍信息管理系统所需服务器配置清单",
        "web1 to web4: disk 30G 50G grow",
        "web5 to web9 none Linux, 8G, 4 cores, 50G add 5",
        "packaging, scheduling none Linux, 16G, 8 cores, 50G add 2",
        "Database 数据库服务器",
        "database servers none 2 physical machines, Oracle RAC provide",
        "Shared storage 共享存储",
        "shared storage: size 2T 4T or more grow",
        "web1 to web9, packaging unrecorded mounted (not on scheduling) mount",
        "Load balancer 负载均衡",
        "balancer none hardware balancer provide",
        "web2 to web9 none mapped map",
        "Public access 外网地址",
        "public address none one for the balancer provide",
        "domain name none one for the balancer provide",
        "web1 to web4 memory 16G stays: 8G required, nothing is shrunk",
        "data-packaging 数据打包服务器 runs Windows: the packaging server must run Linux",
        "10 things to supplement",
    ):
        assert row in rows


@pytest.mark.parametrize("width", [60, 80, 140])
def test_gap_fits_the_screen(run: Run, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(width))
    out = run("gap", "--site", "shaanxi")[1]
    assert all(cell_len(line) <= width for line in out.splitlines())


def test_gap_json_and_fail_on(run: Run) -> None:
    found = data(run, "gap", "--site", "shaanxi")
    assert found["site"] == "shaanxi"
    assert len(found["items"]) == 34
    assert run("gap", "--site", "shaanxi", "--fail-on", "fail")[0] == 0


def test_no_gap_is_code_0(run: Run, sites: Path) -> None:
    registers = sites / "shaanxi" / "registers"
    shutil.copy(registers / "required.yml", registers / "existing.yml")
    code, out, _ = run("gap", "--site", "shaanxi")
    assert code == 0
    assert "nothing to supplement" in out


def test_gap_without_registers_is_not_run(run: Run) -> None:
    code, out, err = run("gap")
    assert (code, out) == (4, "")
    assert "existing.yml" in err
    assert "missing file →" in err


def test_check(run: Run) -> None:
    code, out, _ = run("check", "--site", "shaanxi")
    assert code == 3
    assert "public address  " in out
    assert "15 pass  9 warn" in out
    assert "web1 " not in out.replace("web1 to", ""), "what is right is shown with --all only"
    assert "16G, 4 cores, 50G planned" in run("check", "--site", "shaanxi", "--all")[1]
    assert run("check", "--site", "shaanxi", "--fail-on", "fail")[0] == 0


def test_check_of_a_plan_that_falls_short(run: Run, sites: Path) -> None:
    (sites / "shaanxi" / "group_vars" / "scheduling_servers.yml").write_text(
        "cpus: 2\nmemory_mb: 16384\ndisk_gb: 50\n"
    )
    code, out, _ = run("check", "--site", "shaanxi")
    assert code == 1
    assert "is planned with cores 2 of 8" in out
    found = [
        finding
        for finding in data(run, "check", "--site", "shaanxi")["findings"]
        if finding["status"] == "fail"
    ]
    assert [finding["subject"] for finding in found] == ["scheduling"]


@pytest.mark.parametrize("command", ["show", "check", "gap"])
def test_a_mistake_ends_each_command_with_78_and_a_line_each(run: Run, sites: Path, command: str) -> None:
    file = sites / "shaanxi" / "hosts.yml"
    file.write_text(
        file.read_text().replace(
            "web2: {ansible_host: 192.0.2.12, memory_mb: 16384}", "web2: {memory_mb: 16G}"
        )
    )
    code, out, err = run(command, "--site", "shaanxi")
    assert (code, out) == (78, "")
    where = f"({file}:15)"
    assert err.splitlines() == [
        f"xjops: At 'web2.ansible_host' {where}: missing value → add it like 'ansible_host: 192.0.2.11'",
        f"xjops: At 'web2.memory_mb' {where}: '16G' is no whole number → write it like 'memory_mb: 8192'",
        "xjops: 2 problems in site 'shaanxi' → mend these lines, then: xjops site check --site shaanxi",
    ]


def test_a_site_that_is_not_there(run: Run) -> None:
    code, _, err = run("show", "--site", "shaanxy")
    assert code == 78
    assert err.endswith("→ did you mean 'shaanxi'?\n")


def test_addresses(run: Run) -> None:
    code, out, err = run("addresses")
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "lab · internal 10.58.7.0/24 by 10.58.7.1 · 18 required" in lines
    assert "10.58.7.12 web2" in lines
    assert "free (2): 10.58.107.11 to 10.58.107.12" in lines
    assert "pass internal addresses: 254 in 10.58.7.0/24, 18 required (16 at least, 18 in use)" in lines
    assert "on the network" not in out
    code, out, _ = run("addresses", "--site", "shaanxi")
    assert code == 3
    assert "not free: 192.0.2.2 name server, 192.0.2.3 time server, 192.0.2.250 management" in out
    assert run("addresses", "--site", "shaanxi", "--fail-on", "fail")[0] == 0


def test_addresses_json(run: Run) -> None:
    found = data(run, "addresses")
    assert (found["schema"], found["site"], found["problems"], found["probe"]) == (1, "lab", [], None)
    assert {"address": "10.58.7.12", "owner": "web2", "side": "internal", "host": "web2",
            "placeholder": False, "flaws": []} in found["rows"]  # fmt: skip
    assert found["public"]["free"] == [{"first": "10.58.107.11", "last": "10.58.107.12"}]
    assert [finding["status"] for finding in found["findings"]] == ["pass", "pass"]


def test_a_plan_with_mistakes_is_shown_all_the_same(run: Run, sites: Path) -> None:
    file = sites / "lab" / "hosts.yml"
    file.write_text(
        file.read_text().replace("web3: {ansible_host: 10.58.7.13}", "web3: {ansible_host: 10.58.7.12}")
    )
    code, out, err = run("addresses", "--probe")  # what is wrong is not asked
    assert code == 78
    (row,) = [" ".join(line.split()) for line in out.splitlines() if " web3 " in line]
    assert row == "10.58.7.12 web3 also of web2"
    assert "10.58.7.12 is also the address of web2" in err
    assert "not asked" not in out


def test_a_probe_of_documentation_ranges_sends_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a socket was opened"))
    code, out, _ = run("addresses", "--site", "shaanxi", "--probe")
    assert code == 4
    assert "not-run  probe: the subnets of shaanxi are documentation ranges: nothing was asked" in out


def test_a_probe_is_shown_beside_the_plan(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from ipaddress import IPv4Address

    from xjops.adapters import probing
    from xjops.adapters.probing import Answer

    up = {IPv4Address(f"10.58.7.{number}") for number in (11, 12, 99)}

    def sweep(ports: Any, bounds: Any, *, seconds: float) -> Any:
        return {
            address: Answer(echo=address in up, port="open" if address in up else None) for address in ports
        }

    monkeypatch.setattr(probing, "sweep", sweep)
    monkeypatch.setattr(probing, "host_keys", lambda ports, kinds, bounds: dict.fromkeys(ports, "ssh-rsa A"))
    monkeypatch.setenv("COLUMNS", "160")
    code, out, _ = run("addresses", "--probe")
    assert code == 3
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "10.58.7.11 web1 answers, its host key is not known yet" in lines
    assert "10.58.7.13 web3 does not answer" in lines
    assert "10.58.7.99 answers, but is not planned" in lines
    probe = data(run, "addresses", "--probe")["probe"]
    (stranger,) = probe["unplanned"]
    assert stranger == {
        "address": "10.58.7.99", "owner": "", "status": "warn", "text": "answers, but is not planned",
        "echo": True, "port": "open", "key": "",
    }  # fmt: skip
    assert {item["key"] for item in probe["planned"]} == {"", "unknown"}
