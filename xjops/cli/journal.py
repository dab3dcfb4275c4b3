"""`xjops journal show|export|verify`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from xjops.cli.options import format_option, site_option

if TYPE_CHECKING:
    from xjops.journal.history import Past, Query

F = TypeVar("F", bound=Callable[..., object])
RESULTS = ("ok", "warn", "failed", "not-run", "interrupted", "running", "killed")
STYLES = {"ok": "", "warn": "yellow", "not-run": "yellow", "running": "cyan"}


def query_options(function: F) -> F:
    """What is looked for; all that is given has to hold."""
    for option in (
        click.option("--text", default="", metavar="WORDS", help="Words anywhere in the run's record."),
        click.option("--result", "results", multiple=True, type=click.Choice(RESULTS), help="How it ended."),
        click.option("--until", default="", metavar="WHEN", help="Before this time."),
        click.option(
            "--since", default="", metavar="WHEN", help="2026-11-22, 2026-11-22T08:00, or 3d, 12h ago."
        ),
        click.option("--host", default="", help="Runs that concerned this host."),
        click.option("--who", default="", metavar="NAME", help="Who ran it (part of the name)."),
        click.option("--verb", default="", help="What was run: apply, vm apply, lb …"),
    ):
        function = option(function)
    return function


@click.group()
def journal() -> None:
    """The record of every run: who, when, what, hosts, result."""


@journal.command()
@click.argument("run", required=False)
@site_option
@format_option("table", "json")
@query_options
@click.option("--last", default=20, show_default=True, type=click.IntRange(1), help="How many runs.")
def show(run: str | None, site_name: str, output_format: str, last: int, **words: Any) -> None:
    """Show the latest runs, or those that are looked for; with RUN (or its beginning) all of one."""
    from xjops.journal.history import find, history
    from xjops.journal.runs import journal_of

    entries = journal_of(site_name).entries()
    if run:
        chosen = [_only([past for past in history(entries) if past.run.startswith(run)], run)]
    else:
        chosen = list(find(entries, _query(**words)))[-last:]
    if output_format == "json":
        click.echo(json.dumps([past.as_data() for past in chosen], ensure_ascii=False, indent=2))
    elif run:
        _whole(site_name, chosen[0])
    else:
        _table(chosen)


@journal.command()
@site_option
@click.option(
    "--format", "output_format", type=click.Choice(["csv", "json"]), default="csv", show_default=True
)
@click.option(
    "--language", type=click.Choice(["zh", "en"]), default="zh", show_default=True, help="Of the headings."
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Default: standard output."
)
@query_options
def export(site_name: str, output_format: str, language: str, output: Path | None, **words: Any) -> None:
    """Export runs for a spreadsheet (csv), or with the chain's own lines (json). Refuses a broken chain."""
    from xjops.journal.history import find
    from xjops.journal.runs import journal_of
    from xjops.reports import journal as report

    records = journal_of(site_name)
    records.verify()
    chosen = list(find(records.entries(), _query(**words)))
    if output_format == "csv":
        text = report.as_csv(chosen, language)
    else:
        text = report.as_json(site_name, chosen, records.entries(), records.head())
    if output is None:
        click.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8", newline="")
    click.echo(f"{len(chosen)} runs → {output}", err=True)


@journal.command()
@site_option
def verify(site_name: str) -> None:
    """Check the chain of hashes; name the first line that was changed."""
    from xjops.journal.runs import journal_of

    records = journal_of(site_name)
    count = records.verify()
    click.echo(f"{count} entries, chain unbroken, head {records.head()}")


def _query(**words: Any) -> Query:
    from xjops.journal.history import Query, Result, moment

    since, until = (moment(words[key]) if words[key] else None for key in ("since", "until"))
    results = tuple(map(Result, words["results"]))
    return Query(words["verb"], words["who"], words["host"], words["text"], since, until, results)


def _only(found: list[Past], run: str) -> Past:
    """The one run that was named. Raises `UsageError` for none or several."""
    from xjops.core.errors import UsageError

    if len(found) != 1:
        what = f"no run begins with {run!r}" if not found else f"{len(found)} runs begin with {run!r}"
        raise UsageError(what, mend="xjops journal show")
    return found[0]


def _table(runs: list[Past]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", padding=(0, 1))
    for name in ("run", "verb", "who", "seconds", "result", "error"):
        table.add_column(name, no_wrap=name in {"run", "verb", "result"}, overflow="fold")
    for past in runs:
        seconds = "" if past.seconds is None else f"{past.seconds:.1f}"
        cells = (past.run, past.verb, past.who, seconds, past.result.value, past.error)
        table.add_row(*cells, style=STYLES.get(past.result.value, "red"))
    Console().print(table, highlight=False)


def _whole(site_name: str, past: Past) -> None:
    from rich.console import Console
    from rich.table import Table

    from xjops.core import paths

    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    log = paths.state(site_name) / "runs" / past.run / "log.txt"
    rows = {
        "run": past.run,
        "verb": past.verb,
        "who": past.who,
        "began": f"{past.time.astimezone():%Y-%m-%d %H:%M:%S %Z}",
        "seconds": "" if past.seconds is None else f"{past.seconds:.1f}",
        "result": past.result.value + ("" if past.exit_code is None else f" (exit code {past.exit_code})"),
        "hosts": " ".join(past.hosts) or "all of the site",
        "parameters": json.dumps(past.parameters, ensure_ascii=False),
        "error": past.error,
        "log": str(log) if log.is_file() else "",
        "lines": f"{', '.join(map(str, past.lines))} of the chain",
    }
    for name, words in rows.items():
        if words:
            table.add_row(name, words)
    console = Console()
    console.print(table, highlight=False)
    if past.outcome:
        console.print_json(json.dumps(past.outcome, ensure_ascii=False))
