"""The simulated vCenter in a snapshot: which machines there were, and registering them again.

The simulator forgets everything when it ends, so its machines are made again from the inventory, as after
`xjops lab down`. Their hosts are the snapshot's containers; the agent finds them running.
"""

from __future__ import annotations

from collections.abc import Mapping

from xjops import provision
from xjops.adapters import vcenter
from xjops.core.errors import NotRunError
from xjops.core.progress import Progress
from xjops.lab import agent, simulator
from xjops.site import Site


def machines(site: Site) -> dict[str, bool] | None:
    """This site's machines by name, True for those that are on; None without a vCenter."""
    if simulator.absence(site) or not simulator.running(site):
        return None
    with vcenter.connect(site) as session:
        return {name: machine.on for name, (_, machine) in agent.machines(session).items()}


def bring_back(site: Site, wanted: Mapping[str, bool], progress: Progress) -> None:
    """A fresh simulator with these machines, those of False switched off.

    A machine that the inventory doesn't have (any more) can't be made again; it is named. Where the
    simulator can't be had, that is said and the hosts go on without it.
    """
    try:
        simulator.start(site)
    except NotRunError as error:
        simulator.remember_absence(site, str(error))
        progress("vCenter", "not-run", str(error))
        return
    known = {host.name for host in site.virtual_machines}
    names = [name for name in wanted if name in known]
    with vcenter.connect(site) as session:
        result = provision.apply(provision.plan(site, names, session=session), session=session)
        for failure in result.failed.values():
            raise failure
        for name, (item, _) in agent.machines(session).items():
            if name in names and not wanted[name]:
                item.PowerOffVM_Task()
    lost = sorted(set(wanted) - known)
    progress(
        "vCenter",
        "registered",
        f"{len(names)} machines" + (f"; not in the inventory, left out: {', '.join(lost)}" if lost else ""),
    )
