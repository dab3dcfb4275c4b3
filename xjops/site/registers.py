"""A site's two tables: what exists (`registers/existing.yml`), what is required (`registers/required.yml`).

Both have the same form, that of the ministry's list (seed 000): servers with OS, memory, cores and local
disk, then database, shared storage, balancer and public access. `category` and `title` are the source's own
Chinese words. 1 T = 1024 G.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from xjops.site import explain, files, inventory
from xjops.site.model import Strict
from xjops.site.problems import Place, Problem, refuse, spell
from xjops.site.types import Count, Export, Text

Role = Literal["web", "packaging", "scheduling", "exchange", "docking"]
# The inventory's group for each role; machines of the other roles are not ours to manage.
GROUPS: dict[Role, str] = {
    "web": "web_servers",
    "packaging": "packaging_servers",
    "scheduling": "scheduling_servers",
}


class Server(Strict):
    """One row of the table."""

    name: Text = Field(description="Short name; the same as the host's, where it is one.", examples=["web1"])
    title: Text = Field(description="服务器类型: the source's name.", examples=["应用服务器web1"])
    role: Role = Field(description="What it does.", examples=["web"])
    os: Literal["linux", "windows"] = Field(description="OS.", examples=["linux"])
    memory_gb: Count = Field(description="内存, in G.", examples=["8"])
    cpus: Count = Field(description="CPU核数.", examples=["4"])
    disk_gb: Count = Field(description="本地磁盘, in G.", examples=["50"])


class DatabaseServers(Strict):
    """数据库服务器."""

    category: Text = Field(description="分类.", examples=["数据库服务器"])
    title: Text = Field(description="The source's words.", examples=["两台物理机做RAC"])
    kind: Literal["oracle", "postgresql"] = Field(description="`oracle` means RAC.", examples=["oracle"])
    machines: Count = Field(description="How many machines.", examples=["2"])
    physical: bool = Field(description="Whether they are physical machines.", examples=["true"])


class SharedStorage(Strict):
    """共享存储."""

    category: Text = Field(description="分类.", examples=["共享存储"])
    title: Text = Field(description="The source's words.", examples=["大小要求4T以上"])
    export: Export | None = Field(
        default=None, description="What is mounted, where it exists.", examples=["192.0.2.41:/vol/registry"]
    )
    size_gb: Count = Field(description="Its size, in G.", examples=["4096"])
    mounted_on: tuple[Role, ...] = Field(
        default=(), description="The roles whose servers mount it.", examples=["[web, packaging]"]
    )


class LoadBalancer(Strict):
    """负载均衡."""

    category: Text = Field(description="分类.", examples=["负载均衡"])
    title: Text = Field(description="The source's words.", examples=["web2到web9映射到硬件负载均衡设备"])
    kind: Literal["hardware", "software"] = Field(description="A device, or software.", examples=["hardware"])
    members: tuple[Text, ...] = Field(description="The servers mapped on it.", examples=["[web2, web3]"])


class PublicAccess(Strict):
    """外网地址."""

    category: Text = Field(description="分类.", examples=["外网地址"])
    title: Text = Field(description="The source's words.", examples=["为负载均衡配置公网访问ip地址及域名"])
    address: bool = Field(description="Whether there is (must be) a public address.", examples=["true"])
    domain: bool = Field(description="Whether there is (must be) a domain name.", examples=["true"])


class Register(Strict):
    """One table: what exists, or what is required. A part that is missing doesn't exist (isn't required)."""

    source: Text = Field(description="Where the table is from.", examples=["转用实施方案，基础环境清单"])
    category: Text = Field(description="分类 of the servers.", examples=["陕西现有服务器配置"])
    servers: tuple[Server, ...] = Field(default=(), description="The servers, one a row.")
    database: DatabaseServers | None = Field(default=None, description="数据库服务器.")
    storage: SharedStorage | None = Field(default=None, description="共享存储.")
    balancer: LoadBalancer | None = Field(default=None, description="负载均衡.")
    public_access: PublicAccess | None = Field(default=None, description="外网地址.")


def path(folder: Path, name: Literal["existing", "required"]) -> Path:
    """Where the register stands in a site's folder."""
    return folder / "registers" / f"{name}.yml"


def read(folder: Path, name: Literal["existing", "required"]) -> Register | None:
    """The register `name` of the site in `folder`; None when the site has none.

    Raises `ConfigurationError` with every mistake in the file.
    """
    file = path(folder, name)
    if not file.is_file():
        return None
    problems = list(files.yaml_problems(file))
    if any(problem.fatal for problem in problems):
        refuse(folder.name, problems)
    data, places = inventory.read_file(file)
    register, wrong = explain.validate(Register, data or {}, places)
    problems += wrong
    for number, server in enumerate(register.servers if register else ()):
        if server.name in [other.name for other in register.servers[:number]]:  # type: ignore[union-attr]
            loc = ("servers", number, "name")
            problems.append(
                Problem(spell(loc), places.at(loc), f"'{server.name}' is given twice", "keep one of them")
            )
    refuse(folder.name, problems)
    return register


def missing(folder: Path, name: Literal["existing", "required"]) -> Problem:
    """What to say when a register is needed and not there."""
    return Problem(
        f"{name}.yml",
        Place(path(folder, name)),
        "missing file",
        "write it as in inventories/example/registers",
    )
