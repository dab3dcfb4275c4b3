"""`xjops checklist list|run`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xjops.cli.options import format_option, site_option

if TYPE_CHECKING:
    from collections.abc import Iterable

    from xjops.checks.engine import Report
    from xjops.checks.result import Result, Status

STYLES = {
    "pass": "green",
    "warn": "yellow",
    "fail": "bold red",
    "waived": "magenta",
    "attested": "blue",
    "not-run": "bold bright_black",
}


@click.group()
def checklist() -> None:
    """Run the ministry's environment checklists."""


@checklist.command("list")
def list_() -> None:
    """The checklists there are."""
    from xjops.checks import profile

    for name in profile.names():
        about = profile.load(name)
        click.echo(f"{name:<12} {len(about.items):>3} items  {about.title} (seed {about.seed})")


@checklist.command()
@site_option
@click.option(
    "--profile", "profiles", multiple=True, metavar="NAME", help="Repeatable; default: all of them."
)
@format_option("table", "json", "html")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Folder for JSON and HTML."
)
@click.option("--fail-on", type=click.Choice(["warn", "not-run", "fail"]), default="warn", show_default=True)
@click.option("--all", "details", is_flag=True, help="In the table, also the results that passed.")
def run(
    site_name: str,
    profiles: tuple[str, ...],
    output_format: str,
    output: Path | None,
    fail_on: str,
    details: bool,
) -> int:
    """Look at every host and at vCenter once, and judge every item with evidence.

    Exit code: 0 all well, 1 an item failed, 4 an item could not be checked, 3 a warning.
    """
    from xjops.checks import engine, profile
    from xjops.checks.registers import Registers
    from xjops.checks.result import Status, exit_code
    from xjops.journal import recorded
    from xjops.reports import checklist as report
    from xjops.site import Site

    chosen = [profile.load(name) for name in profiles or profile.names()]
    if len(chosen) > 1 and output_format != "table" and output is None:
        raise click.UsageError(f"--format {output_format} prints one checklist: give --profile, or -o DIR")
    site = Site.load(site_name)
    registers = Registers(site, datetime.now(UTC).date())
    parameters = {"profiles": [about.name for about in chosen]}
    with recorded(site.name, "checklist run", parameters, [host.name for host in site.hosts]) as record:
        context = engine.look(site)
        reports = [engine.run(about, context, registers) for about in chosen]
        for one in reports:
            record.result[one.profile.name] = report.counts(one)
            _show(one, output_format if output is None else "table", details)
            for path in report.write(one, output) if output else []:
                click.echo(f"written: {path}")
        statuses = [status for one in reports for status in one.statuses]
        record.exit_code = exit_code(statuses, Status(fail_on))
    return int(record.exit_code)


def _show(one: Report, output_format: str, details: bool) -> None:
    from xjops.reports import checklist as report

    if output_format == "json":
        click.echo(report.as_json(one), nl=False)
    elif output_format == "html":
        click.echo(report.as_html(one), nl=False)
    else:
        show_table(one, details)


def show_table(one: Report, details: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from xjops.checks.result import Status
    from xjops.reports.checklist import counts

    console = Console()
    table = Table(box=None, header_style="bold", padding=(0, 1), expand=console.is_terminal)
    table.add_column("#", justify="right", style="dim")
    table.add_column("status", no_wrap=True)
    table.add_column("item, check", ratio=3, overflow="fold")
    table.add_column("seen", ratio=4, overflow="fold")
    for number, item in enumerate(one.items, 1):
        style = STYLES[item.status]
        passed = "" if details else "; ".join(_passed(item.results))
        table.add_row(
            str(number), Text(item.status, style), Text(item.item.text, "bold"), Text(passed, "dim")
        )
        for check, subjects, status, value, message in _groups(item.results, details):
            seen = Text(value)
            if message:
                seen.append(f"\n→ {message}", "dim")
            table.add_row("", Text(f" {status}", STYLES[status]), Text(f"{check} {subjects}"), seen)
    console.print(Text(f"\n{one.profile.title}", "bold"), Text(f"{one.title}（{one.site}）", "dim"))
    console.print(table)
    found = {Status(name): count for name, count in counts(one).items() if count}
    line = Text("  ").join(Text(f"{count} {status}", STYLES[status]) for status, count in found.items())
    console.print(Text("→ ", "bold") + line)


def _passed(results: Iterable[Result]) -> list[str]:
    """The distinct values of what passed, in their order."""
    from xjops.checks.result import Status

    return list(dict.fromkeys(result.value for result in results if result.status is Status.PASS))


def _groups(results: Iterable[Result], details: bool) -> list[tuple[str, str, Status, str, str]]:
    """Results that say the same of several subjects as one row; what passed only with `details`."""
    from xjops.checks.result import Status

    subjects: dict[tuple[str, Status, str, str], list[str]] = {}
    for result in results:
        if details or result.status is not Status.PASS:
            key = (result.check, result.status, result.value, result.message)
            subjects.setdefault(key, []).append(result.subject)
    return [
        (check, ", ".join(names), status, value, message)
        for (check, status, value, message), names in subjects.items()
    ]
