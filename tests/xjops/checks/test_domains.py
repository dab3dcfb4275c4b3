"""Each check passes where all is well, and says what is wrong where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.xjops.icontrol import BigIPDevice
from xjops.adapters.vcenter_model import Power, Size
from xjops.checks.probe import Facts
from xjops.checks.registry import Context, VCenterView, known_checks
from xjops.checks.result import Result, Status
from xjops.core.errors import XjopsError
from xjops.site import Site

Changed = Callable[..., Context]
MEMBERS = [f"web{n}" for n in range(2, 10)]
MOUNT = {"groups": ["web_servers", "packaging_servers"], "size_gb": 4096}
WEB2 = {"host": "web2", "os": "Linux", "cpus": 4, "memory_gb": 8, "disk_gb": 50}


def results(name: str, context: Context, **parameters: Any) -> list[Result]:
    return list(known_checks()[name](context, **parameters))


def bad(found: list[Result]) -> list[tuple[str, str]]:
    return [(result.subject, result.status.value) for result in found if result.status is not Status.PASS]


@pytest.mark.parametrize(
    ("name", "parameters", "count"),
    [
        ("machine.size", WEB2, 2),
        ("machine.running", {"group": "all"}, 17),
        ("vcenter.deployed", {}, 2),
        ("network.addresses", {"internal": 16, "public": 3}, 2),
        ("network.hosts-answer", {}, 1),
        ("public.domain", {}, 1),
        ("storage.mounted", MOUNT, 10),
        ("database.physical", {"machines": 2}, 3),
        ("database.running", {}, 3),
        ("balancer.members", {"mapped": MEMBERS, "unmapped": ["web1"]}, 2),
    ],
)
def test_a_healthy_lab_passes(context: Context, name: str, parameters: dict[str, Any], count: int) -> None:
    found = results(name, context, **parameters)
    assert bad(found) == []
    assert len(found) == count
    assert all(result.evidence for result in found if result.check != "database.physical")


@pytest.mark.parametrize("group", ["web_servers", "no_such_group"])
def test_an_empty_group_never_passes(context: Context, group: str) -> None:
    nobody = replace(context, site=context.site.model_copy(update={"hosts": ()}))
    assert [result.status for result in results("machine.running", nobody, group=group)] == [Status.FAIL]
    assert [result.status for result in results("storage.mounted", nobody, **MOUNT)] == [Status.FAIL]


@pytest.mark.parametrize(
    "size", [Size(3, 8192, 50), Size(4, 8191, 50), Size(4, 8192, 49)], ids=["cpu", "memory", "disk"]
)
def test_a_machine_too_small_fails(context: Context, size: Size) -> None:
    machines = dict(context.vcenter.machines)
    machines["web2"] = replace(machines["web2"], size=size)
    small = replace(context, vcenter=VCenterView("vCenter", machines))
    assert bad(results("machine.size", small, **WEB2)) == [("web2", "fail")]


def test_a_larger_machine_passes_and_a_powered_off_one_fails(context: Context) -> None:
    machines = dict(context.vcenter.machines)
    machines["web2"] = replace(machines["web2"], size=Size(8, 16384, 250))
    larger = replace(context, vcenter=VCenterView("vCenter", machines))
    assert bad(results("machine.size", larger, **WEB2)) == []
    machines["web2"] = replace(machines["web2"], power=Power.OFF)
    off = replace(context, vcenter=VCenterView("vCenter", machines))
    assert bad(results("machine.size", off, **WEB2)) == [("web2", "fail")]


def test_without_vcenter_sizes_are_not_run_and_never_pass(context: Context) -> None:
    silent = replace(context, vcenter=VCenterView(error=XjopsError("vCenter is down")))
    found = results("machine.size", silent, **WEB2) + results("vcenter.deployed", silent)
    assert ("web2", "not-run") in bad(found)
    assert ("127.0.0.1", "not-run") in bad(found)


def test_a_windows_machine_is_not_the_required_linux(changed: Changed) -> None:
    assert bad(results("machine.size", changed("web2", system="Windows"), **WEB2)) == [("web2", "fail")]


def test_an_unreachable_host_is_never_a_pass(context: Context) -> None:
    facts = {**context.facts, "web2": Facts("web2", "", error=XjopsError("web2 is not reachable"))}
    down = replace(context, facts=facts)
    assert bad(results("machine.running", down, group="web_servers")) == [("web2", "fail")]
    assert bad(results("storage.mounted", down, **MOUNT)) == [("web2", "not-run")]
    assert bad(results("machine.size", down, **WEB2)) == [("web2", "not-run")]
    assert bad(results("network.hosts-answer", down)) == [("internal", "fail")]


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"error": "not mounted"}, "not mounted"),
        ({"type": "ext4"}, "network file system"),
        ({"size_gb": 2048.0}, "4096G or more"),
        ({"writable": False}, "read back"),
    ],
)
def test_a_bad_mount_fails_with_its_reason(changed: Changed, seen: dict[str, Any], word: str) -> None:
    good = {"path": "/srv/registry/shared", "source": "s:/v", "type": "fuse.glusterfs"}
    mount = good | {"size_gb": 4199.0, "free_gb": 1.0, "writable": True} | seen
    found = results("storage.mounted", changed("web3", mounts=[mount]), **MOUNT)
    assert bad(found) == [("web3", "fail")]
    assert any(word in result.value + result.message for result in found if result.subject == "web3")


def test_a_standby_that_receives_nothing_fails(changed: Changed) -> None:
    lost = {"version": "15", "standby": True, "checksums": "on", "streaming": 0, "receiver": 0}
    assert ("db2", "fail") in bad(results("database.running", changed("db2", database=lost)))
    dead = changed("db1", database={"error": "connection refused"})
    assert {("db1", "fail"), ("cluster", "fail")} <= set(bad(results("database.running", dead)))


def test_postgresql_in_place_of_rac_warns(context: Context) -> None:
    assert bad(results("database.rac", context)) == [("database", "warn")]
    assert bad(results("balancer.hardware", context)) == [("balancer", "warn")]


@pytest.mark.parametrize("open_on", [("db1", "db2"), ("db1",)])
def test_rac_needs_an_instance_on_every_node(context: Context, open_on: tuple[str, ...]) -> None:
    database = context.site.database.model_copy(update={"kind": "oracle"})
    site = context.site.model_copy(update={"database": database})
    status = "\n".join(f"Instance reg{n[-1]} is running on node {n}" for n in open_on)
    facts = dict(context.facts)
    for host in ("db1", "db2"):
        facts[host] = replace(facts[host], values={**facts[host].values, "database": {"status": status}})
    found = results("database.rac", replace(context, site=site, facts=facts))
    assert bad(found) == [(host, "fail") for host in ("db1", "db2") if host not in open_on]


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([("web9", "10.58.7.19:80", "DOWN")], "not up: ['web9']"),
        ([("web1", "10.58.7.11:80", "UP")], "also mapped: ['web1']"),
        ([("web9", "10.58.7.11:80", "UP")], "also mapped: ['web1']"),  # web9 by name, web1 by address
    ],
)
def test_the_members_must_be_exactly_these_eight(
    context: Context, changed: Changed, rows: list[tuple[str, str, str]], word: str
) -> None:
    members = {row["member"]: row for row in context.facts["lb1"].values["balancer"]["members"]}
    for member, address, status in rows:
        members[member] = {"backend": "registry", "member": member, "address": address, "status": status}
    seen = changed("lb1", balancer={"members": list(members.values())})
    found = results("balancer.members", seen, mapped=MEMBERS, unmapped=["web1"])
    assert bad(found) == [("lb1", "fail")]
    assert any(word in result.value + result.message for result in found)


def test_the_members_of_an_f5_are_asked_by_its_driver(
    context: Context, f5_site: Site, device: BigIPDevice
) -> None:
    at_f5 = replace(context, site=f5_site)

    def found() -> list[tuple[str, str]]:
        return bad(results("balancer.members", at_f5, mapped=MEMBERS, unmapped=["web1"]))

    assert found() == []
    device.member("web9").session = "user-disabled"
    assert found() == [("f5 127.0.0.1", "fail")]
    device.member("web9").session = "user-enabled"
    device.add("web1", "192.0.2.11")
    assert found() == [("f5 127.0.0.1", "fail")]
    device.token_limit = 0
    assert found() == [("f5 127.0.0.1", "not-run")]
    driverless = f5_site.balancer.model_copy(update={"username": None, "pool": None})
    at_f5 = replace(context, site=f5_site.model_copy(update={"balancer": driverless}))
    assert found() == [("balancer", "not-run")]


def test_too_few_addresses_fail(context: Context) -> None:
    found = results("network.addresses", context, internal=300, public=4)
    assert bad(found) == [("internal", "fail"), ("public", "fail")]


def test_an_address_that_answers_as_another_host_is_named(changed: Changed) -> None:
    found = results("network.hosts-answer", changed("web4", hostname="web5"))
    assert bad(found) == [("internal", "fail")]
    assert "answers as web5, planned for web4" in found[0].message


def test_a_domain_that_does_not_resolve_fails(changed: Changed) -> None:
    found = results("public.domain", changed("web4", names={"xueji.lab.example": ""}))
    assert bad(found) == [("xueji.lab.example", "fail")]
