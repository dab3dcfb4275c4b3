"""What a site lacks: what is required less what exists, row by row (seed 000, 前期准备工作, 2).

What is required is a minimum: a machine that has more keeps it, nothing is ever shrunk. A machine with
another operating system than the required one doesn't count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xjops.site.registers import Register, Role, Server, SharedStorage
from xjops.site.words import span, terabytes

Action = Literal["grow", "add", "mount", "provide", "map"]
PROPERTIES = (("memory_gb", "memory", "G"), ("cpus", "cores", ""), ("disk_gb", "disk", "G"))
ROLE_NAMES: dict[Role, str] = {
    "web": "web server",
    "packaging": "packaging server",
    "scheduling": "scheduling server",
    "exchange": "data exchange server",
    "docking": "data docking server",
}


class Item(BaseModel):
    """One thing to supplement. `subject` is a server's name or a part of the site."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    category: str = Field(description="English category.")
    category_zh: str = Field(description="The source's category.")
    subject: str = Field(description="Server or part.")
    property: str = Field(
        description="memory, cores, disk, server, machines, size, mount, device, member, address, domain."
    )
    exists: str = Field(description="What there is; `none`, or `unrecorded` where the register does not say.")
    required: str = Field(description="What there must be.")
    action: Action = Field(description="What is to be done.")


class Note(BaseModel):
    """A machine that stays as it is, or that doesn't count, and why."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    subject: str
    title: str = Field(description="The source's name.")
    text: str


class Gap(BaseModel):
    """What is to be supplemented; what keeps more than is required; which machines don't count."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    existing_source: str
    required_source: str
    items: tuple[Item, ...]
    kept: tuple[Note, ...]
    not_counted: tuple[Note, ...]


def gap(existing: Register, required: Register) -> Gap:
    """`required` less `existing`."""
    pairs = _pairs(existing.servers, required.servers)
    matched = {have.name for _, have in pairs if have}
    return Gap(
        existing_source=existing.source,
        required_source=required.source,
        items=(
            *(item for need, have in pairs for item in _server(required.category, need, have)),
            *_database(existing, required),
            *_storage(existing, required),
            *_balancer(existing, required),
            *_access(existing, required),
        ),
        kept=tuple(note for need, have in pairs if have for note in _kept(need, have)),
        not_counted=tuple(
            _not_counted(server, required.servers)
            for server in existing.servers
            if server.name not in matched
        ),
    )


def _pairs(
    existing: Iterable[Server], required: Iterable[Server]
) -> tuple[tuple[Server, Server | None], ...]:
    """Each required server with the existing one that can become it: same name, else same role; same OS."""
    free = list(existing)
    found: dict[str, Server] = {}
    wanted = list(required)
    for key in ("name", "role"):
        for need in wanted:
            have = next(
                (have for have in free if have.os == need.os and getattr(have, key) == getattr(need, key)),
                None,
            )
            if have and need.name not in found:
                found[need.name] = have
                free.remove(have)
    return tuple((need, found.get(need.name)) for need in wanted)


def _server(category: str, need: Server, have: Server | None) -> Iterator[Item]:
    common = {"category": "Servers", "category_zh": category, "subject": need.name}
    if have is None:
        size = f"{need.os.capitalize()}, {need.memory_gb}G, {need.cpus} cores, {need.disk_gb}G"
        yield Item(**common, property="server", exists="none", required=size, action="add")
        return
    for key, name, unit in PROPERTIES:
        now, then = getattr(have, key), getattr(need, key)
        if now < then:
            yield Item(
                **common, property=name, exists=f"{now}{unit}", required=f"{then}{unit}", action="grow"
            )


def _kept(need: Server, have: Server) -> Iterator[Note]:
    for key, name, unit in PROPERTIES:
        now, then = getattr(have, key), getattr(need, key)
        if now > then:
            yield Note(
                subject=have.name,
                title=have.title,
                text=f"{name} {now}{unit} stays: {then}{unit} required, nothing is shrunk",
            )


def _not_counted(server: Server, required: Iterable[Server]) -> Note:
    wanted = sorted({need.os for need in required if need.role == server.role})
    name = ROLE_NAMES[server.role]
    if wanted and server.os not in wanted:
        text = (
            f"runs {server.os.capitalize()}: the {name} must run {' or '.join(map(str.capitalize, wanted))}"
        )
    elif wanted:
        text = f"more than the {name}s required"
    else:
        text = f"no {name} is required"
    return Note(subject=server.name, title=server.title, text=text)


def _database(existing: Register, required: Register) -> Iterator[Item]:
    need, have = required.database, existing.database
    if need is None:
        return
    same = have is not None and have.kind == need.kind and have.physical >= need.physical
    count = have.machines if have and same else 0
    if count < need.machines:
        kind = "Oracle RAC" if need.kind == "oracle" else "PostgreSQL"
        machines = "physical machines" if need.physical else "machines"
        yield Item(
            category="Database",
            category_zh=need.category,
            subject="database servers",
            property="machines",
            exists=str(count) if count else "none",
            required=f"{need.machines} {machines}, {kind}",
            action="provide",
        )


def _storage(existing: Register, required: Register) -> Iterator[Item]:
    need, have = required.storage, existing.storage
    if need is None:
        return
    common = {"category": "Shared storage", "category_zh": need.category, "subject": "shared storage"}
    size = have.size_gb if have else 0
    if size < need.size_gb:
        yield Item(
            **common,
            property="size",
            exists=terabytes(size) if have else "none",
            required=f"{terabytes(need.size_gb)} or more",
            action="grow" if have else "provide",
        )
    yield from _mounts(need, have, required.servers, common)


def _mounts(
    need: SharedStorage, have: SharedStorage | None, servers: tuple[Server, ...], common: dict[str, str]
) -> Iterator[Item]:
    done = have.mounted_on if have else ()
    without = span(server.name for server in servers if server.role not in need.mounted_on)
    for server in servers:
        if server.role in need.mounted_on and server.role not in done:
            yield Item(
                **(common | {"subject": server.name}),
                property="mount",
                exists="unrecorded",
                required=f"mounted (not on {without})" if without else "mounted",
                action="mount",
            )


def _balancer(existing: Register, required: Register) -> Iterator[Item]:
    need, have = required.balancer, existing.balancer
    if need is None:
        return
    common = {"category": "Load balancer", "category_zh": need.category}
    there = have is not None and have.kind == need.kind
    if not there:
        yield Item(
            **common,
            subject="balancer",
            property="device",
            exists=f"{have.kind} balancer" if have else "none",
            required=f"{need.kind} balancer",
            action="provide",
        )
    mapped = have.members if have and there else ()
    for member in need.members:
        if member not in mapped:
            yield Item(
                **common, subject=member, property="member", exists="none", required="mapped", action="map"
            )


def _access(existing: Register, required: Register) -> Iterator[Item]:
    need, have = required.public_access, existing.public_access
    if need is None:
        return
    for key, name in (("address", "public address"), ("domain", "domain name")):
        if getattr(need, key) and not (have and getattr(have, key)):
            yield Item(
                category="Public access",
                category_zh=need.category,
                subject=name,
                property=key,
                exists="none",
                required="one for the balancer",
                action="provide",
            )
