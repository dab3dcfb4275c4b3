"""Make the site's virtual machines on vCenter: look, plan, apply; run again, it goes on.

    with vcenter.connect(site) as session:          # or let each call connect by itself
        plan = provision.plan(site, session=session)
        result = provision.apply(plan, progress, session=session)
    provision.learn_host_keys(site)
    provision.delete(provision.plan_deletion(site, ["web9"]))

`progress` is called with (machine, stage, detail); see `xjops.provision.model.Progress`. Adapters and
pyvmomi are imported when used, because importing them takes longer than many commands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xjops.adapters.vcenter import VCenter
    from xjops.provision.deletion import Deleted, DeletionPlan
    from xjops.provision.host_keys import Learned
    from xjops.provision.model import Deadlines, Plan, Progress, Result
    from xjops.site.model import Site

LOCK_SECONDS = 10.0
DELETE_VERB = "vm delete"  # in the journal


@contextmanager
def _session(site: Site, session: VCenter | None) -> Iterator[VCenter]:
    from xjops.adapters import vcenter

    if session is not None:
        yield session
        return
    with vcenter.connect(site) as own:
        yield own


@contextmanager
def _alone(site: Site) -> Iterator[None]:
    """One change at a time on this control node: two applies would clone every machine twice."""
    from xjops.core import paths
    from xjops.core.locking import lock

    file = paths.state(site.name) / "vm.lock"
    with lock(
        file, what="vm apply or vm delete", seconds=LOCK_SECONDS, mend="wait for it, then run this again"
    ):
        yield


def plan(
    site: Site,
    names: Iterable[str] | None = None,
    *,
    adopt: Iterable[str] = (),
    restart: bool = False,
    session: VCenter | None = None,
) -> Plan:
    """What has to be done for the site's virtual machines (those of `names`); changes nothing.

    `adopt` names existing machines to take over, `restart` allows to restart machines that can't grow
    while they run. Problems that stand against the plan are in it (`Plan.problems`). Raises the errors
    of `xjops.adapters.vcenter.connect`, and `UnknownNameError` for names that vCenter doesn't know.
    """
    from xjops.adapters.vcenter_inventory import look
    from xjops.provision.model import Options
    from xjops.provision.planning import make_plan

    options = Options(frozenset(adopt), restart, None if names is None else frozenset(names))
    with _session(site, session) as open_session:
        return make_plan(site, look(open_session)[1], options)


def apply(
    plan: Plan,
    progress: Progress | None = None,
    *,
    session: VCenter | None = None,
    deadlines: Deadlines | None = None,
) -> Result:
    """Bring the machines to the plan, all at once; a machine that fails doesn't stop the others.

    Raises `PlanRefusedError` when the plan has problems and `StalePlanError` when vCenter has changed
    since, `DeadlineError` when another apply of this site runs; nothing is changed then. Raises
    `UnreachableError` when vCenter is lost on the way.
    """
    from dataclasses import replace

    from xjops.adapters.vcenter_inventory import look
    from xjops.adapters.vcenter_tasks import Works
    from xjops.provision.applying import Applying
    from xjops.provision.model import Deadlines, Result
    from xjops.provision.planning import make_plan

    plan.check()
    if not plan.changes:
        return Result()
    with _alone(plan.site), _session(plan.site, session) as open_session:
        place, estate = look(open_session)
        works = Works(open_session, place)
        run = Applying(open_session, works, progress or _silent, deadlines or Deadlines())
        if run.wait_for_clones():
            place, estate = look(open_session)
            plan = make_plan(plan.site, estate, plan.options)
        else:
            _same(plan, make_plan(plan.site, estate, plan.options))
        plan.check()
        fresh = {machine.id: machine for machine in estate.machines}
        changes = [
            replace(change, before=fresh[change.before.id]) if change.before else change
            for change in plan.changes
        ]
        return run.run(changes)


def _same(plan: Plan, now: Plan) -> None:
    from xjops.provision.model import StalePlanError

    before, after = plan.decisions, now.decisions
    moved = [
        f"{name} (was {before[name][0]}, now {after[name][0]})"
        for name in before
        if before[name] != after[name]
    ]
    if moved or now.problems:
        reasons = [*moved, *(problem.text for problem in now.problems)]
        raise StalePlanError(
            f"vCenter has changed since the plan: {'; '.join(reasons)}",
            mend="xjops vm plan, then apply again",
        )


def _silent(name: str, stage: str, detail: str) -> None:
    """Progress that nobody wants to see."""


def plan_deletion(
    site: Site, names: Iterable[str], *, power_off: bool = False, session: VCenter | None = None
) -> DeletionPlan:
    """What deleting the machines of `names` would do; changes nothing.

    `power_off` allows to cut the power of machines that are on. What stands against it (a foreign machine,
    a template, an unknown name, a running machine) is in `DeletionPlan.problems`. Raises the errors of
    `xjops.adapters.vcenter.connect`, and `UnknownNameError`.
    """
    from xjops.adapters.vcenter_inventory import look
    from xjops.provision.deletion import make_deletion

    chosen = tuple(names)
    with _session(site, session) as open_session:
        estate = look(open_session, chosen)[1]
    return make_deletion(site, estate, chosen, power_off=power_off, deleted_before=_deleted_before(site))


def _deleted_before(site: Site) -> set[str]:
    """Names that some run of `vm delete` was told to delete, out of the journal."""
    from xjops.journal.runs import journal_of

    entries = (entry.data for entry in journal_of(site.name).entries())
    return {
        str(name) for data in entries if data.get("verb") == DELETE_VERB for name in data.get("hosts", ())
    }


def delete(
    plan: DeletionPlan,
    progress: Progress | None = None,
    *,
    session: VCenter | None = None,
    deadlines: Deadlines | None = None,
) -> Deleted:
    """Delete the machines of the plan, all at once, and forget their SSH host keys.

    A machine that is gone already is fine. Raises `PlanRefusedError` when the plan has problems,
    `StalePlanError` when vCenter has changed since, `DeadlineError` when an apply of this site runs;
    nothing is changed then. Raises `UnreachableError` when vCenter is lost on the way.
    """
    from xjops.adapters.vcenter_inventory import look
    from xjops.adapters.vcenter_tasks import Works
    from xjops.provision import host_keys
    from xjops.provision.deleting import Deleting
    from xjops.provision.deletion import Deleted, make_deletion
    from xjops.provision.model import Deadlines, Result

    plan.check()
    result = Result()
    with _alone(plan.site):
        if plan.changes:
            with _session(plan.site, session) as open_session:
                place, estate = look(open_session, plan.names)
                names = plan.names
                now = make_deletion(plan.site, estate, names, power_off=plan.power_off, deleted_before=names)
                plan.same(now)
                works = Works(open_session, place)
                result = Deleting(open_session, works, progress or _silent, deadlines or Deadlines()).run(
                    now.changes
                )
        gone = [name for name in plan.names if name not in result.failed]
        return Deleted(result, host_keys.forget(plan.site, gone))


def learn_host_keys(
    site: Site,
    names: Iterable[str] | None = None,
    *,
    seconds: float = 300,
    progress: Progress | None = None,
    session: VCenter | None = None,
) -> Learned:
    """Wait for the SSH host keys of the site's machines and write them to its known_hosts.

    See `xjops.provision.host_keys`. Raises `HostKeyError` naming the machines whose key never came,
    after the others were written.
    """
    from xjops.provision import host_keys

    with _session(site, session) as open_session:
        return host_keys.learn(open_session, names, seconds=seconds, progress=progress or _silent)
