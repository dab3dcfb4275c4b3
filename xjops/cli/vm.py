"""`xjops vm`: the site's virtual machines on vCenter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.options import format_option, site_option, yes_option
from xjops.cli.vm_delete import delete_command
from xjops.cli.vm_screen import print_all, print_json, table
from xjops.core.errors import ExitCode

if TYPE_CHECKING:
    from rich.table import Table

    from xjops.provision.model import Action, Change, Deadlines, Plan, Result

STYLES = {
    "create": "green",
    "resume": "green",
    "grow": "cyan",
    "take over": "cyan",
    "mark": "cyan",
    "start": "cyan",
    "wait": "yellow",
    "nothing": "dim",
    "refused": "bold red",
}


def _plan_options(function: Any) -> Any:
    for option in (
        click.option("--restart", is_flag=True, help="Restart machines that can't grow while they run."),
        click.option(
            "--adopt",
            multiple=True,
            metavar="NAME",
            help="Take over an existing machine of this name, as it is (repeatable).",
        ),
    ):
        function = option(function)
    return function


@click.group()
def vm() -> None:
    """The virtual machines on vCenter: list, plan, apply, delete."""


vm.add_command(delete_command)


@vm.command("list")
@site_option
@format_option("table", "json")
def list_command(site_name: str, output_format: str) -> int:
    """Show the site's machines as vCenter has them now."""
    from xjops import provision
    from xjops.site import Site

    plan = provision.plan(Site.load(site_name))
    if output_format == "json":
        print_json({"site": plan.site.name, "machines": [_shown(change) for change in plan.machines],
               "strays": list(plan.strays), "foreign": plan.foreign})  # fmt: skip
    else:
        print_all(_list_table(plan), *_strays(plan))
    return int(ExitCode.OK)


@vm.command("plan")
@site_option
@_plan_options
@format_option("table", "json")
def plan_command(site_name: str, restart: bool, adopt: tuple[str, ...], output_format: str) -> int:
    """Show what `apply` would do; change nothing.

    Exit code 1 when something stands against the plan.
    """
    from xjops import provision
    from xjops.site import Site

    plan = provision.plan(Site.load(site_name), adopt=adopt, restart=restart)
    if output_format == "json":
        print_json(plan.as_dict())
    else:
        print_all(_plan_table(plan), *_notes(plan), *_strays(plan), _summary(plan))
        _problems(plan)
    return int(ExitCode.FAIL if plan.problems else ExitCode.OK)


@vm.command("apply")
@site_option
@_plan_options
@yes_option
@click.option(
    "--deadline",
    type=click.FloatRange(min=0.01),
    metavar="MINUTES",
    help="How long a clone may take (30); other steps have their own, shorter deadlines.",
)
@format_option("table", "json")
def apply_command(
    site_name: str,
    restart: bool,
    adopt: tuple[str, ...],
    yes: bool,
    deadline: float | None,
    output_format: str,
) -> int:
    """Make, grow and start the machines, all at once. Run it again and it goes on.

    Exit code 1 when a machine failed; the others are finished all the same.
    """
    from xjops import provision
    from xjops.adapters import vcenter
    from xjops.journal import recorded
    from xjops.provision.model import Deadlines, Result
    from xjops.site import Site

    site = Site.load(site_name)
    quiet = output_format == "json"
    deadlines = Deadlines(clone=deadline * 60) if deadline else Deadlines()
    with vcenter.connect(site) as session:
        plan = provision.plan(site, adopt=adopt, restart=restart, session=session)
        if not quiet:
            print_all(_plan_table(plan), *_notes(plan), *_strays(plan), _summary(plan))
        plan.check()
        if not plan.changes:
            if quiet:
                print_json({"plan": plan.as_dict(), "result": Result().as_dict()})
            return int(ExitCode.OK)
        if not yes:
            click.confirm(f"Do this on {session.endpoint}?", abort=True, err=True)
        names = [change.name for change in plan.changes]
        with recorded(site.name, "vm apply", {"adopt": list(adopt), "restart": restart}, names) as record:
            result = _apply(plan, session, deadlines, quiet)
            record.result = result.as_dict()
            record.exit_code = ExitCode.FAIL if result.failed else ExitCode.OK
    if quiet:
        print_json({"plan": plan.as_dict(), "result": result.as_dict()})
    else:
        done = len(result.outcomes) - len(result.failed)
        click.echo(f"{done} of {len(result.outcomes)} machines done in {result.seconds:.1f} s")
        for error in result.failed.values():
            click.echo(f"xjops: {error}", err=True)
    return int(record.exit_code)


@vm.command("host-keys")
@site_option
@click.option("--deadline", type=click.FloatRange(min=0), default=5.0, metavar="MINUTES", show_default=True)
def host_keys_command(site_name: str, deadline: float) -> int:
    """Learn the machines' SSH host keys from vCenter (`xjops apply` does it by itself).

    A machine made anew has a new key, which is refused until it was learnt here.
    """
    from xjops import provision
    from xjops.cli.board import Board
    from xjops.journal import recorded
    from xjops.site import Site

    site = Site.load(site_name)
    names = [host.name for host in site.virtual_machines]
    with recorded(site.name, "vm host-keys", {}, names) as record, Board() as board:
        learned = provision.learn_host_keys(site, names, seconds=deadline * 60, progress=board)
        record.exit_code, record.result = ExitCode.OK, asdict(learned)
    click.echo(
        f"{len(learned.added)} new, {len(learned.replaced)} replaced, {len(learned.kept)} known before"
    )
    return int(ExitCode.OK)


def _apply(plan: Plan, session: Any, deadlines: Deadlines, quiet: bool) -> Result:
    from xjops import provision
    from xjops.cli.board import Board

    with Board(tuple(change.name for change in plan.changes), quiet=quiet) as board:
        return provision.apply(plan, board, session=session, deadlines=deadlines)


def _plan_table(plan: Plan) -> Callable[[int], Table]:
    rows = []
    for change in plan.machines:
        before, after = change.before.size if change.before else None, change.after
        old = (before.cpus, before.memory_mb, before.disk_gb) if before else (None, None, None)
        rows.append(
            {
                "Machine": change.name,
                "Role": change.wanted.role,
                "Plan": _styled(change.action),
                "CPU": _arrow(old[0], after.cpus),
                "Memory": f"{_arrow(_gb(old[1]), _gb(after.memory_mb))} GB",
                "Disk": f"{_arrow(old[2], after.disk_gb)} GB",
                "Datastore": change.datastore or "",
                "Address": change.wanted.address,
            }
        )
    return partial(table, f"Virtual machines of {plan.site.name}: plan", rows)


def _list_table(plan: Plan) -> Callable[[int], Table]:
    rows = []
    for change in plan.machines:
        found = change.before
        rows.append(
            {
                "Machine": change.name,
                "Role": change.wanted.role,
                "State": _state(change),
                "CPU": str(found.size.cpus) if found else "",
                "Memory": f"{_gb(found.size.memory_mb)} GB" if found else "",
                "Disk": f"{found.size.disk_gb} GB" if found else "",
                "Datastore": (found.datastore or "") if found else "",
                "Network": ", ".join(found.networks) if found else "",
                "Address": ", ".join(found.addresses) if found else "",
                "Host key": ("yes" if found.host_key else "no") if found else "",
            }
        )
    return partial(table, f"Virtual machines of {plan.site.name}", rows)


def _state(change: Change) -> str:
    found = change.before
    if found is None:
        return "[dim]not there[/]"
    if found.site != change.wanted.site:
        return "[red]foreign[/]"
    return "[green]on[/]" if found.power.value == "on" else f"[yellow]{found.power.value}[/]"


def _shown(change: Change) -> dict[str, Any]:
    found = change.before
    return {
        "name": change.name,
        "role": change.wanted.role,
        "there": found is not None,
        "power": found.power.value if found else None,
        "size": change.as_dict()["before"],
        "datastore": found.datastore if found else None,
        "networks": list(found.networks) if found else [],
        "addresses": list(found.addresses) if found else [],
        "host_key": found.host_key if found else None,
    }


def _styled(action: Action) -> str:
    style = STYLES[action.value]
    return f"[{style}]{action.value}[/{style}]"


def _arrow(before: object, after: object) -> str:
    return str(after) if before in (None, "", after) else f"{before} → [bold]{after}[/]"


def _gb(megabytes: int | None) -> str:
    return "" if megabytes is None else f"{megabytes / 1024:g}"


def _notes(plan: Plan) -> list[str]:
    return [f"[dim]{change.name}: {note}[/]" for change in plan.machines for note in change.notes]


def _strays(plan: Plan) -> list[str]:
    return [f"[yellow]{path} carries the mark of {plan.site.name} but is not in its inventory; left alone[/]"
            for path in plan.strays]  # fmt: skip


def _summary(plan: Plan) -> str:
    return f"{plan.summary or 'no virtual machines'}; foreign machines, left alone: {plan.foreign}"


def _problems(plan: Plan) -> None:
    for problem in plan.problems:
        click.echo(f"xjops: {problem}", err=True)
