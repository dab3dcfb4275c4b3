"""The address plan: needs, flaws, what is free."""

from __future__ import annotations

import shutil
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xjops.core import paths
from xjops.site import Site, loader, numbering
from xjops.site.addresses import address_plan, neighbours
from xjops.site.numbering import Numbering, Range

MINIMUM = {"internal": 16, "public": 3}


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository's sites, the lab without what `xjops lab up` adds."""
    unwanted = shutil.ignore_patterns("vault.yml", "files")
    shutil.copytree(paths.inventories(), tmp_path / "inventories", ignore=unwanted)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(tmp_path / "inventories"))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))


def plan_of(name: str) -> Numbering:
    draft = loader.read(name).draft
    assert draft.network is not None
    return numbering.number(draft, draft.network, MINIMUM)


def members(ranges: tuple[Range, ...]) -> list[IPv4Address]:
    return [IPv4Address(number) for item in ranges for number in range(int(item.first), int(item.last) + 1)]


def test_the_lab(lab_site: Site) -> None:
    plan = plan_of("lab")
    internal, public = plan.internal, plan.public
    assert (internal.usable, internal.claimed, internal.minimum, internal.required) == (254, 18, 16, 18)
    assert (public.usable, public.claimed, public.minimum, public.required) == (3, 1, 3, 3)
    assert [str(item) for item in public.free] == ["10.58.107.11 to 10.58.107.12"]
    assert len(plan.rows) == 17 + 2 + 1  # hosts, gateways, the balancer's public address
    assert not any(row.flaws or row.placeholder for row in plan.rows)
    assert {row.host for row in plan.rows} - {None} == {host.name for host in lab_site.hosts}
    assert [finding.status for finding in numbering.findings(lab_site, plan)] == ["pass", "pass"]


@pytest.mark.parametrize("name", ["lab", "shaanxi", "example"])
@pytest.mark.usefixtures("sites")
def test_free_is_what_nobody_has(name: str) -> None:
    site = loader.read(name).draft
    assert site.network is not None
    plan = plan_of(name)
    subnet = site.network.internal.subnet
    taken = {claim.address for claim in (*address_plan(site), *neighbours(site))}
    assert members(plan.internal.free) == [address for address in subnet.hosts() if address not in taken]


@pytest.mark.usefixtures("sites")
def test_shaanxi_keeps_its_neighbours_free_of_hosts() -> None:
    plan = plan_of("shaanxi")
    assert plan.internal.reserved == (
        "192.0.2.2 name server",
        "192.0.2.3 time server",
        "192.0.2.250 management",
    )
    assert {row.placeholder for row in plan.rows} == {True, False}
    states = {finding.subject: finding for finding in numbering.findings(Site.load("shaanxi"), plan)}
    assert states["public addresses"].status == "warn"
    assert states["public addresses"].text == "0 assigned, 3 required (3 at least, 0 in use)"
    assert states["addresses"].status == "warn"
    assert "placeholders" in states["addresses"].text


@given(st.integers(20, 32), st.sets(st.integers(0, 4095)))
def test_gaps(prefix: int, offsets: set[int]) -> None:
    subnet = IPv4Network(f"10.9.0.0/{prefix}")
    taken = {IPv4Address("10.9.0.0") + offset for offset in offsets}
    hosts = list(subnet.hosts())
    assert members(tuple(numbering._gaps(subnet, taken))) == [item for item in hosts if item not in taken]


def test_a_large_subnet_costs_nothing(example: Path) -> None:
    file = example / "group_vars" / "all" / "site.yml"
    file.write_text(file.read_text().replace("subnet: 192.0.2.0/24", "subnet: 192.0.0.0/8"))
    plan = plan_of("mistaken")
    assert plan.internal.usable == 2**24 - 2
    assert sum(item.count for item in plan.internal.free) > 2**24 - 50


def test_too_small_a_subnet_fails(lab_site: Site) -> None:
    plan = plan_of("lab")
    small = plan.model_copy(update={"internal": plan.internal.model_copy(update={"usable": 14})})
    (internal, _) = numbering.findings(lab_site, small)
    assert (internal.status, internal.text) == (
        "fail",
        "14 in 10.58.7.0/24, 18 required (16 at least, 18 in use)",
    )


@pytest.mark.parametrize(
    ("before", "after", "owner", "flaw"),
    [
        ("web3: {ansible_host: 192.0.2.13}", "web3: {ansible_host: 192.0.2.12}", "web3", "also of web2"),
        ("web3: {ansible_host: 192.0.2.13}", "web3: {ansible_host: 192.0.2.1}", "web3",
         "also of internal gateway"),
        ("web3: {ansible_host: 192.0.2.13}", "web3: {ansible_host: 198.18.0.9}", "web3",
         "outside 192.0.2.0/24"),
        ("web3: {ansible_host: 192.0.2.13}", "web3: {ansible_host: 192.0.2.255}", "web3",
         "network or broadcast address of 192.0.2.0/24"),
    ],
)  # fmt: skip
def test_flaws_stand_at_their_address(example: Path, before: str, after: str, owner: str, flaw: str) -> None:
    file = example / "hosts.yml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))
    assert paths.inventories() in example.parents
    flawed = {row.owner: row.flaws for row in plan_of("mistaken").rows if row.flaws}
    assert flawed == {owner: (flaw,)}


def test_overlapping_subnets(example: Path) -> None:
    file = example / "group_vars" / "all" / "site.yml"
    text = file.read_text()
    assert plan_of("mistaken").overlapping is False
    file.write_text(text.replace("subnet: 203.0.113.0/24", "subnet: 192.0.2.0/25"))
    assert plan_of("mistaken").overlapping is True
