"""`xjops lab`: a whole province as containers on this machine."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from xjops.cli.lab_screen import progress, say
from xjops.cli.lab_snapshots import list_snapshots, restore, snapshot
from xjops.cli.options import format_option, site_option, yes_option
from xjops.core.errors import ExitCode

if TYPE_CHECKING:
    from xjops.lab.status import LabStatus


@click.group()
def lab() -> None:
    """A whole province as containers on this machine."""


@lab.command()
@click.option(
    "--recreate", multiple=True, metavar="HOST", help="Make this host's container anew; repeatable."
)
@site_option
def up(site_name: str, recreate: tuple[str, ...]) -> None:
    """Start the lab: secrets, networks, hosts, vCenter. Run again, it goes on."""
    from xjops.lab import up as steps

    began = time.monotonic()
    outcome = steps.up(site_name, progress, recreate)
    say(f"the lab is up: {len(outcome.changed)} hosts started, {time.monotonic() - began:.1f} s")
    if outcome.no_vcenter:
        say(f"vCenter: not-run: {outcome.no_vcenter}")
    say("next: xjops apply" + ("" if site_name == "lab" else f" --site {site_name}"))


@lab.command()
@click.option("--purge", is_flag=True, help="Remove everything: containers, networks, disks, secrets, state.")
@yes_option
@site_option
def down(site_name: str, purge: bool, yes: bool) -> None:
    """Switch the lab off; what is on its hosts stays, unless --purge."""
    from xjops.lab import up as steps

    if not purge:
        steps.down(site_name, progress)
        return
    if not yes:
        click.confirm(f"Remove the lab of site {site_name} with all its data, keys and journal?", abort=True)
    steps.purge(site_name, progress)


@lab.command()
@format_option("table", "json")
@site_option
def status(site_name: str, output_format: str) -> int:
    """Show every host: machine, container, systemd, SSH."""
    from xjops.lab.status import look

    found = look(site_name)
    if output_format == "json":
        click.echo(json.dumps(found.as_dict(), indent=2))
    else:
        _show(found)
    states = {item.state for item in found.hosts}
    return ExitCode.FAIL if "fail" in states else ExitCode.WARN if "warn" in states else ExitCode.OK


def _show(found: LabStatus) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("host", "role", "address", "VM", "container", "systemd", "SSH"):
        table.add_column(column, no_wrap=column != "SSH")
    colours = {"pass": "", "warn": "yellow", "fail": "red"}
    for item in found.hosts:
        table.add_row(
            item.host, item.role, item.address, item.vm, item.container, item.systemd, item.ssh,
            style=colours[item.state],
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"vCenter: {found.vcenter}; agent: {found.agent}", highlight=False)


lab.add_command(snapshot)
lab.add_command(restore)
lab.add_command(list_snapshots)


@lab.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@site_option
@click.argument("host")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell(site_name: str, host: str, command: tuple[str, ...]) -> None:
    """Log in to HOST, or run COMMAND there."""
    from xjops.lab.status import ssh_command

    words = ssh_command(site_name, host, command, terminal=sys.stdin.isatty())
    os.execvp(words[0], words)  # noqa: S606 - ssh takes this process over, with the terminal


@lab.command()
@site_option
def secrets(site_name: str) -> None:
    """Make the lab's keys, certificates and vault, and start nothing."""
    from xjops.lab import credentials

    made = credentials.ensure(site_name)
    say(f"made: {', '.join(made.new)}" if made.new else "everything is there")


@lab.command(hidden=True)
@site_option
def agent(site_name: str) -> None:
    """Make powered-on virtual machines hosts, until stopped (lab up starts this)."""
    from xjops.lab.daemon import serve

    serve(site_name)


@lab.group(hidden=True)
def scratch() -> None:
    """Throw-away hosts for the roles' own tests."""


@scratch.command("create")
@click.argument("name")
@click.option("--host", "hosts", multiple=True, required=True, help="Name of a host; may be repeated.")
@click.option("--bundle", type=click.Path(path_type=Path), help="The bundle to serve (default: the cache's).")
@click.option("--json", "as_json", is_flag=True, help="Print how to reach the hosts as JSON.")
@click.option("--into", type=click.Path(path_type=Path), help="Folder that gets what molecule looks for.")
@site_option
def scratch_create(
    name: str, hosts: tuple[str, ...], bundle: Path | None, as_json: bool, into: Path | None, site_name: str
) -> None:
    """Bring up the set NAME of fresh hosts."""
    from xjops.bundle.build import default_folder
    from xjops.core import paths
    from xjops.lab import machine, scratch
    from xjops.lab.image import cached

    machine.require(need_image=not cached())
    made = scratch.create(
        name,
        hosts,
        bundle=bundle or default_folder(),
        public_key=paths.inventories() / site_name / "files" / "bundle.asc",
        say=say,
    )
    if into:
        made.write(into)
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
