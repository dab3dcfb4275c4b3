"""What may be deleted: named machines that are the site's own and off. Pure: facts in, plan out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from xjops.adapters.vcenter_model import Estate, Machine, Power, read_mark
from xjops.provision.model import Action, PlanRefusedError, Problem, Result, StalePlanError, Step
from xjops.site.model import Site
from xjops.site.problems import similar


@dataclass(frozen=True)
class Deletion:
    """One named machine; `machine` is None for one that is not there any more."""

    name: str
    machine: Machine | None
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def action(self) -> Action:
        """A plan's line in one word."""
        return Action.DELETE if self.machine else Action.GONE

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {
            "name": self.name,
            "action": self.action.value,
            "path": self.machine.path if self.machine else None,
            "power": self.machine.power.value if self.machine else None,
            "steps": [step.value for step in self.steps],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class DeletionPlan:
    """The named machines in the order they were given, and what stands against deleting them."""

    site: Site
    power_off: bool
    machines: tuple[Deletion, ...]
    problems: tuple[Problem, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that was given, once."""
        return tuple(dict.fromkeys((*(item.name for item in self.machines), *self._refused)))

    @property
    def _refused(self) -> Iterator[str]:
        return (problem.machine for problem in self.problems)

    @property
    def changes(self) -> tuple[Deletion, ...]:
        """The machines that are there and will be deleted."""
        return tuple(item for item in self.machines if item.machine)

    def check(self) -> None:
        """Raise `PlanRefusedError` with every problem, one line each."""
        if self.problems:
            raise PlanRefusedError("", problems=tuple(str(problem) for problem in self.problems))

    def same(self, now: DeletionPlan) -> None:
        """Raise `StalePlanError` unless `now` deletes none but the very machines of this plan."""
        agreed = {item.machine.id for item in self.machines if item.machine}
        others = [
            item.machine.path for item in now.machines if item.machine and item.machine.id not in agreed
        ]
        if others or now.problems:
            reasons = [*(f"{path} is another machine" for path in others), *map(str, now.problems)]
            raise StalePlanError(
                f"vCenter has changed since the plan: {'; '.join(reasons)}",
                mend="run it again, and look again",
            )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/guide/vcenter.md)."""
        return {
            "site": self.site.name,
            "machines": [item.as_dict() for item in self.machines],
            "problems": [problem.as_dict() for problem in self.problems],
        }


@dataclass(frozen=True)
class Deleted:
    """How a deletion ended, and whose SSH host keys were taken out of the site's known_hosts."""

    result: Result
    forgotten: tuple[str, ...] = ()


def make_deletion(
    site: Site, estate: Estate, names: Iterable[str], *, power_off: bool, deleted_before: Collection[str] = ()
) -> DeletionPlan:
    """The plan for `names`; `deleted_before` are names that an earlier run was told to delete.

    A name that vCenter doesn't know is fine when it is a virtual machine of the inventory or was deleted
    before (a killed run was started again); else it is a mistake.
    """
    known = {host.name for host in site.virtual_machines}
    wanted, problems = [], []
    for name in dict.fromkeys(names):
        problem = _problem(site, estate, name, power_off, {*known, *deleted_before})
        if problem is not None:
            problems.append(problem)
            continue
        machine = next(iter(estate.named(name)), None)
        wanted.append(Deletion(name, machine, _steps(machine), tuple(_notes(machine, name in known))))
    return DeletionPlan(site, power_off, tuple(wanted), tuple(problems))


def _steps(machine: Machine | None) -> tuple[Step, ...]:
    if machine is None:
        return ()
    return (Step.DELETE,) if machine.power is Power.OFF else (Step.POWER_OFF, Step.DELETE)


def _notes(machine: Machine | None, in_inventory: bool) -> Iterator[str]:
    if machine is not None and machine.disks != 1:
        yield f"all its {machine.disks} disks go with it"
    if machine is not None and machine.snapshot:
        yield "its snapshots go with it"
    if in_inventory:
        yield "stands in the inventory: `xjops vm apply` makes it anew"


def _problem(site: Site, estate: Estate, name: str, power_off: bool, expected: set[str]) -> Problem | None:
    found = estate.named(name)
    if name == estate.template.name or any(machine.template for machine in found):
        return Problem("template", name, f"{name} is a template", "remove templates in vCenter")
    if not found:
        return None if name in expected else _unknown(site, estate, name)
    if len(found) > 1:
        paths = ", ".join(sorted(machine.path for machine in found))
        text = f"{len(found)} machines are called {name}: {paths}"
        return Problem("duplicate-name", name, text, "rename or remove all but one in vCenter")
    return _stands_against(site, found[0], power_off)


def _stands_against(site: Site, machine: Machine, power_off: bool) -> Problem | None:
    name = machine.name
    if not machine.made:
        text = f"{machine.path} is still being made"
        return Problem("not-made", name, text, "wait for the end of its clone task, then run this again")
    mark = read_mark(machine.annotation)
    if mark is None or mark[0] != site.name:
        owner = f"a machine of the site {mark[0]}" if mark else f"a machine without the mark of {site.name}"
        text = f"{machine.path} is {owner}: xjops deletes only what its annotation calls the site's own"
        return Problem("foreign", name, text, "delete it in vCenter, if it is yours")
    if machine.power is not Power.OFF and not power_off:
        text = f"{machine.path} is {machine.power.value}"
        return Problem("running", name, text, f"shut it down, or: xjops vm delete --power-off {name}")
    return None


def _unknown(site: Site, estate: Estate, name: str) -> Problem:
    physical = {host.name for host in site.group("physical_machines")}
    if name in physical:
        text = f"{name} is a physical machine; vCenter has none of that name"
        return Problem("unknown-name", name, text, "xjops vm list")
    names = {*(machine.name for machine in estate.machines), *(host.name for host in site.virtual_machines)}
    text = f"neither vCenter nor the inventory has a virtual machine {name!r}"
    return Problem("unknown-name", name, text, similar(name, sorted(names)) or "xjops vm list")
