"""Whether the balancers map exactly what the site says: each member once, at address and port; web1 never."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from xjops.adapters.balancing import Member
from xjops.balancer.balancers import Balancers, Seen
from xjops.core.errors import ConfigurationError, ExitCode, NotRunError
from xjops.site.model import Site

MEMBER_PORT = 80  # nginx of roles/registry_web; roles/load_balancer's load_balancer_member_port
# Why a member is one too many, and whether the site's users may already have met it.
MISSING, PORT, TWICE, STRANGER, UNMAPPED = "missing", "wrong-port", "twice", "foreign", "unmapped"


class RefusedError(ConfigurationError):
    """The plan can't be applied; nothing was changed. `problems` has one line each."""

    exit_code = ExitCode.FAIL


@dataclass(frozen=True)
class Change:
    """One member to be made (`member` is None) or removed on one balancer; `why` is a stable word."""

    balancer: str
    name: str
    address: str
    port: int
    why: str
    member: Member | None = None

    @property
    def action(self) -> str:
        """`add` or `remove`."""
        return "remove" if self.member else "add"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/reference/lb.md)."""
        return {
            "balancer": self.balancer,
            "action": self.action,
            "name": self.name,
            "address": self.address,
            "port": self.port,
            "why": self.why,
        }


@dataclass(frozen=True)
class Problem:
    """What is wrong and not mended by making or removing members. `kind` is a stable word for programs."""

    kind: str
    balancer: str
    text: str
    mend: str

    def __str__(self) -> str:
        return f"{self.text} → {self.mend}"

    def as_dict(self) -> dict[str, str]:
        """Plain values for JSON (docs/reference/lb.md)."""
        return {"kind": self.kind, "balancer": self.balancer, "text": self.text, "mend": self.mend}


@dataclass(frozen=True)
class Plan:
    """What each balancer lacks and has too much, against the site."""

    site: Site
    seen: tuple[Seen, ...]
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def errors(self) -> tuple[Change, ...]:
        """Changes that are no mere difference: a server that must stay outside gets the public's requests."""
        return tuple(change for change in self.changes if change.why == UNMAPPED)

    @property
    def summary(self) -> str:
        """For example "1 add, 2 remove"."""
        count = Counter(change.action for change in self.changes)
        return ", ".join(f"{number} {action}" for action, number in sorted(count.items())) or "nothing"

    @property
    def exit_code(self) -> ExitCode:
        """0 as planned, 1 problems or a server that must not be mapped, 4 not seen, 3 differences."""
        if self.problems or self.errors:
            return ExitCode.FAIL
        if any(item.error is not None for item in self.seen):
            return ExitCode.NOT_RUN
        return ExitCode.WARN if self.changes else ExitCode.OK

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/reference/lb.md)."""
        return {
            "site": self.site.name,
            "summary": self.summary,
            "changes": [change.as_dict() for change in self.changes],
            "problems": [problem.as_dict() for problem in self.problems],
            "not_seen": {item.balancer: str(item.error) for item in self.seen if item.error is not None},
        }


def make_plan(site: Site, seen: Sequence[Seen]) -> Plan:
    """Compare what was seen with the site; a balancer that was not seen has no changes."""
    changes: list[Change] = []
    problems: list[Problem] = []
    for item in seen:
        if item.error is None:
            changes += _changes(site, item)
            problems += [Problem("balancer", item.balancer, what, mend) for what, mend in item.problems]
    return Plan(site, tuple(seen), tuple(changes), tuple(problems))


def _changes(site: Site, seen: Seen) -> list[Change]:
    """By address, because a member's name may say web2 while its address is another machine's."""
    wanted = {str(site.host(name).address): name for name in site.balancer.members}
    ours = {str(host.address) for host in site.hosts}
    good: set[str] = set()
    surplus = []
    for member in seen.members:
        if member.address not in wanted:
            why = UNMAPPED if member.address in ours else STRANGER
        elif member.port != MEMBER_PORT:
            why = PORT
        elif member.address in good:
            why = TWICE
        else:
            good.add(member.address)
            continue
        surplus.append(Change(seen.balancer, member.name, member.address, member.port, why, member))
    missing = [
        Change(seen.balancer, name, address, MEMBER_PORT, MISSING)
        for address, name in wanted.items()
        if address not in good
    ]
    return missing + surplus


def check(plan: Plan, balancers: Balancers, *, prune: bool = False) -> None:
    """Raise what stands against applying the plan.

    `NotRunError` for a balancer whose members something else makes (HAProxy: the role), `RefusedError` for
    members that are no machine of this site without `prune`, and the errors of balancers that were not seen.
    """
    drivers = {driver.name: driver for driver in balancers.drivers}
    for item in plan.seen:
        if item.error is not None:
            raise item.error
    for name in dict.fromkeys(change.balancer for change in plan.changes):
        if not drivers[name].makes_members:
            raise NotRunError(
                f"{name}'s members are written by the role load_balancer", mend=drivers[name].mend_members
            )
    if not prune:
        lines = tuple(
            f"{change.balancer}: {change.name} ({change.address}:{change.port}) is no machine of "
            f"{plan.site.name} → xjops lb apply --prune removes it"
            for change in plan.changes
            if change.why == STRANGER
        )
        if lines:
            raise RefusedError("", problems=lines)


def apply(plan: Plan, balancers: Balancers, *, prune: bool = False) -> None:
    """Make and remove members, each balancer's all at once. Raises what `check` does, before any change."""
    check(plan, balancers, prune=prune)
    for name in dict.fromkeys(change.balancer for change in plan.changes):
        mine = [change for change in plan.changes if change.balancer == name]
        add = [(change.name, change.address, change.port) for change in mine if change.member is None]
        balancers.reshape(name, add, [change.member for change in mine if change.member is not None])
