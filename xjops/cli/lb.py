"""`xjops lb`: the balancer's members, whatever the balancer's make."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.options import format_option, site_option, yes_option
from xjops.core.errors import ExitCode

if TYPE_CHECKING:
    from xjops.balancer import Balancers, Seen
    from xjops.balancer.reconcile import Plan

NAMES = click.argument("names", nargs=-1, required=True, metavar="WEB...")


@click.group()
def lb() -> None:
    """The balancer's members: status, drain, enable, plan, apply."""


@lb.command()
@site_option
@format_option("table", "json")
def status(site_name: str, output_format: str) -> int:
    """Show every balancer's members as it has them now. Changes nothing.

    Exit code: 0 all as planned and up, 3 a member is drained or disabled, 1 one is down, missing or must not
    be there, 4 a balancer could not be asked.
    """
    from xjops.balancer import open_balancer
    from xjops.balancer.reconcile import make_plan
    from xjops.cli import lb_screen
    from xjops.site import Site

    site = Site.load(site_name)
    with open_balancer(site) as balancers:
        seen = balancers.look()
    plan = make_plan(site, seen)
    code = status_code(plan)
    if output_format == "json":
        lb_screen.print_json(lb_screen.as_data(site.name, seen) | {"exit_code": int(code)})
    else:
        lb_screen.show(site, seen)
        lb_screen.tell_differences(plan)
    return int(code)


def status_code(plan: Plan) -> ExitCode:
    """How well the balancers stand: 1 before 4 before 3."""
    from xjops.adapters.balancing import Health, State

    members = [member for item in plan.seen for member in item.members]
    down = [m for m in members if m.state is State.ENABLED and m.health is Health.DOWN]
    if down or plan.changes or plan.problems:
        return ExitCode.FAIL
    if any(item.error is not None for item in plan.seen):
        return ExitCode.NOT_RUN
    out = any(member.state is not State.ENABLED for member in members)
    return ExitCode.WARN if out else ExitCode.OK


@lb.command()
@NAMES
@site_option
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait until they work on nothing more; 0: not at all.",
)
@click.option("--force", is_flag=True, help="Also the last member that serves.")
@yes_option
@format_option("table", "json")
def drain(
    names: tuple[str, ...], site_name: str, wait: float, force: bool, yes: bool, output_format: str
) -> int:
    """Give WEB... no new requests on any balancer, and wait until they have finished what they have.

    They stay drained, over reloads and restarts of the balancer too, until `xjops lb enable`. Exit code 3
    when they still work on something after the wait.
    """
    from xjops.balancer import open_balancer
    from xjops.cli import lb_screen
    from xjops.cli.board import Board
    from xjops.journal import recorded
    from xjops.site import Site

    site, quiet, names = Site.load(site_name), output_format == "json", _once(names)
    with open_balancer(site) as balancers:
        _ask(yes, "Drain", names, balancers)
        about = {"wait": wait, "force": force}
        with recorded(site.name, "lb drain", about, list(names)) as record:
            balancers.drain(names, force=force)
            with Board(names, quiet=quiet) as board:
                left = balancers.wait_drained(names, seconds=wait, progress=board)
            record.result = {"left": left}
            record.exit_code = ExitCode.WARN if any(left.values()) else ExitCode.OK
        if quiet:
            data = lb_screen.as_data(site.name, balancers.look()) | {"left": left}
            lb_screen.print_json(data | {"exit_code": int(record.exit_code)})
    busy = [f"{name} ({count})" for name, count in left.items() if count]
    if busy and not quiet:
        click.echo(
            f"xjops: drained, but still at work after {wait:g} s: {', '.join(busy)} sessions → wait longer: "
            f"xjops lb drain {' '.join(names)} --wait {max(60.0, 2 * wait):g}",
            err=True,
        )
    return int(record.exit_code)


@lb.command()
@NAMES
@site_option
@yes_option
@format_option("table", "json")
def enable(names: tuple[str, ...], site_name: str, yes: bool, output_format: str) -> int:
    """Put WEB... back into service on every balancer."""
    from xjops.balancer import open_balancer
    from xjops.cli import lb_screen
    from xjops.journal import recorded
    from xjops.site import Site

    site, names = Site.load(site_name), _once(names)
    with open_balancer(site) as balancers:
        _ask(yes, "Enable", names, balancers)
        with recorded(site.name, "lb enable", {}, list(names)) as record:
            seen = balancers.enable(names)
            record.result = {name: _states(seen, name) for name in names}
    if output_format == "json":
        lb_screen.print_json(lb_screen.as_data(site.name, seen) | {"exit_code": int(record.exit_code)})
    else:
        lb_screen.show(site, seen)
    return int(record.exit_code)


@lb.command("plan")
@site_option
@format_option("table", "json")
def plan_command(site_name: str, output_format: str) -> int:
    """Show what the balancers lack and have too much, against the inventory. Changes nothing.

    Exit code: 0 nothing, 3 differences, 4 a balancer could not be asked, 1 a server that must stay outside
    (web1) is mapped, or the virtual server is wrong.
    """
    from xjops.balancer import open_balancer
    from xjops.balancer.reconcile import make_plan
    from xjops.cli import lb_screen
    from xjops.site import Site

    site = Site.load(site_name)
    with open_balancer(site) as balancers:
        plan = make_plan(site, balancers.look())
    if output_format == "json":
        lb_screen.print_json(plan.as_dict() | {"exit_code": int(plan.exit_code)})
    else:
        lb_screen.show_plan(plan)
    return int(plan.exit_code)


@lb.command("apply")
@site_option
@click.option("--prune", is_flag=True, help="Also remove members that are no machine of this site.")
@yes_option
@format_option("table", "json")
def apply_command(site_name: str, prune: bool, yes: bool, output_format: str) -> int:
    """Make and remove members so that exactly the site's are mapped (F5; HAProxy's are the role's work).

    Exit code: 0 done or nothing to do, 4 these members are made by something else, 1 it failed.
    """
    from xjops.balancer import open_balancer, reconcile
    from xjops.cli import lb_screen
    from xjops.journal import recorded
    from xjops.site import Site

    site, quiet = Site.load(site_name), output_format == "json"
    with open_balancer(site) as balancers:
        plan = reconcile.make_plan(site, balancers.look())
        if not quiet:
            lb_screen.show_plan(plan)
        if plan.changes:
            reconcile.check(plan, balancers, prune=prune)
            if not yes:
                click.confirm(f"Do this on {_where(balancers)}?", abort=True, err=True)
            hosts = sorted({change.name for change in plan.changes})
            with recorded(site.name, "lb apply", {"prune": prune}, hosts) as record:
                record.result = {"changes": [change.as_dict() for change in plan.changes]}
                reconcile.apply(plan, balancers, prune=prune)
        after = reconcile.make_plan(site, balancers.look())
    if quiet:
        lb_screen.print_json(
            {"plan": plan.as_dict(), "after": after.as_dict(), "exit_code": int(after.exit_code)}
        )
    elif plan.changes:
        click.echo(f"done: {plan.summary}")
        lb_screen.tell_differences(after)
    return int(after.exit_code)


def _once(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def _where(balancers: Balancers) -> str:
    return ", ".join(driver.name for driver in balancers.drivers)


def _ask(yes: bool, what: str, names: Sequence[str], balancers: Balancers) -> None:
    if not yes:
        click.confirm(f"{what} {', '.join(names)} on {_where(balancers)}?", abort=True, err=True)


def _states(seen: Sequence[Seen], name: str) -> dict[str, Any]:
    return {item.balancer: [member.state.value for member in item.of(name)] for item in seen}
