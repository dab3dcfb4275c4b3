"""Every bad input and every fault ends in its named error, in time, and the next run completes."""

from __future__ import annotations

import re

import pytest

from tests.xjops.battery.battery import AT_VCENTER, ELSEWHERE
from tests.xjops.battery.case import Case
from tests.xjops.battery.world import Ran, VCenterWorld, World

# What else may stand on standard error: how each machine ended (questions are left out by the world).
PROGRESS = re.compile(r"^\S+ +(done|failed) +[\d.]+ s  .*$")


def of(areas: dict[str, tuple[Case, ...]]) -> list[object]:
    return [pytest.param(case, id=f"{area}: {case.what}") for area, cases in areas.items() for case in cases]


def said(world: World, ran: Ran) -> list[str]:
    return [line for line in world.plain(ran.err).splitlines() if not PROGRESS.match(line)]


def prove(case: Case, world: World) -> None:
    world.prepare(case.without)
    with case.harm(world):
        ran = world.run(case.command)
        assert said(world, ran) == [f"xjops: {error}" for error in case.errors]
        assert ran.code == case.code
        assert ran.seconds < case.seconds
        assert "Traceback" not in ran.out
    again = world.run(case.then or case.command)
    assert (said(world, again), again.code) == ([], 0)
    case.after(world)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("case", of(ELSEWHERE))
def test_bad_input(case: Case, world: World) -> None:
    prove(case, world)


@pytest.mark.vcsim
@pytest.mark.timeout(90)
@pytest.mark.parametrize("case", of(AT_VCENTER))
def test_fault_of_vcenter(case: Case, vcenter_world: VCenterWorld) -> None:
    prove(case, vcenter_world)
