"""Run a site: make its machines on vCenter, reach its hosts, verify the bundle, run the roles.

Every part can be run again and goes on where it stopped. A machine or host that fails is left out of
what follows, the others go on; what can't be tried here (no simulator) is not-run, and said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from xjops import provision
from xjops.adapters.ansible import HostOutcome, run_playbook
from xjops.adapters.ssh import Fleet
from xjops.bundle import refusal
from xjops.bundle.build import default_folder
from xjops.core import paths
from xjops.core.errors import NotRunError, UsageError, XjopsError
from xjops.core.locking import lock
from xjops.core.progress import Progress
from xjops.ledger.compare import Due
from xjops.ledger.recording import ACCEPT
from xjops.plan.look import look
from xjops.plan.outcome import Outcome, Part, State
from xjops.provision.host_keys import HostKeyError
from xjops.site.model import Host, Site

LOCK_SECONDS = 10.0  # a killed run's workers are gone by then
REACH_SECONDS = 90.0
KEY_SECONDS = 120.0
ROUNDS = 4  # base → release → what follows the release; one more to see that nothing is left


@dataclass(frozen=True)
class Options:
    """What a run covers: `limit` names hosts or groups, `tags` roles; `check` changes nothing.

    `full`: run every role, whatever the hosts' ledgers say, and take what they leave as right; else only what
    differs. `no_vcenter`: why there
    can be no vCenter here (a lab without simulator); its part is then not-run.
    """

    limit: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    check: bool = False
    diff: bool = False
    full: bool = False
    bundle: Path | None = None
    no_vcenter: str = ""


def lock_file(site: str) -> Path:
    """Held by the apply of a site that goes on."""
    return paths.state(site) / "apply.lock"


@contextmanager
def alone(site: str) -> Iterator[None]:
    """No apply of the site but this one; `DeadlineError` when another goes on."""
    mend = "wait for it (xjops journal show), then run this again"
    with lock(lock_file(site), what=f"apply of {site}", seconds=LOCK_SECONDS, mend=mend):
        yield


class Pipeline:
    """One run of the parts in their order, for the hosts still in it."""

    def __init__(self, site: Site, options: Options, log: Path, progress: Progress) -> None:
        self.site, self.options, self.log, self.progress = site, options, log, progress
        self.hosts = chosen(site, options.limit)
        self.outcome = Outcome()

    def run(self) -> Outcome:
        """All parts; the outcome says how each ended. Raises nothing for a part that failed.

        Raises `DeadlineError` when another run of this site goes on (looking only may go beside it).
        """
        if self.options.check:
            return self._parts()
        with alone(self.site.name):
            return self._parts()

    def _parts(self) -> Outcome:
        for name, part in (
            ("vcenter", self._machines),
            ("reach", self._reach),
            ("bundle", self._bundle),
            ("roles", self._roles),
        ):
            if not self._try(name, part):
                break
        return self.outcome

    def _try(self, name: str, part: Callable[[], tuple[State, str]]) -> bool:
        """Run one part and note how it ended; whether what follows can go on."""
        started = time.monotonic()
        self.progress(name, "running")
        try:
            state, detail = part()
        except NotRunError as error:
            state, detail = State.NOT_RUN, str(error)
        except XjopsError as error:
            state, detail = State.FAILED, str(error)
        self.outcome.parts.append(Part(name, state, time.monotonic() - started, detail))
        self.progress(name, state.value, detail)
        return bool(self.hosts) and (state is not State.FAILED or name == "reach")

    def _drop(self, name: str, error: str, *, unreachable: bool = False) -> None:
        """Leave a host out of what follows."""
        self.outcome.hosts[name] = HostOutcome(name, failed=True, unreachable=unreachable, error=error)
        self.hosts = [host for host in self.hosts if host.name != name]
        self.progress(name, "unreachable" if unreachable else "failed", error)

    def _machines(self) -> tuple[State, str]:
        wanted = [host.name for host in self.hosts if host in self.site.virtual_machines]
        if not wanted:
            return State.OK, "no virtual machine among the chosen hosts"
        if self.options.no_vcenter:
            raise NotRunError(self.options.no_vcenter)
        plan = provision.plan(self.site, wanted)
        plan.check()
        if self.options.check:
            return State.OK, plan.summary
        failed = provision.apply(plan, self.progress).failed
        for name, error in failed.items():
            self._drop(name, str(error))
        if len(failed) == len(wanted):
            return State.FAILED, plan.summary
        self._host_keys([name for name in wanted if name not in failed])
        return (State.CHANGED if plan.changes else State.OK), plan.summary

    def _host_keys(self, names: list[str]) -> None:
        """Learn the machines' host keys from vCenter; a machine without one is dropped when it is asked."""
        try:
            provision.learn_host_keys(self.site, names, seconds=KEY_SECONDS)
        except HostKeyError as error:
            self.progress("vcenter", "running", str(error))

    def _reach(self) -> tuple[State, str]:
        errors = self._silent(self.hosts)
        for name, error in errors.items():
            self._drop(name, error, unreachable=True)
        detail = f"{len(self.hosts)} hosts answer" + (f", {len(errors)} do not" if errors else "")
        return (State.FAILED if errors else State.OK), detail

    def _silent(self, hosts: Sequence[Host]) -> dict[str, str]:
        """Ask the hosts for a session until all answer or the deadline comes; why the others don't."""
        left, errors = list(hosts), {}
        deadline = time.monotonic() + REACH_SECONDS
        with Fleet(self.site) as fleet:
            while left:
                outputs = fleet.run(left, "true", seconds=10)
                left = [host for host in left if outputs[host.name].error is not None]
                errors = {host.name: str(outputs[host.name].error) for host in left}
                if time.monotonic() >= deadline:
                    break
                time.sleep(1 if left else 0)
        return errors

    def _bundle(self) -> tuple[State, str]:
        folder = self.options.bundle or default_folder()
        key = self.site.file(self.site.bundle.public_key_file)
        bundle = refusal.verify(folder, key)
        self.outcome.artefacts["bundle"] = bundle.digest
        return State.OK, f"{folder}: {len(bundle.files)} files, signature and hashes hold"

    def _roles(self) -> tuple[State, str]:
        """Run what is due until nothing is: what a role changes can make another one due that follows it."""
        if self.options.full:
            self._play({host.name for host in self.hosts}, self.options.tags)
            return self._judged()
        ran: set[tuple[str, str]] = set()
        returned: set[str] = set()
        for _ in range(ROUNDS):
            steps = self._due()
            again = sorted(item.told for item in steps if (item.host, item.step) in ran)
            if again:
                mend = "xjops plan names it; xjops apply --full, if the host is right as it is"
                return State.FAILED, f"still not as planned after it ran: {', '.join(again)} → {mend}"
            if not steps:
                break
            self._play({item.host for item in steps}, tuple(sorted({item.role for item in steps})))
            if self.options.check:
                break
            back = self._back(returned)
            returned |= back
            ran |= {(item.host, item.step) for item in steps if item.host not in back}
            self.hosts = [host for host in self.hosts if not self.outcome.hosts[host.name].failed]
        return self._judged()

    def _back(self, returned: Collection[str]) -> set[str]:
        """The hosts that went away in the middle and answer again: each may try once more."""
        gone = [
            host
            for host in self.hosts
            if self.outcome.hosts[host.name].unreachable and host.name not in returned
        ]
        back = {host.name for host in gone} - self._silent(gone).keys()
        for name in back:
            known = self.outcome.hosts[name]
            self.outcome.hosts[name] = replace(known, failed=False, unreachable=False, error="")
            self.progress(name, "running", "answers again")
        return back

    def _due(self) -> list[Due]:
        """The steps that have to run on the hosts still in the run; hosts without one are as planned."""
        self.progress("roles", "running", "looks at what differs")
        seen = look(self.site, self.hosts, machines=False, facts=False)
        for name, error in seen.unreachable.items():
            self._drop(name, str(error), unreachable=True)
        for host in self.hosts:
            self.outcome.hosts.setdefault(host.name, HostOutcome(host.name))
        return [item for item in seen.due if not self.options.tags or item.role in self.options.tags]

    def _play(self, hosts: set[str], tags: Sequence[str]) -> None:
        outcomes = run_playbook(
            self.site,
            "site.yml",
            log=self.log,
            limit=[host.name for host in self.hosts if host.name in hosts],
            check=self.options.check,
            diff=self.options.diff,
            tags=tags,
            progress=self.progress,
            environment={ACCEPT: "1"} if self.options.full else {},
        )
        for name, outcome in outcomes.items():
            known = self.outcome.hosts.get(name)
            self.outcome.hosts[name] = outcome if known is None else known.followed_by(outcome)

    def _judged(self) -> tuple[State, str]:
        outcomes = self.outcome.hosts.values()
        failed = sorted(host.name for host in outcomes if host.failed and not host.unreachable)
        changed = sum(host.changed for host in outcomes)
        worked = sum(bool(host.ok or host.changed) for host in outcomes)
        if failed:
            return State.FAILED, f"failed: {', '.join(failed)}"
        detail = f"{changed} changes on {worked} hosts" if worked else "nothing differs"
        return (State.CHANGED if changed else State.OK), detail


def chosen(site: Site, limit: Sequence[str]) -> list[Host]:
    """The hosts that `limit` names (hosts or groups), all when it is empty.

    Raises `UsageError` for a name that is neither.
    """
    if not limit:
        return list(site.hosts)
    for name in limit:
        if not any(name == host.name or name in host.groups for host in site.hosts):
            raise UsageError(f"{name!r} is neither a host nor a group of {site.name}", mend="xjops site show")
    return [host for host in site.hosts if host.name in limit or set(host.groups) & set(limit)]
