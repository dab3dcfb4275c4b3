"""`xjops journal show|verify`."""

from __future__ import annotations

import json

import click

from xjops.cli.options import format_option, site_option


@click.group()
def journal() -> None:
    """The record of every run: who, when, what, hosts, result."""


@journal.command()
@site_option
@format_option("table", "json")
@click.option("--last", default=20, show_default=True, help="How many runs.")
def show(site_name: str, output_format: str, last: int) -> None:
    """Show the latest runs; one that was killed has a start and no end."""
    from xjops.journal.runs import journal_of

    runs: dict[str, dict[str, object]] = {}
    for entry in journal_of(site_name).entries():
        if "run" in entry.data:
            runs.setdefault(entry.data["run"], {"exit_code": None}).update(entry.data)
    chosen = list(runs.values())[-last:]
    if output_format == "json":
        click.echo(json.dumps(chosen, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "verb", "who", "seconds", "exit", "error", box=None, header_style="bold")
    for run in chosen:
        code = "killed" if run["exit_code"] is None else str(run["exit_code"])
        cells = (run["run"], run["verb"], run["who"], run.get("seconds", ""), code, run.get("error", ""))
        table.add_row(*map(str, cells), style="" if code == "0" else "red")
    Console().print(table)


@journal.command()
@site_option
def verify(site_name: str) -> None:
    """Check the chain of hashes; name the first line that was changed."""
    from xjops.journal.runs import journal_of

    records = journal_of(site_name)
    count = records.verify()
    click.echo(f"{count} entries, chain unbroken, head {records.head()}")
