"""The screens of `xjops site`: plain text when the output is no terminal."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xjops.site.addresses import internal_need
from xjops.site.groups import ROLES
from xjops.site.words import span, terabytes

if TYPE_CHECKING:
    from xjops.site.gap import Gap, Item, Note
    from xjops.site.model import Host, Site
    from xjops.site.planned import Finding
    from xjops.site.summary import Line

PIPE_WIDTH = 160
MINIMUM = 10
STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "not-run": "bold bright_black"}
ROLE_WORDS = {name: name.removesuffix("s").replace("_", " ") for name in ROLES}


def console() -> Console:
    """The terminal; where there is none at all, wide enough that lines stay whole."""
    terminal = any(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    return Console() if terminal or "COLUMNS" in os.environ else Console(width=PIPE_WIDTH)


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _heading(screen: Console, site: Site, about: str) -> None:
    screen.print(Text(f"\n{site.site.title}", "bold"), Text(f"{site.name} · {about}\n", "dim"))


def sites(lines: Sequence[Line]) -> None:
    """`xjops site list`."""
    table = _table("site", "title", "kind", "region", "machines", "")
    for line in lines:
        if line.problems:
            state = Text(f"{len(line.problems)} problems: xjops site check --site {line.name}", "bold red")
            table.add_row(Text(line.name, "bold"), "", "", "", "", state)
            continue
        machines = f"{line.virtual_machines} virtual, {line.physical_machines} physical"
        table.add_row(
            Text(line.name, "bold"), line.title, line.kind, line.region, machines, Text("ok", "green")
        )
    console().print(table)


def site(site: Site) -> None:
    """`xjops site show`."""
    screen = console()
    _heading(screen, site, f"{site.site.kind} · region {site.site.region} · {site.site.timezone}")
    machines = _table("host", "role", "address", "public", "cores", "memory", "disk", "machine")
    for column in machines.columns[4:7]:
        column.justify = "right"
    for host in site.hosts:
        machines.add_row(*_host(host))
    screen.print(machines)
    screen.print()
    parts = _table("part", "")
    parts.show_header = False
    parts.columns[0].style = "bold"
    parts.columns[0].no_wrap = True
    for name, text in _parts(site):
        parts.add_row(name, text)
    screen.print(parts)


def _host(host: Host) -> tuple[str, ...]:
    roles = ", ".join(ROLE_WORDS[name] for name in ROLES if name in host.groups)
    memory = f"{host.memory_mb / 1024:g}G" if host.memory_mb else ""
    disk = f"{host.disk_gb}G" if host.disk_gb else ""
    kind = "virtual" if "virtual_machines" in host.groups else "physical"
    public = str(host.public_address or "")
    return host.name, roles, str(host.address), public, str(host.cpus or ""), memory, disk, kind


def _parts(site: Site) -> Iterable[tuple[str, str]]:
    network, database, balancer = site.network, site.database, site.balancer
    yield (
        "internal",
        f"{network.internal.subnet} by {network.internal.gateway}, {internal_need(site)} addresses in use",
    )
    given = ", ".join(map(str, network.public_addresses)) or "no address assigned"
    yield "public", f"{network.public.subnet} by {network.public.gateway}: {given}"
    yield (
        "vCenter",
        f"{site.vcenter.host}:{site.vcenter.port} {site.vcenter.datacenter}/{site.vcenter.cluster}",
    )
    if database.kind == "oracle":
        virtual, scan = (
            ", ".join(map(str, at)) for at in (database.virtual_addresses, database.scan_addresses)
        )
        yield "database", f"Oracle RAC {database.scan}:{database.port}/{database.service}"
        yield "", f"virtual {virtual}; SCAN {scan}"
    else:
        hosts = span(host.name for host in site.group("database_servers"))
        yield "database", f"PostgreSQL {database.name} on {hosts}, port {database.port}"
    storage = site.storage
    yield (
        "storage",
        f"{storage.kind} {storage.export}, {terabytes(storage.size_gb)}, at {storage.mount_point}",
    )
    address, domain = balancer.address or "no address yet", balancer.domain or "no domain yet"
    yield "balancer", f"{balancer.kind} {address}, {domain} → {span(balancer.members)}"
    yield "bundle", site.bundle.url
    yield "registry", site.registry.version
    yield "secrets", f"{len(site.secrets)} in the vault" if site.secrets else "no vault yet"


def findings(site: Site, found: Sequence[Finding], details: bool) -> None:
    """`xjops site check`."""
    screen = console()
    open_ = [finding for finding in found if finding.status != "pass"]
    _heading(
        screen, site, "no mistake in the inventory" + ("; open:" if open_ else ", the plan is as required")
    )
    table = _table("status", "subject", "seen")
    table.columns[0].no_wrap = table.columns[1].no_wrap = True
    for finding in found if details else open_:
        seen = Text(finding.text)
        if finding.mend:
            seen.append(f"\n→ {finding.mend}", "dim")
        table.add_row(Text(finding.status, STYLES[finding.status]), finding.subject, seen)
    if table.row_count:
        screen.print(table)
    counts = Counter[str](finding.status for finding in found)
    screen.print(Text("  ").join(Text(f"{counts[s]} {s}", STYLES[s]) for s in STYLES if counts[s]))


def gap(site: Site, found: Gap) -> None:
    """`xjops site gap`."""
    screen = console()
    _heading(screen, site, "required less existing")
    rows = _rows(found.items)
    cells = [("what", "exists", "required", "to do"), *(_cells(item, subjects) for item, subjects in rows)]
    widths = _fitting([max(map(cell_len, column)) for column in zip(*cells, strict=True)], screen.width - 2)

    def show(*lines: tuple[str, ...], header: bool = False) -> None:
        table = _table(*cells[0])
        table.show_header = header
        for column, width in zip(table.columns, widths, strict=True):
            column.width = width
        table.columns[-1].style = "yellow"
        for line in lines:
            table.add_row(*line)
        screen.print(Padding(table, (0, 0, 0, 2), expand=False))

    if rows:
        show(header=True)
    for heading, group in groupby(rows, lambda row: (row[0].category, row[0].category_zh)):
        screen.print(Text(f"{heading[0]} ", "bold cyan"), Text(heading[1], "dim"))
        show(*(_cells(item, subjects) for item, subjects in group))
    _notes(screen, "Stay as they are", found.kept)
    _notes(screen, "Don't count", found.not_counted)
    things = f"{len(rows)} things to supplement" if found.items else "nothing to supplement"
    screen.print(Text(f"\n{things}", "bold yellow" if found.items else "bold green"))
    sources = {"required": found.required_source, "existing": found.existing_source}
    for text in dict.fromkeys(sources.values()):
        names = " and ".join(name for name, source in sources.items() if source == text)
        screen.print(Text(f"{names}: {text}", "dim"))


def _fitting(widths: list[int], screen: int) -> list[int]:
    """Column widths that fit the screen with two blanks between: the widest gives way first."""
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > screen and max(fitting) > MINIMUM:
        fitting[fitting.index(max(fitting))] -= 1
    return fitting


def _cells(item: Item, subjects: Sequence[str]) -> tuple[str, str, str, str]:
    what = span(subjects)
    if item.property in ("memory", "cores", "disk", "size"):
        what += f": {item.property}"
    to_do = f"{item.action} {len(subjects)}" if item.action == "add" else item.action
    return what, item.exists, item.required, to_do


def _rows(items: Iterable[Item]) -> list[tuple[Item, list[str]]]:
    """Items that differ in their subject only, as one row."""

    def same(item: Item) -> tuple[str, ...]:
        return item.category_zh, item.property, item.exists, item.required, item.action

    grouped = (list(group) for _, group in groupby(items, same))
    return [(group[0], [item.subject for item in group]) for group in grouped]


def _notes(screen: Console, heading: str, notes: Sequence[Note]) -> None:
    if not notes:
        return
    screen.print(Text(f"\n{heading}", "bold"))
    table = _table("what", "why")
    table.show_header = False
    for text, group in groupby(notes, lambda note: note.text):
        same = list(group)
        titles = f" {same[0].title}" if len(same) == 1 else ""
        table.add_row(span(note.subject for note in same) + titles, text)
    screen.print(Padding(table, (0, 0, 0, 2), expand=False))
