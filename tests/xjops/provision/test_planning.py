"""Plans as data: each file of plans/ says what vCenter shows and what the plan for the lab's site must be.

Machines that a case doesn't mention stand as planned, or are absent where it says `default: absent`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from xjops.adapters.vcenter_model import (
    Datastore,
    Estate,
    Machine,
    Power,
    Size,
    Stage,
    annotate,
    mark,
    read_mark,
)
from xjops.provision.model import Options, Plan, PlanRefusedError
from xjops.provision.planning import make_plan, wanted_machines
from xjops.site import Site

CASES = sorted((Path(__file__).parent / "plans").glob("*.yml"))
TEMPLATE = Machine("vm-1", "debian-12", "DC0/vm/debian-12", template=True, size=Size(2, 2048, 30))
ROOMY = [["LocalDS_0", 2000, 2000], ["LocalDS_1", 2000, 2000], ["LocalDS_2", 2000, 2000]]


def standing(site: Site, name: str) -> Machine:
    """The machine exactly as the site wants it."""
    (item,) = [item for item in wanted_machines(site, Options()) if item.name == name]
    return Machine(
        id=f"vm-{name}",
        name=name,
        path=f"DC0/vm/xjops-lab/{name}",
        power=Power.ON,
        size=item.size,
        networks=("VM Network",),
        datastore="LocalDS_0",
        addresses=(item.address,),
        annotation=mark(site.name, item.role),
        site=site.name,
        role=item.role,
        stage=Stage.READY,
    )


def changed(machine: Machine, settings: dict[str, Any]) -> Machine:
    """`machine` with a case's settings, plain YAML turned into the types."""
    values = dict(settings)
    if "size" in values:
        values["size"] = Size(*values["size"])
    if "power" in values:
        values["power"] = Power(values["power"])
    if values.get("stage"):
        values["stage"] = Stage(values["stage"])
    if "addresses" in values:
        values["addresses"] = tuple(values["addresses"])
    return replace(machine, **values)


def estate_of(site: Site, case: dict[str, Any]) -> Estate:
    machines = []
    for host in site.virtual_machines:
        found = case.get("found", {}).get(host.name, case.get("default", {}))
        if found == "absent":
            continue
        for settings in found if isinstance(found, list) else [found]:
            machines.append(changed(standing(site, host.name), settings))
    machines += [changed(standing(site, "web1"), stray) for stray in case.get("strays", [])]
    cpus, memory = case.get("host", [64, 524288])
    return Estate(
        template=changed(TEMPLATE, case.get("template", {})),
        machines=tuple(machines),
        datastores=tuple(Datastore(*item) for item in case.get("datastores", ROOMY)),
        addresses=case.get("addresses", {}),
        host_cpus=cpus,
        host_memory_mb=memory,
    )


def site_of(site: Site, case: dict[str, Any]) -> Site:
    settings = case.get("hosts", {})
    hosts = tuple(host.model_copy(update=settings.get(host.name, {})) for host in site.hosts)
    return site.model_copy(update={"hosts": hosts})


def plan_of(site: Site, case: dict[str, Any]) -> Plan:
    given = case.get("options", {})
    names = frozenset(given["names"]) if "names" in given else None
    options = Options(frozenset(given.get("adopt", [])), given.get("restart", False), names)
    return make_plan(site_of(site, case), estate_of(site, case), options)


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_plan(file: Path, lab_site: Site) -> None:
    case = yaml.safe_load(file.read_text())
    plan = plan_of(lab_site, case)
    assert not plan.problems or case.get("problems"), plan.problems
    for kind, machine, text, mend in case.get("problems", []):
        matching = [item for item in plan.problems if (item.kind, item.machine) == (kind, machine)]
        assert any(text in item.text and mend in item.mend for item in matching), plan.problems
    assert {(item.kind, item.machine) for item in plan.problems} == {
        (kind, machine) for kind, machine, *_ in case.get("problems", [])
    }
    if "summary" in case:
        assert plan.summary == case["summary"]
    changes = {change.name: change.as_dict() for change in plan.machines}
    for name, expected in case.get("expect", {}).items():
        shown = changes[name] | {"after": list(changes[name]["after"].values())}
        assert {key: shown[key] for key in expected} == expected
    assert list(plan.strays) == [stray["path"] for stray in case.get("strays", [])]


def test_every_kind_of_problem_has_a_case() -> None:
    kinds = {problem[0] for file in CASES for problem in yaml.safe_load(file.read_text()).get("problems", [])}
    source = Path(make_plan.__code__.co_filename).read_text()
    assert kinds == {
        "address-taken", "duplicate-name", "name-taken", "needs-restart", "no-disk", "no-space",
        "not-customized", "size", "snapshot", "system", "template", "too-large",
    }  # fmt: skip
    assert all(f'"{kind}"' in source for kind in kinds)


def test_a_plan_with_problems_is_refused_with_one_line_each(lab_site: Site) -> None:
    case = yaml.safe_load((Path(__file__).parent / "plans" / "06-foreign-name.yml").read_text())
    with pytest.raises(PlanRefusedError) as caught:
        plan_of(lab_site, case).check()
    assert len(caught.value.problems) == 3
    assert all(" → " in line for line in caught.value.problems)
    assert caught.value.exit_code == 1


def test_a_plan_is_plain_json(lab_site: Site) -> None:
    data = plan_of(lab_site, {"default": "absent"}).as_dict()
    assert [item["name"] for item in data["machines"]] == [host.name for host in lab_site.virtual_machines]
    assert data["machines"][0]["before"] is None
    assert data["machines"][0]["after"] == {"cpus": 4, "memory_mb": 8192, "disk_gb": 50}


def test_new_machines_are_spread_over_all_datastores(lab_site: Site) -> None:
    plan = plan_of(lab_site, {"default": "absent"})
    stores = [change.datastore for change in plan.machines]
    assert sorted(stores.count(name) for name in set(stores)) == [3, 4, 4]


def test_identity_is_the_planned_one(lab_site: Site) -> None:
    (web2,) = wanted_machines(lab_site, Options(names=frozenset({"web2"})))
    assert str(web2.identity.address) == web2.address == "10.58.7.12"
    assert str(web2.identity.gateway) == "10.58.7.1"
    assert web2.identity.subnet.prefixlen == 24
    assert web2.role == "web_servers"


def test_marks_keep_what_others_wrote() -> None:
    text = annotate("bought in 2015\nxjops: site=old role=x", "lab", "web_servers")
    assert text == "xjops: site=lab role=web_servers\nbought in 2015"
    assert read_mark(text) == ("lab", "web_servers")
    assert annotate(text, "lab", "web_servers") == text
    assert read_mark("not xjops: site=lab role=web_servers") is None
