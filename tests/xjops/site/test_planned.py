"""`site check` beyond mistakes: the plan against what is required and what exists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xjops.site import Site, registers
from xjops.site.addresses import address_plan
from xjops.site.planned import findings

PROJECT = Path(__file__).parents[3]
SITE, REQUIRED = "group_vars/all/site.yml", "registers/required.yml"
PACKAGING, SCHEDULING = "group_vars/packaging_servers.yml", "group_vars/scheduling_servers.yml"


def found(folder: Path, name: str) -> dict[str, tuple[str, str]]:
    """Findings that are no pass, by subject: state and text."""
    site = Site.load(name)
    every = findings(site, registers.read(folder, "required"), registers.read(folder, "existing"))
    return {finding.subject: (finding.status, finding.text) for finding in every if finding.status != "pass"}


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def test_the_plan_of_shaanxi_meets_what_is_required_and_names_what_is_open() -> None:
    open_ = found(PROJECT / "inventories" / "shaanxi", "shaanxi")
    assert {state for state, _ in open_.values()} == {"warn"}
    assert open_["public address"] == open_["domain name"] == ("warn", "is not assigned yet")
    assert "placeholders" in open_["addresses"][1]


def test_the_lab_as_planned_is_what_is_required(lab_site: Site) -> None:
    every = findings(lab_site, registers.read(lab_site.folder, "required"), None)
    assert not [finding for finding in every if finding.status == "fail"]
    assert next(finding for finding in every if finding.subject == "vcenter.ca_file").mend == "xjops lab up"


@pytest.mark.parametrize(
    ("file", "old", "new", "subject", "text"),
    [
        ("hosts.yml", "            web3: {ansible_host: 192.0.2.13}\n", "", "web3", "is not planned"),
        (PACKAGING, "cpus: 8", "cpus: 4", "packaging", "is planned with cores 4 of 8"),
        (SCHEDULING, "16384", "8000", "scheduling", "is planned with memory 7G of 16G"),
        ("hosts.yml", "os: linux", "os: windows", "packaging", "is planned with windows"),
        (SITE, "size_gb: 4096", "size_gb: 3072", "shared storage", "3T of 4T planned"),
        (
            SITE,
            "members: [web2, web3]",
            "members: [web2, web1]",
            "balancer",
            "lacks web3; has web1, which must stay outside",
        ),
        (REQUIRED, "kind: hardware", "kind: software", "balancer", "is hardware, software is required"),
        (REQUIRED, "machines: 2", "machines: 3", "database", "2 physical machines, oracle"),
        (REQUIRED, "kind: oracle", "kind: postgresql", "database", "2 physical machines, oracle"),
    ],
)
def test_a_plan_that_falls_short_fails(
    example: Path, file: str, old: str, new: str, subject: str, text: str
) -> None:
    if "web3: {" in old:
        change(example / SITE, "members: [web2, web3]", "members: [web2]")
    change(example / file, old, new)
    assert found(example, "mistaken")[subject] == ("fail", text)


def test_nothing_that_exists_is_planned_smaller(example: Path) -> None:
    change(example / "hosts.yml", ", memory_mb: 16384", "")
    change(example / "registers/existing.yml", "size_gb: 2048", "size_gb: 8192")
    open_ = found(example, "mistaken")
    assert open_["web1"] == ("fail", "would shrink: memory from 16G to 8G")
    assert open_["shared storage"] == ("fail", "would shrink from 8T to 4T")


def test_without_a_register_nothing_is_passed(example: Path) -> None:
    (example / "registers" / "required.yml").unlink()
    assert found(example, "mistaken")["requirements"] == ("not-run", "no registers/required.yml")


def test_eleven_machines_two_rac_hosts_two_vips_three_scan_are_eighteen_addresses() -> None:
    site = Site.load("shaanxi")
    claims = [claim for claim in address_plan(site) if claim.side == "internal" and claim.inside]
    helpers = {"internal gateway", "monitor", "repo"}
    assert len([claim for claim in claims if claim.owner not in helpers]) == 18


def test_files_that_are_there_are_not_missed(example: Path) -> None:
    (example / "files").mkdir()
    (example / "files" / "bundle.asc").touch()
    open_: dict[str, Any] = found(example, "mistaken")
    assert "bundle.public_key_file" not in open_
    assert open_["balancer.ca_file"] == ("warn", "files/balancer-ca.pem is not there yet")
