"""`xjops plan`: what differs from the site's plan, and why."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.drift import last_watch
from xjops.cli.options import format_option, site_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from xjops.ledger.compare import Due
    from xjops.ledger.look import Drift
    from xjops.plan.look import Look

FILE = click.Path(path_type=Path, dir_okay=False)
WHY = {
    "never run": "yellow",
    "interrupted": "yellow",
    "changed inputs": "cyan",
    "drift": "red",
    "expired": "dim",
}


@click.command("plan")
@site_option
@format_option("table", "json")
@click.option("--limit", multiple=True, metavar="HOST|GROUP", help="Only these hosts or groups (repeatable).")
@click.option(
    "--diff", is_flag=True, help="Have Ansible show what would change, too (a dry run of what is due)."
)
@click.option("-o", "--output", type=FILE, help="Save the plan for `xjops apply FILE`.")
@click.option("--metrics", type=FILE, help="Write metrics for node_exporter's textfile collector.")
def plan_command(
    site_name: str,
    output_format: str,
    limit: tuple[str, ...],
    diff: bool,
    output: Path | None,
    metrics: Path | None,
) -> int:
    """Look once at vCenter and every host; say what `xjops apply` would do and why. Changes nothing.

    Exit code: 0 nothing to do, 3 something to do, 4 a part could not be seen, 1 a problem stands in the way.
    """
    from rich.console import Console

    from xjops.lab.simulator import absence
    from xjops.plan import saved, watched
    from xjops.plan.apply import chosen
    from xjops.plan.look import look
    from xjops.site import Site

    site = Site.load(site_name)
    with Console(stderr=True).status("looking at vCenter and every host …"):
        seen = look(site, chosen(site, limit), no_vcenter=absence(site))
    last, now = watched.load(site_name), time.time()
    data = saved.as_saved(seen, limit) | {"watch": last and last.brief(now)}
    text = json.dumps(data, ensure_ascii=False, indent=2)
    if output:
        output.write_text(text + "\n", encoding="utf-8")
    if metrics:
        from xjops.plan.metrics import write

        write(seen, metrics)
    if output_format == "json":
        click.echo(text)
    else:
        show(seen)
        if last:
            click.echo(f"last watch: {last_watch(last, now)}")
    if diff and seen.due:
        _dry_run(seen)
    return int(seen.exit_code)


def _dry_run(seen: Look) -> None:
    """`ansible-playbook --check --diff` of just what is due, as it is."""
    import tempfile

    from xjops.adapters.ansible import run_playbook
    from xjops.cli.board import Board

    with tempfile.TemporaryDirectory(prefix="xjops-") as folder, Board() as board:
        log = Path(folder) / "log.txt"
        roles = sorted({item.role for item in seen.due})
        hosts = sorted({item.host for item in seen.due})
        run_playbook(
            seen.site, "site.yml", log=log, limit=hosts, check=True, diff=True, tags=roles, progress=board
        )
        text = log.read_text(encoding="utf-8")
    click.echo(text)


def show(seen: Look) -> None:
    """The parts, then the hosts: those with nothing to do together in one line."""
    from rich.console import Console
    from rich.table import Table

    from xjops.plan.look import parts

    console = Console()
    table = Table(box=None, show_header=False, padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    machines = seen.machines
    table.add_row(
        "vCenter", *_state("yellow" if machines.error else "", str(machines.error or machines.summary))
    )
    for name, words in parts(seen).items():
        table.add_row(name, *_state("", words))
    for name, error in seen.unreachable.items():
        table.add_row(name, "[red]not seen[/]", str(error))
    well = [name for name in seen.hosts if name not in seen.unreachable and not seen.of(name)]
    for name in seen.hosts:
        for row, item in enumerate(seen.of(name)):
            words = f"[{WHY[item.why.value]}]{item.why.value}[/]"
            table.add_row("" if row else f"[bold]{name}[/]", item.step, words + _detail(item))
    if well:
        table.add_row(f"{len(well)} hosts", "[green]nothing[/]", ", ".join(well))
    console.print(table, highlight=False)
    for problem in machines.problems:
        console.print(f"[red]vCenter[/]: {problem}", highlight=False)
    steps, hosts = len(seen.due), len({item.host for item in seen.due})
    todo = f"{steps} steps on {hosts} hosts, {len(machines.changes)} machines → xjops apply"
    console.print("[green]nothing to do[/]" if seen.nothing_to_do else f"to do: {todo}", highlight=False)


def _state(style: str, words: str) -> tuple[str, str]:
    return "", f"[{style}]{words}[/]" if style else words


def _detail(item: Due) -> str:
    lines = [*_short(item.inputs), *(line for drift in item.drift for line in _drifted(drift))]
    return "".join(f"\n  {line}" for line in lines)


def _short(names: tuple[str, ...], most: int = 6) -> list[str]:
    more = len(names) - most
    return [*names[:most], *([f"and {more} more"] if more > 0 else [])]


def _drifted(drift: Drift) -> Iterator[str]:
    if drift.was is None:
        yield f"{drift.kind} {drift.name}: came back"
    elif drift.now is None:
        yield f"{drift.kind} {drift.name}: is gone"
    else:
        yield f"{drift.kind} {drift.name}: " + ", ".join(
            f"{key} {_word(drift.was.get(key))} → {_word(drift.now.get(key))}"
            for key in drift.was.keys() | drift.now.keys()
            if drift.was.get(key) != drift.now.get(key)
        )


def _word(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text[:12] if len(text) == 64 else text
