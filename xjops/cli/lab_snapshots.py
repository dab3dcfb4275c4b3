"""`xjops lab snapshot|restore|snapshots`: the whole lab saved and brought back."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from xjops.cli.lab_screen import progress
from xjops.cli.options import format_option, site_option, yes_option

if TYPE_CHECKING:
    from xjops.lab.snapshots import Manifest


@click.command()
@click.argument("name", required=False)
@site_option
def snapshot(name: str | None, site_name: str) -> None:
    """Save the whole lab as NAME (the time when none is given).

    Hosts are shut down cleanly and started again. Stopped or killed, run it again: it is finished.
    """
    from xjops.journal import recorded
    from xjops.lab import snapshotting

    began = time.monotonic()
    with recorded(site_name, "lab snapshot", {"name": name}, []) as record:
        taken = snapshotting.take(site_name, name, progress)
        record.result = {"name": taken.name, "hosts": len(taken.hosts), "seconds": taken.seconds}
    seconds = time.monotonic() - began
    progress(
        taken.name,
        "taken",
        f"{len(taken.hosts)} hosts, {taken.seconds:.0f} s; up again after {seconds:.0f} s",
    )


@click.command()
@click.argument("name", required=False)
@yes_option
@site_option
def restore(name: str | None, yes: bool, site_name: str) -> None:
    """Bring the lab back to the snapshot NAME (the newest when none is given).

    What the lab is now is lost. Stopped or killed, run it again: it is finished.
    """
    from xjops.journal import recorded
    from xjops.lab import snapshots, snapshotting

    work = snapshots.unfinished(site_name)
    name = name or (work.name if work else snapshots.latest(site_name))
    if not yes:
        click.confirm(
            f"Bring the lab {site_name} back to {name}? What it is now is lost", abort=True, err=True
        )
    began = time.monotonic()
    with recorded(site_name, "lab restore", {"name": name}, []) as record:
        found = snapshotting.restore(site_name, name, progress)
        record.result = {"name": found.name, "hosts": len(found.hosts)}
    progress(found.name, "restored", f"{len(found.hosts)} hosts, {time.monotonic() - began:.0f} s")


@click.command("snapshots")
@click.option("--delete", "doomed", multiple=True, metavar="NAME", help="Delete this one (repeatable).")
@yes_option
@format_option("table", "json")
@site_option
def list_snapshots(doomed: tuple[str, ...], yes: bool, output_format: str, site_name: str) -> None:
    """The snapshots there are, and whether each fits the lab as it is now; or delete some."""
    from xjops.journal import recorded
    from xjops.lab import snapshots, snapshotting
    from xjops.site import Site

    if doomed:
        if not yes:
            click.confirm(f"Delete {', '.join(doomed)}?", abort=True, err=True)
        with recorded(site_name, "lab snapshots --delete", {"names": list(doomed)}, []):
            snapshotting.delete(site_name, doomed, progress)
        return
    site = Site.load(site_name)
    shown = []
    for name in snapshots.names(site_name):
        try:
            item = snapshots.read(site_name, name)
        except snapshots.SnapshotError as error:  # one that can't be read must not hide the others
            click.echo(f"xjops: {error}", err=True)
        else:
            shown.append((item, snapshots.misfits(site, item)))
    open_ = snapshots.unfinished(site_name)
    if output_format == "json":
        listed = [{**asdict(item), "misfits": reasons} for item, reasons in shown]
        click.echo(
            json.dumps({"schema": 1, "unfinished": open_ and open_.command, "snapshots": listed}, indent=2)
        )
        return
    _table(shown)
    if open_:
        click.echo(f"xjops: unfinished → {open_.command}", err=True)


def _table(shown: list[tuple[Manifest, list[str]]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("snapshot", "taken (UTC)", "hosts", "disk", "fits"):
        table.add_column(column, no_wrap=column != "fits")
    for item, reasons in shown:
        hosts = f"{len(item.hosts)} ({sum(state.running for state in item.hosts.values())} on)"
        fits = "[red]no:[/] " + "; ".join(reasons) if reasons else "yes"
        table.add_row(item.name, item.taken[:19], hosts, f"{item.bytes / 1e9:.1f} GB", fits)
    Console().print(table if shown else "no snapshots", highlight=False)
