"""What tests of applying share: build machines, and look whether they stand."""

from __future__ import annotations

from typing import Any

from xjops import provision
from xjops.adapters import vcenter
from xjops.adapters.vcenter_inventory import Place, look
from xjops.adapters.vcenter_model import Power, Size, Stage
from xjops.provision.model import Deadlines, Result

IMPATIENT = Deadlines(clone=30, customize=10, change=10, power_on=10, shut_down=10, address=2)
Said = list[tuple[str, str, str]]


def build(session: vcenter.VCenter, names: list[str] | None = None, **options: Any) -> Result:
    """Plan and apply; the machines must end without an error."""
    plan = provision.plan(session.site, names, session=session, **options)
    result = provision.apply(plan, session=session, deadlines=IMPATIENT)
    assert result.failed == {}
    return result


def assert_stands(session: vcenter.VCenter) -> None:
    """All eleven machines, once each, as the site wants them."""
    machines = {machine.name: machine for machine in session.machines()}
    assert len(session.machines()) == len(machines) == 11
    for host in session.site.virtual_machines:
        machine = machines[host.name]
        assert machine.size == Size(host.cpus or 0, host.memory_mb or 0, host.disk_gb or 0)
        assert machine.power is Power.ON
        assert machine.addresses == (str(host.address),)
        assert machine.stage is Stage.READY
        assert machine.in_folder
        assert machine.networks == (session.site.vcenter.network,)
        role = next(group for group in host.groups if group != "virtual_machines")
        assert machine.annotation == f"xjops: site={session.site.name} role={role}"
    assert provision.plan(session.site, session=session).changes == ()


def look_place(session: vcenter.VCenter) -> Place:
    """vCenter's references of what the site names."""
    return look(session)[0]
