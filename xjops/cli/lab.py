"""`xjops lab`: a whole province as containers on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from xjops.cli.options import site_option


def say(line: str) -> None:
    """Progress goes to standard error, so that `--json` stays clean."""
    click.echo(line, err=True)


@click.group()
def lab() -> None:
    """A whole province as containers on this machine."""


@lab.command()
@site_option
def secrets(site_name: str) -> None:
    """Make the lab's keys, certificates and vault, and start nothing."""
    from xjops.lab import credentials

    made = credentials.ensure(site_name)
    say(f"made: {', '.join(made.new)}" if made.new else "everything is there")


@lab.group(hidden=True)
def scratch() -> None:
    """Throw-away hosts for the roles' own tests."""


@scratch.command("create")
@click.argument("name")
@click.option("--host", "hosts", multiple=True, required=True, help="Name of a host; may be repeated.")
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to serve (default: the cache's).")
@click.option("--json", "as_json", is_flag=True, help="Print how to reach the hosts as JSON.")
@site_option
def scratch_create(
    name: str, hosts: tuple[str, ...], bundle: Path | None, as_json: bool, site_name: str
) -> None:
    """Bring up the set NAME of fresh hosts."""
    from xjops.core import paths
    from xjops.lab import machine, scratch
    from xjops.lab.image import cached

    machine.require(need_image=not cached())
    made = scratch.create(
        name,
        hosts,
        bundle=bundle or paths.cache() / "bundle",
        public_key=paths.inventories() / site_name / "files" / "bundle.asc",
        say=say,
    )
    if as_json:
        click.echo(json.dumps(made.as_dict(), indent=2))
        return
    for item in made.instances:
        click.echo(f"{item.instance}  ssh -i {item.identity_file} -o UserKnownHostsFile={made.known_hosts} "
                   f"{item.user}@{item.address}")  # fmt: skip


@scratch.command("destroy")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every set there is.")
def scratch_destroy(names: tuple[str, ...], everything: bool) -> None:
    """Remove sets with their keys."""
    from xjops.lab import scratch

    for name in scratch.sets() if everything else names:
        scratch.destroy(name)


@scratch.command("list")
def scratch_list() -> None:
    """The sets that are there."""
    from xjops.lab import scratch

    for name, hosts in sorted(scratch.sets().items()):
        click.echo(f"{name}: {' '.join(sorted(hosts))}")
