"""What the screens of `xjops lb` share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.vm_screen import print_all, print_json, table

if TYPE_CHECKING:
    from rich.table import Table

    from xjops.balancer import Seen
    from xjops.balancer.reconcile import Plan
    from xjops.site import Site

__all__ = ["as_data", "print_json", "show", "show_plan", "tell_differences"]

STYLES = {
    "enabled": "green",
    "draining": "yellow",
    "disabled": "yellow",
    "up": "green",
    "down": "bold red",
    "unknown": "dim",
    "add": "green",
    "remove": "red",
}
WHY = {
    "missing": "is not mapped",
    "wrong-port": "another port than the web servers have",
    "twice": "mapped a second time",
    "foreign": "no machine of this site (goes only with --prune)",
    "unmapped": "must stay outside the balancer",
}


def as_data(site: str, seen: Sequence[Seen]) -> dict[str, Any]:
    """Plain values for JSON (docs/reference/lb.md)."""
    return {
        "schema": 1,
        "site": site,
        "balancers": [
            {
                "name": item.balancer,
                "error": None if item.error is None else str(item.error),
                "members": [member.as_dict() for member in item.members],
                "problems": [{"text": text, "mend": mend} for text, mend in item.problems],
            }
            for item in seen
        ],
    }


def show(site: Site, seen: Sequence[Seen]) -> None:
    """A table for each balancer; one that could not be asked is a line on standard error."""
    for item in seen:
        if item.error is not None:
            click.echo(f"xjops: {item.balancer} could not be asked: {item.error}", err=True)
        else:
            print_all(_members(site, item))


def tell_differences(plan: Plan) -> None:
    """What is not as planned, a line each on standard error."""
    for change in plan.changes:
        where = f"{change.balancer}: {change.name} ({change.address}:{change.port})"
        click.echo(f"xjops: {where} {WHY[change.why]} → xjops lb plan", err=True)
    for problem in plan.problems:
        click.echo(f"xjops: {problem.balancer}: {problem}", err=True)


def show_plan(plan: Plan) -> None:
    """Changes as a table, problems and balancers that were not seen as lines."""
    if plan.changes:
        rows = [
            {
                "Balancer": change.balancer,
                "Plan": _styled(change.action),
                "Member": change.name,
                "Address": f"{change.address}:{change.port}",
                "Why": WHY[change.why],
            }
            for change in plan.changes
        ]
        print_all(partial(table, f"Balancer of {plan.site.name}: plan", rows))
    for item in plan.seen:
        if item.error is not None:
            click.echo(f"xjops: {item.balancer} could not be asked: {item.error}", err=True)
    for problem in plan.problems:
        click.echo(f"xjops: {problem.balancer}: {problem}", err=True)
    if not any(item.error is not None for item in plan.seen):
        print_all("[green]nothing to do[/]" if not plan.changes else f"to do: {plan.summary}")


def _members(site: Site, item: Seen) -> Callable[[int], Table]:
    rows = [
        {
            "Member": member.name,
            "Address": f"{member.address}:{member.port}",
            "State": _styled(member.state.value),
            "Health": _styled(member.health.value),
            "Sessions": str(member.sessions),
            "Reason": member.reason,
            "Called": "" if member.id == member.name else member.id,
        }
        for member in item.members
    ]
    return partial(table, f"{item.balancer}, balancer of {site.name}", rows)


def _styled(word: str) -> str:
    return f"[{STYLES[word]}]{word}[/]"
