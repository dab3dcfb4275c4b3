"""Run a profile: look once at every host and at vCenter, then judge every item from what was seen."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from xjops.checks import probe
from xjops.checks.profile import Item, Profile
from xjops.checks.registers import Registers
from xjops.checks.registry import CHECKS, Context, VCenterView
from xjops.checks.result import Result, Status, worst
from xjops.checks.vcenter_view import view
from xjops.site.model import Site


@dataclass(frozen=True)
class ItemReport:
    """One item of the checklist with its results."""

    item: Item
    status: Status
    results: tuple[Result, ...]


@dataclass(frozen=True)
class Report:
    """A checklist as run: on which site, when (UTC, ISO 8601), and how each item ended."""

    profile: Profile
    site: str
    title: str
    started: str
    finished: str
    items: tuple[ItemReport, ...]

    @property
    def statuses(self) -> list[Status]:
        """The items' statuses in the profile's order."""
        return [item.status for item in self.items]


def look(site: Site) -> Context:
    """See every host (one SSH round trip each) and vCenter, side by side."""
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(view, site)
        facts = probe.look(site, site.hosts)
        seen: VCenterView = asked.result()
    return Context(site, facts, seen)


def run(profile: Profile, context: Context, registers: Registers) -> Report:
    """Judge every item of `profile` from `context` and the registers."""
    started = datetime.now(UTC).isoformat(timespec="seconds")
    items = tuple(_item(profile, item, context, registers) for item in profile.items)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    site = context.site
    return Report(profile, site.name, site.site.title, started, finished, items)


def _item(profile: Profile, item: Item, context: Context, registers: Registers) -> ItemReport:
    results: list[Result] = []
    for call in item.checks:
        found: Iterable[Result] = CHECKS[call.check](context, **call.parameters)
        results.extend(found)
    results = registers.waive(profile.name, results)
    if item.attest:
        results.append(registers.attested(profile.name, item.id, item.attest))
    return ItemReport(item, worst(result.status for result in results), tuple(results))
