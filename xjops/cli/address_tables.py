"""The screen of `xjops site addresses`, and its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xjops.cli.site_tables import STYLES, console

if TYPE_CHECKING:
    from xjops.checks.address_probe import Probe, Seen
    from xjops.site.numbering import Extent, Numbering, Row
    from xjops.site.planned import Finding
    from xjops.site.problems import Problem


def as_data(
    plan: Numbering, findings: Sequence[Finding], seen: Probe | None, problems: Sequence[Problem]
) -> dict[str, Any]:
    """docs/reference/addresses.md."""
    data = plan.model_dump(mode="json")
    data["findings"] = [finding.model_dump(mode="json") for finding in findings]
    data["problems"] = [str(problem) for problem in problems]
    data["probe"] = seen and {
        "planned": [item.as_dict() for item in seen.planned],
        "unplanned": [item.as_dict() for item in seen.unplanned],
    }
    return data


def show(site: str, plan: Numbering, findings: Sequence[Finding], seen: Probe | None) -> None:
    """The plan side by side with what answers."""
    screen = console()
    answers = {(item.address, item.owner): item for item in seen.planned} if seen else {}
    for side, extent in (("internal", plan.internal), ("public", plan.public)):
        rows = [row for row in plan.rows if row.side == side]
        about = f"{extent.subnet} by {extent.gateway} · {extent.required} required"
        screen.print(Text(f"\n{site} · {side}  ", "bold"), Text(about, "dim"), sep="")
        screen.print(Padding(_rows(rows, answers, asked=seen is not None), (0, 0, 0, 2)))
        _free(screen, extent)
    if plan.overlapping:
        screen.print(Text("the two subnets overlap", "bold red"))
    if seen and seen.unplanned:
        screen.print(Text("\nNot planned, but answering", "bold"))
        for item in seen.unplanned:
            screen.print(f"  {item.address}  {item.text}", highlight=False)
    screen.print()
    for finding in findings:
        line = Text(finding.status, STYLES[finding.status]).append(
            f"  {finding.subject}: {finding.text}", "default"
        )
        screen.print(line.append(f" → {finding.mend}", "dim") if finding.mend else line, soft_wrap=True)


def _rows(rows: Sequence[Row], answers: dict[Any, Seen], *, asked: bool) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    for column in ("address", "planned for", *(["on the network"] if asked else []), ""):
        table.add_column(column, no_wrap=column in ("address", "planned for"))
    for row in rows:
        note = Text("; ".join(row.flaws), "bold red")
        if row.placeholder and not row.flaws:
            note = Text("placeholder", "yellow")
        seen = answers.get((row.address, row.owner))
        words = Text(seen.text, STYLES[seen.status.value]) if seen else Text("not asked", "dim")
        table.add_row(str(row.address), row.owner, *([words] if asked else []), note)
    return table


def _free(screen: Console, extent: Extent) -> None:
    count = sum(item.count for item in extent.free)
    text = ", ".join(map(str, extent.free)) or "none"
    screen.print(f"  free ({count}): {text}", highlight=False)
    if extent.reserved:
        screen.print(f"  not free: {', '.join(extent.reserved)}", highlight=False)
