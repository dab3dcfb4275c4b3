"""What may be deleted, decided from facts alone."""

from __future__ import annotations

from typing import Any

import pytest

from tests.xjops.provision.facts import machine
from xjops.adapters.vcenter_model import Estate, Machine, Power
from xjops.provision.deletion import DeletionPlan, make_deletion
from xjops.provision.model import Action, PlanRefusedError, StalePlanError, Step
from xjops.site import Site

TEMPLATE = Machine("vm-1", "debian-12", "DC0/vm/debian-12", template=True)
OFF = {"power": Power.OFF}


def plan(site: Site, *machines: Machine, names: tuple[str, ...] = ("web2",), **options: Any) -> DeletionPlan:
    return make_deletion(
        site, Estate(TEMPLATE, machines), names, power_off=options.pop("power_off", False), **options
    )


def kinds(made: DeletionPlan) -> list[tuple[str, str]]:
    return [(problem.kind, problem.machine) for problem in made.problems]


def test_a_machine_of_the_site_that_is_off(lab_site: Site) -> None:
    made = plan(lab_site, machine(**OFF))
    made.check()
    (item,) = made.changes
    assert (item.action, item.steps) == (Action.DELETE, (Step.DELETE,))
    assert item.notes == ("stands in the inventory: `xjops vm apply` makes it anew",)


def test_only_what_is_named_is_deleted(lab_site: Site) -> None:
    other = machine(id="vm-3", name="web3", **OFF)
    assert [item.name for item in plan(lab_site, machine(**OFF), other).changes] == ["web2"]


@pytest.mark.parametrize("power", [Power.ON, Power.SUSPENDED])
def test_a_machine_that_is_not_off_needs_leave(lab_site: Site, power: Power) -> None:
    refused = plan(lab_site, machine(power=power))
    assert kinds(refused) == [("running", "web2")]
    assert "xjops vm delete --power-off web2" in str(refused.problems[0])
    assert refused.changes == ()
    (item,) = plan(lab_site, machine(power=power), power_off=True).changes
    assert item.steps == (Step.POWER_OFF, Step.DELETE)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"annotation": "Mr Wang's"}, "without the mark of lab"),
        ({"annotation": "xjops: site=shaanxi role=web_servers"}, "a machine of the site shaanxi"),
        ({"annotation": ""}, "without the mark of lab"),  # its extra configuration alone is not enough
    ],
)
def test_what_is_not_the_sites_own_by_its_annotation(
    lab_site: Site, settings: dict[str, Any], text: str
) -> None:
    refused = plan(lab_site, machine(**OFF, **settings), power_off=True)
    assert kinds(refused) == [("foreign", "web2")]
    assert text in str(refused.problems[0])


def test_templates_duplicates_and_half_made_machines(lab_site: Site) -> None:
    assert kinds(plan(lab_site, names=("debian-12",))) == [("template", "debian-12")]
    assert kinds(plan(lab_site, machine(template=True, **OFF))) == [("template", "web2")]
    twin = machine(id="vm-9", path="DC0/vm/web2", **OFF)
    refused = plan(lab_site, machine(**OFF), twin)
    assert kinds(refused) == [("duplicate-name", "web2")]
    assert "DC0/vm/web2, DC0/vm/xjops-lab/web2" in str(refused.problems[0])
    assert kinds(plan(lab_site, machine(made=False, **OFF))) == [("not-made", "web2")]


def test_unknown_names_are_named_all_at_once(lab_site: Site) -> None:
    refused = plan(lab_site, machine(**OFF), names=("wbe3", "web2", "db1", "nonsense", "wbe3"))
    assert kinds(refused) == [("unknown-name", "wbe3"), ("unknown-name", "db1"), ("unknown-name", "nonsense")]
    assert [problem.mend for problem in refused.problems] == ["did you mean 'web3'?", "xjops vm list",
                                                              "xjops vm list"]  # fmt: skip
    assert "db1 is a physical machine" in refused.problems[1].text
    with pytest.raises(PlanRefusedError) as caught:
        refused.check()
    assert len(caught.value.problems) == 3


def test_a_machine_that_is_gone_already(lab_site: Site) -> None:
    """Of the inventory, or one that an earlier run was told to delete; never just any name."""
    made = plan(lab_site, names=("web2", "old1"), deleted_before={"old1"})
    made.check()
    assert [(item.name, item.action, item.steps) for item in made.machines] == [
        ("web2", Action.GONE, ()),
        ("old1", Action.GONE, ()),
    ]
    assert made.changes == ()
    assert kinds(plan(lab_site, names=("old1",))) == [("unknown-name", "old1")]


def test_a_machine_no_longer_in_the_inventory(lab_site: Site) -> None:
    stray = machine(name="web10", path="DC0/vm/xjops-lab/web10", **OFF)
    (item,) = plan(lab_site, stray, names=("web10",)).changes
    assert item.notes == ()


def test_what_goes_with_it_is_said(lab_site: Site) -> None:
    (item,) = plan(lab_site, machine(disks=2, snapshot=True, **OFF)).changes
    assert item.notes[:2] == ("all its 2 disks go with it", "its snapshots go with it")


def test_a_plan_holds_for_its_very_machines_only(lab_site: Site) -> None:
    agreed = plan(lab_site, machine(**OFF))
    agreed.same(agreed)
    agreed.same(plan(lab_site))  # somebody else deleted it
    with pytest.raises(StalePlanError, match="DC0/vm/xjops-lab/web2 is another machine"):
        agreed.same(plan(lab_site, machine(id="vm-77", **OFF)))
    with pytest.raises(StalePlanError, match="web2 is on"):
        agreed.same(plan(lab_site, machine()))
