"""The next step of a machine, decided from nothing but what is there and what is wanted.

No record of an earlier run is needed: a run that was killed anywhere goes on from what vCenter shows.
"""

from __future__ import annotations

from dataclasses import replace

from xjops.adapters.vcenter_model import Machine, Power, Stage, annotate, read_mark
from xjops.provision.model import Step, Wanted


def next_step(wanted: Wanted, found: Machine | None) -> Step | None:
    """What to do now; None when the machine stands as planned."""
    if found is None or not found.made:
        return Step.CLONE
    if needs_customization(found):
        return Step.CUSTOMIZE
    if needs_change(wanted, found):
        return Step.SHUT_DOWN if needs_restart(wanted, found) else Step.CHANGE
    if found.power is not Power.ON:
        return Step.POWER_ON
    if wanted.address not in found.addresses:
        return Step.ADDRESS
    return None


def needs_customization(found: Machine) -> bool:
    """A clone of ours that has never booted and doesn't yet know who it becomes."""
    return found.stage is Stage.CLONED and found.power is Power.OFF and not found.pending_customization


def needs_change(wanted: Wanted, found: Machine) -> bool:
    """Whether size or marks differ; a machine that has more than required keeps it."""
    return (
        found.size.grown_to(wanted.size) != found.size
        or read_mark(found.annotation) != (wanted.site, wanted.role)
        or found.stage is not Stage.READY
    )


def needs_restart(wanted: Wanted, found: Machine) -> bool:
    """Whether it has to grow in a way that it can't while it runs."""
    cpus = wanted.size.cpus > found.size.cpus and not found.hot_add_cpu
    memory = wanted.size.memory_mb > found.size.memory_mb and not found.hot_add_memory
    return found.power is Power.ON and (cpus or memory)


def all_steps(wanted: Wanted, found: Machine | None) -> tuple[Step, ...]:
    """Every step from here to the end, each supposed to do what it should."""
    steps: list[Step] = []
    while (step := next_step(wanted, found)) is not None:
        steps.append(step)
        found = _after(step, wanted, found)
    return tuple(steps)


def _after(step: Step, wanted: Wanted, found: Machine | None) -> Machine:
    """The machine as it will be once `step` has done its work."""
    if found is None or step is Step.CLONE:
        annotation = annotate("", wanted.site, wanted.role)
        return Machine("", wanted.name, "", size=wanted.size, annotation=annotation, stage=Stage.CLONED)
    if step is Step.CUSTOMIZE:
        return replace(found, pending_customization=True)
    if step is Step.SHUT_DOWN:
        return replace(found, power=Power.OFF, addresses=())
    if step is Step.CHANGE:
        annotation = annotate(found.annotation, wanted.site, wanted.role)
        return replace(found, size=found.size.grown_to(wanted.size), annotation=annotation, stage=Stage.READY)
    if step is Step.POWER_ON:
        return replace(found, power=Power.ON)
    return replace(found, addresses=(*found.addresses, wanted.address))
