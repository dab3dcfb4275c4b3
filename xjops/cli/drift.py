"""`xjops drift`: look regularly at what differs from a site's plan."""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.options import format_option, site_option, yes_option
from xjops.core.errors import DeadlineError, ExitCode, XjopsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from xjops.adapters.ansible import HostOutcome
    from xjops.checks.result import Result
    from xjops.plan.look import Look
    from xjops.plan.watched import Watched

FILE = click.Path(path_type=Path, dir_okay=False)
metrics_option = click.option("--metrics", type=FILE, help="The file for node_exporter's textfile collector.")
MINUTES = ("5", "10", "15", "20", "30", "60")  # what the calendar of the role drift_watch can say
NAMED = 4  # hosts that were not seen, in one line
SHOWN = 30  # differences that a table shows


@click.group()
def drift() -> None:
    """Look regularly at what differs from the plan: by a timer here, as metrics, and since when."""


@drift.command("run")
@site_option
@metrics_option
@click.option("--every", default=15, show_default=True, metavar="MINUTES", help="How often this is called.")
@click.option(
    "--deadline",
    default=240.0,
    show_default=True,
    type=click.FloatRange(min=1),
    metavar="SECONDS",
    help="How long the look may take.",
)
def run_command(site_name: str, metrics: Path | None, every: int, deadline: float) -> int:
    """Look once, keep what differs since when, write metrics. What the timer runs. Changes no host.

    Exit code: 0 nothing to do, 3 something to do (or an apply goes on: not looked at), 4 a part could not be
    seen, 1 a problem stands in the way or the look failed, 78 the site's files are wrong.
    """
    from xjops.plan import watch
    from xjops.site.loader import folder_of

    folder_of(site_name)  # before a state folder is made for a name that was mistyped
    options = watch.Options(metrics, deadline, every * 60.0)
    try:
        known = watch.run(site_name, partial(_look, site_name), options)
    except DeadlineError as error:
        _end_hard(error)
    click.echo(last_watch(known, time.time()))
    return int(known.exit_code)


def _look(site_name: str) -> Look:
    from xjops.lab.simulator import absence
    from xjops.plan.look import look
    from xjops.site import Site

    site = Site.load(site_name)
    return look(site, no_vcenter=absence(site), facts=False)


def _end_hard(error: XjopsError) -> None:
    """A look that hangs has threads that an ordinary end would wait for."""
    from xjops.cli.main import report

    report(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(int(error.exit_code))


@drift.command("status")
@site_option
@format_option("table", "json")
def status_command(site_name: str, output_format: str) -> int:
    """Show the last watch, what differs since when, and whether the timer runs. Asks no host.

    Exit code: 0 watched and nothing differs, 3 something differs, 4 never watched, or a part could not be
    seen, 1 the watch is late or failed, or its timer is not running.
    """
    from xjops.plan import timer, watched
    from xjops.site.loader import folder_of

    folder_of(site_name)
    known, runs, now = watched.load(site_name), timer.status(site_name), time.time()
    code = _code(known, runs, now)
    if output_format == "json":
        told = known and known.as_data() | {"age_seconds": _age(known, now), "late": known.late(now)}
        said = {"status": runs.status.value, "unit": runs.subject, "value": runs.value, "mend": runs.message}
        data = {"schema": 1, "site": site_name, "exit_code": int(code), "watch": told, "timer": said}
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        _show(site_name, known, runs, now)
    return int(code)


def _code(known: Watched | None, timer: Result, now: float) -> ExitCode:
    """Fail before not-run before what the last look said; a watch that waits for an apply is no failure."""
    from xjops.checks.result import Status
    from xjops.plan.watched import Attempt

    late = known is not None and known.late(now) and known.attempt is not Attempt.APPLY
    failed = known is not None and (known.attempt is Attempt.FAILED or known.exit_code is ExitCode.FAIL)
    if timer.status is Status.FAIL or late or failed:
        return ExitCode.FAIL
    if known is None or known.time is None or known.unseen or timer.status is Status.NOT_RUN:
        return ExitCode.NOT_RUN
    return ExitCode.WARN if known.differs or known.attempt is Attempt.APPLY else ExitCode.OK


def _show(site_name: str, known: Watched | None, timer: Result, now: float) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    style = {"pass": "green", "fail": "red"}.get(timer.status.value, "yellow")
    console.print(
        "watch: " + (last_watch(known, now) if known else f"never → xjops drift run --site {site_name}")
    )
    mend = f" → {timer.message}" if timer.message else ""
    console.print(f"timer: [{style}]{timer.status.value}[/] {timer.value}{mend}", markup=True)
    if known is None:
        return
    table = Table("since", "where", "what", "why", "", box=None, header_style="bold")
    for item in sorted(known.differs, key=lambda item: item.since)[:SHOWN]:
        words = ", ".join(item.details[:3]) if item.current else "could not be asked again"
        table.add_row(_clock(item.since), item.subject, item.what, item.why, words)
    for gone in known.unseen:
        table.add_row(_clock(gone.since), gone.subject, "[red]not seen[/]", "", gone.error)
    if table.row_count:
        console.print(table)
    if len(known.differs) > SHOWN:
        console.print(f"and {len(known.differs) - SHOWN} more → xjops drift status --format json")


def last_watch(known: Watched, now: float) -> str:
    """The last watch in one line: when, what differs since when, what was in its way."""
    from xjops.plan.watched import Attempt

    if known.attempt is Attempt.FAILED:
        failed = f"failed {_ago(now - known.attempted)} ago: {known.error}"
        return failed + (f"; looked {_ago(now - known.time)} ago" if known.time else "")
    if known.time is None:
        return "an apply goes on; never looked"
    words = [f"looked {_ago(now - known.time)} ago"]
    words += ["late"] if known.late(now) else []
    words += ["an apply goes on: nothing new was looked at"] if known.attempt is Attempt.APPLY else []
    since = known.differs_since
    if since is not None:
        words.append(f"{len(known.differs)} differ, since {_clock(since)}")
    else:
        words.append("no difference seen" if known.unseen else "nothing differs")
    names = [item.subject for item in known.unseen]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    words += [f"not seen: {', '.join(names[:NAMED])}{more}"] if names else []
    return ", ".join(words)


def _age(known: Watched, now: float) -> int | None:
    return None if known.time is None else round(now - known.time)


def _clock(moment: float) -> str:
    """Local time, as everybody's watch shows it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{max(0, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


@drift.command("install")
@site_option
@click.option("--every", type=click.Choice(MINUTES), default="15", show_default=True, help="Minutes.")
@metrics_option
@click.option("--user", default="", metavar="NAME", help="The account that owns the site's state (you).")
@click.option("--check", is_flag=True, help="Change nothing; say whether something would change.")
@yes_option
def install_command(
    site_name: str, every: str, metrics: Path | None, user: str, check: bool, yes: bool
) -> int:
    """Have systemd on this machine run the watch regularly (role drift_watch)."""
    from xjops.plan import timer

    options: dict[str, Any] = {"minutes": int(every), "metrics": metrics and metrics.absolute(), "user": user}
    question = f"Install {timer.unit(site_name)}.timer on this machine, every {every} minutes?"
    return _change(site_name, "install", question, options, check, yes)


@drift.command("remove")
@site_option
@metrics_option
@click.option("--check", is_flag=True, help="Change nothing; say whether something would change.")
@yes_option
def remove_command(site_name: str, metrics: Path | None, check: bool, yes: bool) -> int:
    """Remove timer, service and metrics from this machine; what the watches know stays."""
    from xjops.plan import timer

    options: dict[str, Any] = {"metrics": metrics and metrics.absolute()}
    question = f"Remove {timer.unit(site_name)}.timer from this machine?"
    return _change(site_name, "remove", question, options, check, yes)


def _change(site_name: str, verb: str, question: str, options: dict[str, Any], check: bool, yes: bool) -> int:
    """Run the role, with a journal entry; say what it changed."""
    from xjops.cli.board import Board
    from xjops.journal import recorded
    from xjops.plan import timer
    from xjops.site import Site

    acts: dict[str, Callable[..., HostOutcome]] = {"install": timer.install, "remove": timer.remove}
    site = Site.load(site_name)
    timer.possible(site_name)
    if not (yes or check):
        click.confirm(question, abort=True, err=True)
    parameters = {"check": check, **{name: str(value) for name, value in options.items() if value}}
    with recorded(site.name, f"drift {verb}", parameters, ["localhost"]) as record, Board() as board:
        outcome = acts[verb](site, log=record.log, check=check, progress=board, **options)
        board("localhost", "changed" if outcome.changed else "ok", f"{outcome.changed} changed")
        record.result = {"changed": outcome.changed}
    words = "would change" if check else "changed"
    click.echo(f"{timer.unit(site_name)}.timer: {outcome.changed} {words} → xjops drift status")
    return int(ExitCode.OK)
