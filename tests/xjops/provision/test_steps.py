"""The next step of a machine, from every state an earlier run may have left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.xjops.provision.facts import machine, wanted
from xjops.adapters.vcenter_model import Machine, Power, Size, Stage
from xjops.provision.model import Step
from xjops.provision.steps import all_steps, next_step

CLONED = machine(stage=Stage.CLONED, power=Power.OFF, addresses=())
READY = machine(power=Power.OFF, addresses=())
SMALL = Size(4, 8192, 30)


@pytest.mark.parametrize(
    ("found", "steps"),
    [
        pytest.param(None, "clone customize change power-on address", id="not there"),
        pytest.param(CLONED, "customize change power-on address", id="killed after the clone"),
        pytest.param(
            replace(CLONED, pending_customization=True),
            "change power-on address",
            id="killed after customizing",
        ),
        pytest.param(READY, "power-on address", id="killed before power-on"),
        pytest.param(replace(READY, power=Power.SUSPENDED), "power-on address", id="suspended by somebody"),
        pytest.param(machine(addresses=()), "address", id="killed while it booted"),
        pytest.param(machine(addresses=("10.9.9.9",)), "address", id="another address"),
        pytest.param(machine(), "", id="as planned"),
        pytest.param(machine(size=SMALL), "change", id="disk to grow"),
        pytest.param(machine(size=Size(16, 32768, 80)), "", id="more than required"),
        pytest.param(machine(annotation="lovely machine"), "change", id="mark lost"),
        pytest.param(
            machine(annotation="xjops: site=lab role=scheduling_servers"), "change", id="other role"
        ),
        pytest.param(machine(stage=None), "change", id="marked by hand"),
        pytest.param(machine(size=Size(2, 8192, 50), hot_add_cpu=True), "change", id="CPUs while it runs"),
        pytest.param(
            machine(size=Size(2, 8192, 50)), "shut-down change power-on address", id="CPUs need a restart"
        ),
        pytest.param(
            machine(size=Size(4, 4096, 50), hot_add_cpu=True),
            "shut-down change power-on address",
            id="memory needs a restart",
        ),
        pytest.param(
            machine(size=Size(2, 4096, 30), power=Power.OFF, addresses=()),
            "change power-on address",
            id="grows while it is off",
        ),
    ],
)
def test_steps(found: Machine | None, steps: str) -> None:
    assert [step.value for step in all_steps(wanted(), found)] == steps.split()


def test_a_clone_that_is_still_written_is_waited_for_not_changed() -> None:
    assert next_step(wanted(), machine(made=False)) is Step.CLONE


@pytest.mark.parametrize("part", ["cpus", "memory_mb", "disk_gb"])
def test_nothing_ever_shrinks(part: str) -> None:
    larger: dict[str, Any] = {part: getattr(wanted().size, part) * 2}
    found = machine(size=replace(wanted().size, **larger))
    assert found.size.grown_to(wanted().size) == found.size
    assert next_step(wanted(), found) is None
