"""`xjops up`: the main job in one command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xjops.cli.options import site_option

if TYPE_CHECKING:
    from xjops.lab.province import Province


@click.command()
@site_option
@click.option("--students", default=20000, show_default=True, help="Size of the sample province; 0: none.")
def up(site_name: str, students: int) -> int:
    """A whole province on this machine: lab, bundle, site, sample, checklists. Run it again, it goes on."""
    from xjops.cli.board import Board
    from xjops.journal import recorded
    from xjops.lab.province import raise_up

    with recorded(site_name, "up", {"students": students}, []) as record:
        with Board(("lab", "bundle", "vcenter", "site", "sample", "checklists")) as board:
            province = raise_up(site_name, students, record.log, board)
        record.exit_code, record.result = province.exit_code, province.as_data()
    _summary(province)
    click.echo(f"\nThe full log of this run: {record.log}")
    return int(record.exit_code)


def _summary(province: Province) -> None:
    """The address, the accounts, the checklists and what to type next."""
    from rich.console import Console
    from rich.table import Table

    from xjops.cli.checklist import show_table

    console = Console()
    site = province.site
    for report in province.reports:
        show_table(report, details=False)
    for host in province.outcome.hosts.values():
        for line in ([host.error] if host.error else []) + [f"not-run: {reason}" for reason in host.not_run]:
            console.print(f"[red]{host.name}[/]: {line}", highlight=False)
    minutes, seconds = divmod(province.seconds["all"], 60)
    stages = ", ".join(f"{name} {value:.0f} s" for name, value in province.seconds.items() if name != "all")
    console.print(f"\n[bold]{site.site.title}[/] is up after {minutes:.0f} min {seconds:.0f} s ({stages})")
    table = Table.grid(padding=(0, 2))
    table.add_row("address", f"https://{site.balancer.address}/  (as {site.balancer.domain})")
    table.add_row(
        "certificate", f"signed by {site.file(site.balancer.ca_file)}" if site.balancer.ca_file else ""
    )
    for account in province.sample.get("accounts", []):
        words = " ".join(str(account.get(key, "")) for key in ("level", "kind", "unit"))
        table.add_row("account", f"[bold]{account['username']}[/]  {words}")
    vault = f"{site.folder}/group_vars/all/vault.yml"
    table.add_row("password", f"vault_registry_admin_password in: ansible-vault view {vault}")
    for path in province.written:
        if path.suffix == ".html":
            table.add_row("report", str(path))
    table.add_row("next", "xjops plan; xjops lab shell web2; xjops apply; xjops checklist run; make down")
    console.print(table, highlight=False)
