"""`xjops site list|show|check|gap|addresses`: what a site is, and what it lacks. Changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from xjops.cli.options import fail_on_option, format_option, site_option

if TYPE_CHECKING:
    from xjops.checks.address_probe import Probe
    from xjops.site.model import Site
    from xjops.site.planned import Finding

SCHEMA = 1


@click.group()
def site() -> None:
    """Show and check a site; what it lacks (gap); its addresses."""


def _print_json(**values: Any) -> None:
    from xjops import __version__

    click.echo(json.dumps({"schema": SCHEMA, "xjops": __version__, **values}, ensure_ascii=False, indent=2))


@site.command("list")
@format_option("table", "json")
def list_(output_format: str) -> None:
    """The sites there are, and whether each can be loaded."""
    from xjops.cli import site_tables
    from xjops.site import summary

    sites = [summary.line(name) for name in summary.names()]
    if output_format == "json":
        _print_json(sites=[entry.model_dump(mode="json") for entry in sites])
    else:
        site_tables.sites(sites)


@site.command()
@site_option
@format_option("table", "json")
def show(site_name: str, output_format: str) -> None:
    """Machines, addresses and parts of a site, as xjops understands them."""
    from xjops.site import Site

    found = Site.load(site_name)
    if output_format == "json":
        from xjops.site import summary

        _print_json(**summary.as_data(found))
    else:
        from xjops.cli import site_tables

        site_tables.site(found)


@site.command()
@site_option
@format_option("table", "json")
@fail_on_option
@click.option("--all", "details", is_flag=True, help="In the table, also what is right.")
def check(site_name: str, output_format: str, fail_on: str, details: bool) -> int:
    """Is the site right, and does its plan meet what is required?

    A mistake in the inventory ends in exit code 78, one line each. Then the plan is compared with
    registers/required.yml (nothing less) and registers/existing.yml (nothing shrinks).

    Exit code: 0 all well, 1 the plan falls short, 4 nothing to compare with, 3 something is open.
    """
    from xjops.checks.result import Status, exit_code
    from xjops.cli import site_tables
    from xjops.site import Site, planned, registers

    found = Site.load(site_name)
    required = registers.read(found.folder, "required")
    findings = planned.findings(found, required, registers.read(found.folder, "existing"))
    if output_format == "json":
        _print_json(site=found.name, findings=[finding.model_dump(mode="json") for finding in findings])
    else:
        site_tables.findings(found, findings, details)
    return int(exit_code((Status(finding.status) for finding in findings), Status(fail_on)))


@site.command()
@site_option
@format_option("table", "json")
@fail_on_option
def gap(site_name: str, output_format: str, fail_on: str) -> int:
    """What is to be supplemented: registers/required.yml less registers/existing.yml.

    Exit code: 0 nothing is lacking, 3 something is, 4 the site has no two registers to compare.
    """
    from xjops.checks.result import Status, exit_code
    from xjops.cli import site_tables
    from xjops.core.errors import NotRunError
    from xjops.site import Site, registers
    from xjops.site import gap as subtraction

    found = Site.load(site_name)
    existing, required = registers.read(found.folder, "existing"), registers.read(found.folder, "required")
    if existing is None or required is None:
        lacking = registers.missing(found.folder, "existing" if existing is None else "required")
        raise NotRunError(str(lacking).removesuffix(f" → {lacking.mend}"), mend=lacking.mend)
    result = subtraction.gap(existing, required)
    if output_format == "json":
        _print_json(site=found.name, **result.model_dump(mode="json"))
    else:
        site_tables.gap(found, result)
    return int(exit_code([Status.WARN if result.items else Status.PASS], Status(fail_on)))


@site.command()
@site_option
@click.option("--probe", is_flag=True, help="Ask the network who answers (ICMP echo, SSH); changes nothing.")
@format_option("table", "json")
@fail_on_option
def addresses(site_name: str, probe: bool, output_format: str, fail_on: str) -> int:
    """The address plan: who has which address, what is wrong, what is free.

    With --probe also what answers on the network: nothing is sent but to the site's own two subnets, never
    to documentation ranges, and for a lab never beyond this machine.

    Exit code: 0 all well, 1 too few addresses or another machine at a planned one, 3 something is open, 4
    something was not asked, 78 a mistake in the inventory (the plan is shown all the same).
    """
    from xjops.checks import profile
    from xjops.checks.result import Status, exit_code
    from xjops.cli import address_tables
    from xjops.site import loader, numbering
    from xjops.site.problems import refuse

    reading = loader.read(site_name)
    network = reading.draft.network
    if network is None:
        refuse(site_name, reading.problems)
        raise RuntimeError("a site without a network has problems")
    plan = numbering.number(reading.draft, network, profile.asked("vocational", "network.addresses"))
    found = None if reading.problems else reading.site()
    findings = list(numbering.findings(found, plan)) if found else []
    seen = _probe(found, findings) if probe and found else None
    if output_format == "json":
        _print_json(site=site_name, **address_tables.as_data(plan, findings, seen, reading.problems))
    else:
        address_tables.show(site_name, plan, findings, seen)
    refuse(site_name, reading.problems)
    states = [Status(finding.status) for finding in findings]
    states += [item.status for item in (*seen.planned, *seen.unplanned)] if seen else []
    return int(exit_code(states, Status(fail_on)))


def _probe(found: Site, findings: list[Finding]) -> Probe | None:
    """Ask the network; what could not be asked is added to `findings`."""
    from xjops.checks.address_probe import probe
    from xjops.core.errors import NotRunError
    from xjops.site.planned import Finding

    try:
        seen = probe(found)
    except NotRunError as error:
        findings.append(Finding(subject="probe", status="not-run", text=error.what, mend=error.mend))
        return None
    findings += seen.findings
    return seen
