"""Whether the plan (the inventory) meets what is required and shrinks nothing that exists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from xjops.site.addresses import address_plan, internal_need, placeholder
from xjops.site.gap import PROPERTIES
from xjops.site.model import Host, Site
from xjops.site.registers import GROUPS, Register, Server
from xjops.site.words import span, terabytes

# The same words as `xjops.checks.Status`, which stands above this package.
State = Literal["pass", "warn", "fail", "not-run"]

RESERVED = (".example", ".invalid", ".test")  # RFC 2606: names that exist nowhere


class Finding(BaseModel):
    """One thing looked at: `subject`, its state, what was seen and what mends it."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    subject: str = Field(description="Host or part.")
    status: State = Field(description="As of a check.")
    text: str = Field(description="What was seen.")
    mend: str = Field(default="", description="Empty when there is nothing to mend.")


def findings(site: Site, required: Register | None, existing: Register | None) -> tuple[Finding, ...]:
    """Everything that can be said of a valid site without touching a machine."""
    return (
        *(_required(site, required) if required else _no_register("required")),
        *(_existing(site, existing) if existing else ()),
        *_addresses(site),
        *_access(site),
        *_files(site),
    )


def _no_register(name: str) -> Iterator[Finding]:
    mend = f"write registers/{name}.yml as in inventories/example"
    yield Finding(subject="requirements", status="not-run", text=f"no registers/{name}.yml", mend=mend)


def _required(site: Site, required: Register) -> Iterator[Finding]:
    for need in required.servers:
        host = next((host for host in site.hosts if host.name == need.name), None)
        if need.role in GROUPS:
            yield _server(need, host)
    yield from _database(site, required)
    yield from _storage(site, required)
    yield from _balancer(site, required)


def _server(need: Server, host: Host | None) -> Finding:
    group = GROUPS[need.role]
    if host is None:
        return Finding(
            subject=need.name, status="fail", text="is not planned", mend=f"add it to {group} in hosts.yml"
        )
    if group not in host.groups:
        text, mend = f"is planned outside {group}", f"move it to {group} in hosts.yml"
        return Finding(subject=need.name, status="fail", text=text, mend=mend)
    if host.os != need.os:
        return Finding(
            subject=need.name, status="fail", text=f"is planned with {host.os}", mend=f"os: {need.os}"
        )
    short = [
        f"{name} {now or 0}{unit} of {then}{unit}"
        for (_, name, unit), now, then in zip(PROPERTIES, sizes(host), needed(need), strict=True)
        if (now or 0) < then
    ]
    if short:
        text = f"is planned with {', '.join(short)}"
        return Finding(subject=need.name, status="fail", text=text, mend="plan it with what is required")
    memory, cores, disk = sizes(host)
    return Finding(subject=need.name, status="pass", text=f"{memory}G, {cores} cores, {disk}G planned")


def sizes(host: Host) -> tuple[int | None, int | None, int | None]:
    """Planned memory in G, cores and disk in G."""
    return host.memory_mb // 1024 if host.memory_mb else None, host.cpus, host.disk_gb


def needed(server: Server) -> tuple[int, int, int]:
    """Memory in G, cores and disk in G of a register's row."""
    return server.memory_gb, server.cpus, server.disk_gb


def _database(site: Site, required: Register) -> Iterator[Finding]:
    need = required.database
    if need is None:
        return
    servers = site.group("database_servers")
    physical = [host for host in servers if "physical_machines" in host.groups]
    count = len(physical if need.physical else servers)
    text = f"{count} {'physical machines' if need.physical else 'machines'}, {site.database.kind}"
    good = count >= need.machines and site.database.kind == need.kind
    mend = "" if good else f"plan {need.machines} in database_servers, and database.kind: {need.kind}"
    yield Finding(subject="database", status="pass" if good else "fail", text=text, mend=mend)


def _storage(site: Site, required: Register) -> Iterator[Finding]:
    need = required.storage
    if need is None:
        return
    good = site.storage.size_gb >= need.size_gb
    text = f"{terabytes(site.storage.size_gb)} of {terabytes(need.size_gb)} planned"
    mend = "" if good else f"storage.size_gb: {need.size_gb} in group_vars/all/site.yml"
    yield Finding(subject="shared storage", status="pass" if good else "fail", text=text, mend=mend)


def _balancer(site: Site, required: Register) -> Iterator[Finding]:
    need = required.balancer
    if need is None:
        return
    kind = "software" if site.balancer.kind == "haproxy" else "hardware"
    lacking = [name for name in need.members if name not in site.balancer.members]
    surplus = [name for name in site.balancer.members if name not in need.members]
    wrong = [
        *([f"is {kind}, {need.kind} is required"] if kind != need.kind else []),
        *([f"lacks {span(lacking)}"] if lacking else []),
        *([f"has {span(surplus)}, which must stay outside"] if surplus else []),
    ]
    if wrong:
        mend = f"balancer.members: {span(need.members)}, {need.kind}"
        yield Finding(subject="balancer", status="fail", text="; ".join(wrong), mend=mend)
    else:
        yield Finding(subject="balancer", status="pass", text=f"{kind}, {span(need.members)} mapped")


def _existing(site: Site, existing: Register) -> Iterator[Finding]:
    """Nothing that exists is planned smaller."""
    for server in existing.servers:
        host = next((host for host in site.hosts if host.name == server.name and host.os == server.os), None)
        if host is None:
            continue
        less = [
            f"{name} from {then}{unit} to {now}{unit}"
            for (_, name, unit), now, then in zip(PROPERTIES, sizes(host), needed(server), strict=True)
            if now is not None and now < then
        ]
        if less:
            mend = "plan at least what it has"
            yield Finding(
                subject=server.name, status="fail", text=f"would shrink: {', '.join(less)}", mend=mend
            )
    if existing.storage and site.storage.size_gb < existing.storage.size_gb:
        text = f"would shrink from {terabytes(existing.storage.size_gb)} to {terabytes(site.storage.size_gb)}"
        yield Finding(subject="shared storage", status="fail", text=text, mend="plan at least what it has")


def _addresses(site: Site) -> Iterator[Finding]:
    claims = address_plan(site)
    inside = internal_need(site)
    text = f"{inside} internal, {len(claims) - inside} others, none twice"
    yield Finding(subject="addresses", status="pass", text=text)
    if site.site.kind == "production":
        yield from placeholders(site)
        named = {
            "vcenter.host": site.vcenter.host,
            "database.scan": site.database.scan or "",
            "storage.export": site.storage.export.partition(":")[0],
            "balancer.domain": site.balancer.domain or "",
        }
        for key in (key for key, name in named.items() if name.endswith(RESERVED)):
            mend = f"write the real name: {key} in group_vars/all/site.yml"
            yield Finding(subject=key, status="warn", text=f"{named[key]} is a placeholder", mend=mend)


def placeholders(site: Site) -> Iterator[Finding]:
    """Claims that are not assigned yet: addresses of the documentation ranges."""
    open_ = [claim.owner for claim in address_plan(site) if placeholder(claim.address)]
    if open_:
        yield Finding(
            subject="addresses",
            status="warn",
            text=f"{len(open_)} are placeholders of the documentation ranges: {span(open_)}",
            mend="write the assigned ones into hosts.yml and group_vars/all/site.yml",
        )


def _access(site: Site) -> Iterator[Finding]:
    for key, name in (("address", "public address"), ("domain", "domain name")):
        value = getattr(site.balancer, key)
        if value is None:
            mend = f"ask for it, then balancer.{key} in group_vars/all/site.yml"
            yield Finding(subject=name, status="warn", text="is not assigned yet", mend=mend)
        else:
            yield Finding(subject=name, status="pass", text=str(value))


def _files(site: Site) -> Iterator[Finding]:
    """The files that the site names; the lab's are made by `xjops lab up`."""
    named = {
        "vcenter.ca_file": site.vcenter.ca_file,
        "balancer.certificate_file": site.balancer.certificate_file,
        "balancer.ca_file": site.balancer.ca_file,
        "balancer.management_ca_file": site.balancer.management_ca_file,
        "balancer.management_certificate_file": site.balancer.management_certificate_file,
        "bundle.public_key_file": site.bundle.public_key_file,
    }
    mend = "xjops lab up" if site.site.kind == "lab" else f"put it below inventories/{site.name}"
    for key, path in named.items():
        if path is not None and not site.file(path).is_file():
            yield Finding(subject=key, status="warn", text=f"{path} is not there yet", mend=mend)
    if not site.secrets:
        vault = "group_vars/all/vault.yml"
        make = mend if site.site.kind == "lab" else f"ansible-vault create inventories/{site.name}/{vault}"
        yield Finding(subject="vault", status="warn", text=f"{vault} is not there yet", mend=make)
