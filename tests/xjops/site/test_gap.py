"""The gap: for Shaanxi exactly what seed 000 says is to be supplemented, and the rules behind it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xjops.site import registers
from xjops.site.gap import gap
from xjops.site.registers import LoadBalancer, PublicAccess, Register, Server
from xjops.site.words import span, terabytes

SHAANXI = Path(__file__).parents[3] / "inventories" / "shaanxi"
SERVERS = "全国中小学学籍信息管理系统所需服务器配置清单"

EXPECTED = [
    *((SERVERS, f"web{n}", "disk", "30G", "50G", "grow") for n in range(1, 5)),
    *((SERVERS, f"web{n}", "server", "none", "Linux, 8G, 4 cores, 50G", "add") for n in range(5, 10)),
    (SERVERS, "packaging", "server", "none", "Linux, 16G, 8 cores, 50G", "add"),
    (SERVERS, "scheduling", "server", "none", "Linux, 16G, 8 cores, 50G", "add"),
    ("数据库服务器", "database servers", "machines", "none", "2 physical machines, Oracle RAC", "provide"),
    ("共享存储", "shared storage", "size", "2T", "4T or more", "grow"),
    *(
        ("共享存储", name, "mount", "unrecorded", "mounted (not on scheduling)", "mount")
        for name in (*(f"web{n}" for n in range(1, 10)), "packaging")
    ),
    ("负载均衡", "balancer", "device", "none", "hardware balancer", "provide"),
    *(("负载均衡", f"web{n}", "member", "none", "mapped", "map") for n in range(2, 10)),
    ("外网地址", "public address", "address", "none", "one for the balancer", "provide"),
    ("外网地址", "domain name", "domain", "none", "one for the balancer", "provide"),
]


def register(name: str) -> Register:
    found = registers.read(SHAANXI, name)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_shaanxi_lacks_what_the_plan_of_2015_says() -> None:
    result = gap(register("existing"), register("required"))
    found = [
        (item.category_zh, item.subject, item.property, item.exists, item.required, item.action)
        for item in result.items
    ]
    assert found == EXPECTED


def test_shaanxi_keeps_its_memory_and_its_windows_machines_do_not_count() -> None:
    result = gap(register("existing"), register("required"))
    assert [(note.subject, note.text) for note in result.kept] == [
        (f"web{n}", "memory 16G stays: 8G required, nothing is shrunk") for n in range(1, 5)
    ]
    assert [(note.subject, note.title, note.text) for note in result.not_counted] == [
        ("data-exchange", "数据交换服务器", "no data exchange server is required"),
        ("data-packaging", "数据打包服务器", "runs Windows: the packaging server must run Linux"),
        ("data-docking", "数据对接服务器", "no data docking server is required"),
    ]


def test_the_registers_say_what_the_seed_says() -> None:
    existing, required = register("existing"), register("required")
    rows = [(s.title, s.os, s.memory_gb, s.cpus, s.disk_gb) for s in existing.servers]
    assert rows == [
        *((f"应用服务器web{n}", "linux", 16, 4, 30) for n in range(1, 5)),
        *((f"数据{kind}服务器", "windows", 16, 4, 250) for kind in ("交换", "打包", "对接")),
    ]
    rows = [(s.title, s.os, s.memory_gb, s.cpus, s.disk_gb) for s in required.servers]
    assert rows == [
        *((f"应用服务器web{n}", "linux", 8, 4, 50) for n in range(1, 10)),
        *((f"{kind}服务器", "linux", 16, 8, 50) for kind in ("打包", "调度")),
    ]
    assert existing.storage is not None
    assert existing.storage.export == "10.5.58.11:/vol/volJYTUPLOAD"


def test_what_is_there_leaves_no_gap() -> None:
    required = register("required")
    result = gap(required, required)
    assert (result.items, result.kept, result.not_counted) == ((), (), ())


def test_an_empty_province_lacks_everything() -> None:
    required = register("required")
    result = gap(Register(source="none", category="none"), required)
    assert {item.subject for item in result.items if item.action == "add"} == {
        s.name for s in required.servers
    }
    assert {item.category_zh for item in result.items} == {
        SERVERS, "数据库服务器", "共享存储", "负载均衡", "外网地址"
    }  # fmt: skip


def test_a_software_balancer_is_no_hardware_one() -> None:
    existing = register("existing").model_copy(
        update={
            "balancer": LoadBalancer(category="负载均衡", title="软件", kind="software", members=("web2",)),
            "public_access": PublicAccess(category="外网地址", title="有", address=True, domain=False),
        }
    )
    items = [
        i
        for i in gap(existing, register("required")).items
        if i.category in ("Load balancer", "Public access")
    ]
    assert [(i.subject, i.exists) for i in items] == [
        ("balancer", "software balancer"),
        *((f"web{n}", "none") for n in range(2, 10)),
        ("domain name", "none"),
    ]


def test_a_machine_of_another_name_counts_for_its_role_once() -> None:
    def server(name: str, disk: int = 50) -> Server:
        return Server(name=name, title=name, role="web", os="linux", memory_gb=8, cpus=4, disk_gb=disk)

    def table(*servers: Server) -> Register:
        return Register(source="s", category="c", servers=servers)

    result = gap(table(server("web2"), server("app", 30)), table(server("web1"), server("web2")))
    assert [(item.subject, item.property, item.exists) for item in result.items] == [("web1", "disk", "30G")]
    result = gap(table(server("a"), server("b"), server("c")), table(server("web1"), server("web2")))
    assert [note.text for note in result.not_counted] == ["more than the web servers required"]


SIZES = st.integers(1, 64)


@given(st.tuples(SIZES, SIZES, SIZES), st.tuples(SIZES, SIZES, SIZES))
def test_each_size_is_grown_kept_or_equal(now: tuple[int, int, int], then: tuple[int, int, int]) -> None:
    def table(sizes: tuple[int, int, int]) -> Register:
        memory, cpus, disk = sizes
        row = Server(
            name="web1", title="w", role="web", os="linux", memory_gb=memory, cpus=cpus, disk_gb=disk
        )
        return Register(source="s", category="c", servers=(row,))

    result = gap(table(now), table(then))
    assert len(result.items) == sum(a < b for a, b in zip(now, then, strict=True))
    assert len(result.kept) == sum(a > b for a, b in zip(now, then, strict=True))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([], ""),
        (["web1"], "web1"),
        (["web1", "web2"], "web1, web2"),
        (["web1", "web2", "web3", "packaging"], "web1 to web3, packaging"),
        (["web1", "web3"], "web1, web3"),
        (["db1", "web2"], "db1, web2"),
        (["storage", "storage"], "storage, storage"),
    ],
)
def test_names_in_one_phrase(names: list[str], text: str) -> None:
    assert span(names) == text


def test_terabytes() -> None:
    assert (terabytes(4096), terabytes(1500)) == ("4T", "1500G")
