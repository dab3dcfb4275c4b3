"""`xjops apply`: run the site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xjops.cli.options import format_option, site_option, yes_option

if TYPE_CHECKING:
    from xjops.plan.apply import Options
    from xjops.plan.outcome import Outcome
    from xjops.site import Site


PLAN = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command()
@click.argument("plan_file", metavar="[PLAN]", required=False, type=PLAN)
@site_option
@yes_option
@format_option("table", "json")
@click.option("--limit", multiple=True, metavar="HOST|GROUP", help="Only these hosts or groups (repeatable).")
@click.option("--tags", multiple=True, metavar="ROLE", help="Only these roles (repeatable).")
@click.option("--check", is_flag=True, help="Change nothing; say what would change.")
@click.option("--full", is_flag=True, help="Run every role, not only what differs.")
@click.option("--diff", is_flag=True, help="Write what changes in files to the log.")
@click.option(
    "--bundle", type=click.Path(path_type=Path, exists=True, file_okay=False), help="The offline bundle."
)
def apply(  # noqa: PLR0913, PLR0917 - one for each option
    plan_file: Path | None,
    site_name: str,
    yes: bool,
    output_format: str,
    limit: tuple[str, ...],
    tags: tuple[str, ...],
    check: bool,
    diff: bool,
    full: bool,
    bundle: Path | None,
) -> int:
    """Run what differs: machines on vCenter, then hosts. Run it again and it goes on.

    With PLAN, a file of `xjops plan -o`: just that, and nothing when the site has changed since.

    Exit code: 0 all well, 1 a part or a host failed, 4 a part could not be tried.
    """
    from xjops.lab.simulator import absence
    from xjops.plan.apply import Options, chosen
    from xjops.site import Site

    if plan_file:
        if limit or tags or full:
            raise click.UsageError("a saved plan says itself what runs: no --limit, --tags, --full with it")
        site_name, limit = _agreed(plan_file)
    site = Site.load(site_name)
    options = Options(limit, tags, check, diff, full, bundle, no_vcenter=absence(site))
    hosts = [host.name for host in chosen(site, limit)]
    if not (yes or check):
        click.confirm(f"Apply {site.name} ({site.site.title}) to {len(hosts)} hosts?", abort=True, err=True)
    return int(run(site, options, output_format).exit_code)


def _agreed(plan_file: Path) -> tuple[str, tuple[str, ...]]:
    """The site and limit of a saved plan that still holds. Raises `StalePlanError` for one that doesn't."""
    from xjops.lab.simulator import absence
    from xjops.plan import saved
    from xjops.plan.apply import chosen
    from xjops.plan.look import look
    from xjops.site import Site

    plan = saved.load(plan_file)
    site = Site.load(plan.site)
    plan.agree(look(site, chosen(site, plan.limit), no_vcenter=absence(site), facts=False))
    return plan.site, plan.limit


def run(site: Site, options: Options, output_format: str = "table") -> Outcome:
    """Run the pipeline with its screen and its journal entry; print the outcome."""
    from xjops.cli.board import Board
    from xjops.journal import recorded
    from xjops.plan.apply import Pipeline

    parameters = {"limit": options.limit, "tags": options.tags, "check": options.check}
    with recorded(site.name, "apply", parameters, list(options.limit)) as record:
        with Board(quiet=output_format == "json") as board:
            outcome = Pipeline(site, options, record.log, board).run()
            for name, host in outcome.hosts.items():
                from xjops.plan.outcome import state_of

                board(name, state_of(host).value, host.error or f"{host.changed} changed, {host.ok} ok")
        record.exit_code, record.result = outcome.exit_code, outcome.as_data()
    if output_format == "json":
        click.echo(json.dumps(outcome.as_data() | {"run": record.id}, ensure_ascii=False, indent=2))
    else:
        _summary(outcome, record.log)
    return outcome


def _summary(outcome: Outcome, log: Path) -> None:
    from xjops.plan.outcome import state_of

    counts: dict[str, int] = {}
    for host in outcome.hosts.values():
        counts[state_of(host).value] = counts.get(state_of(host).value, 0) + 1
    click.echo(
        "hosts: " + (", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none")
    )
    for host in outcome.hosts.values():
        for line in ([host.error] if host.error else []) + [f"not-run: {reason}" for reason in host.not_run]:
            click.echo(f"  {host.name}: {line}", err=True)
    click.echo(f"log: {log}")
