"""`xjops vm delete`: named virtual machines, for good."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.options import format_option, site_option, yes_option
from xjops.cli.vm_screen import print_all, print_json, table
from xjops.core.errors import ExitCode, XjopsError

if TYPE_CHECKING:
    from rich.table import Table

    from xjops.provision.deletion import Deleted, DeletionPlan
    from xjops.provision.model import Deadlines


class NotConfirmedError(XjopsError):
    """The names were not typed: the same as an interruption."""

    exit_code = ExitCode.INTERRUPTED


@click.command("delete")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@site_option
@click.option("--power-off", is_flag=True, help="Also machines that are on: cut their power first.")
@yes_option
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.01),
    metavar="MINUTES",
    help="How long the deletion of a machine may take (10); powering off has 2 minutes.",
)
@format_option("table", "json")
def delete_command(
    names: tuple[str, ...],
    site_name: str,
    power_off: bool,
    yes: bool,
    deadline: float | None,
    output_format: str,
) -> int:
    """Delete the machines NAME... with their disks, all at once, for good.

    Only machines whose annotation names this site, and only those named here. A machine that is gone
    already is fine: run it again after it was stopped. Exit code 1 when something stands against it (nothing
    is deleted then), or when a machine could not be deleted.
    """
    from xjops import provision
    from xjops.adapters import vcenter
    from xjops.journal import recorded
    from xjops.provision.model import Deadlines
    from xjops.site import Site

    site = Site.load(site_name)
    quiet = output_format == "json"
    deadlines = Deadlines(delete=deadline * 60) if deadline else Deadlines()
    with vcenter.connect(site) as session:
        plan = provision.plan_deletion(site, names, power_off=power_off, session=session)
        plan.check()
        if not quiet:
            print_all(_plan_table(plan), *_notes(plan))
        if not plan.changes:
            _tell(plan, provision.delete(plan, session=session), quiet)
            return int(ExitCode.OK)
        if not yes:
            _confirm([item.name for item in plan.changes], session.endpoint)
        about = {"power_off": power_off}
        with recorded(site.name, provision.DELETE_VERB, about, list(plan.names)) as record:
            deleted = _delete(plan, session, deadlines, quiet)
            record.result = deleted.result.as_dict()
            record.exit_code = ExitCode.FAIL if deleted.result.failed else ExitCode.OK
    _tell(plan, deleted, quiet)
    return int(record.exit_code)


def _confirm(names: list[str], endpoint: str) -> None:
    """Have the names typed; anything else ends the command."""
    wanted = " ".join(names)
    what = "their names" if len(names) > 1 else "its name"
    click.echo(f"{endpoint}: this can't be undone", err=True)
    said = click.prompt(f"Type {what} to go on ({wanted})", type=str, err=True)
    if sorted(said.split()) != sorted(names):
        raise NotConfirmedError(
            f"{said!r} is not {wanted!r}: nothing was deleted", mend=f"type {what} as shown"
        )


def _delete(plan: DeletionPlan, session: Any, deadlines: Deadlines, quiet: bool) -> Deleted:
    from xjops import provision
    from xjops.cli.board import Board

    with Board(tuple(item.name for item in plan.changes), quiet=quiet) as board:
        return provision.delete(plan, board, session=session, deadlines=deadlines)


def _plan_table(plan: DeletionPlan) -> Callable[[int], Table]:
    rows = []
    for item in plan.machines:
        machine = item.machine
        rows.append(
            {
                "Machine": item.name,
                "Plan": "[bold red]delete[/]" if machine else "[dim]gone already[/]",
                "State": machine.power.value if machine else "",
                "Disk": f"{machine.size.disk_gb} GB" if machine else "",
                "Address": ", ".join(machine.addresses) if machine else "",
                "Where": machine.path if machine else "",
            }
        )
    return partial(table, f"Virtual machines of {plan.site.name}: to be deleted", rows)


def _notes(plan: DeletionPlan) -> list[str]:
    return [f"[dim]{item.name}: {note}[/]" for item in plan.machines for note in item.notes]


def _tell(plan: DeletionPlan, deleted: Deleted, quiet: bool) -> None:
    result = deleted.result
    if quiet:
        print_json({"plan": plan.as_dict(), "result": result.as_dict(), "forgotten": list(deleted.forgotten)})
        return
    done = len(result.outcomes) - len(result.failed)
    if result.outcomes:
        click.echo(f"{done} of {len(result.outcomes)} machines deleted in {result.seconds:.1f} s")
    else:
        click.echo("nothing to delete")
    if deleted.forgotten:
        click.echo(f"host keys forgotten: {', '.join(deleted.forgotten)}")
    for error in result.failed.values():
        click.echo(f"xjops: {error}", err=True)
