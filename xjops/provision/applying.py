"""Apply a plan: every machine walks its own steps, all at the same time, and one wait serves them all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from pyVmomi import vmodl

from xjops.adapters.vcenter import FaultError, VCenter, explain
from xjops.adapters.vcenter_inventory import look
from xjops.adapters.vcenter_model import Machine, Stage
from xjops.adapters.vcenter_tasks import MachineNews, TaskNews, TaskState, Watch, Works
from xjops.core.errors import DeadlineError, XjopsError
from xjops.provision.mends import mend
from xjops.provision.model import (
    Change,
    Deadlines,
    NoAddressError,
    Outcome,
    Progress,
    Result,
    Step,
    StepError,
)
from xjops.provision.steps import next_step

_VERB = "vm apply"
_MEND = mend(_VERB)
_DEEP = (Step.CLONE, Step.CHANGE)  # steps after which a machine's size and marks are read again
_WATCHED = (Step.ADDRESS, Step.SHUT_DOWN)  # no task: the machine itself is watched


@dataclass
class _Job:
    """One machine on its way."""

    change: Change
    machine: Machine | None
    started: float = field(default_factory=time.monotonic)
    step: Step | None = None
    task: str | None = None
    deadline: float = 0.0
    percent: int | None = None
    error: XjopsError | None = None
    seconds: float | None = None

    @property
    def name(self) -> str:
        return self.change.name

    @property
    def active(self) -> bool:
        return self.seconds is None


class Applying:
    """One run over the machines of a plan."""

    def __init__(self, session: VCenter, works: Works, progress: Progress, deadlines: Deadlines) -> None:
        self.session = session
        self.works = works
        self.progress = progress
        self.deadlines = deadlines
        self.watch = Watch(session)
        self.jobs: list[_Job] = []

    def wait_for_clones(self) -> bool:
        """Wait for clones of an earlier run that vCenter still works on; whether there were any."""
        tasks = set(self.works.running_clones())
        if not tasks:
            return False
        self.watch.add(tasks=tasks)
        end = time.monotonic() + self.deadlines.clone
        count = len(tasks)
        while tasks:
            self.progress("vCenter", "waiting", f"{len(tasks)} of {count} clones of an earlier run go on")
            for news in self.watch.news(end - time.monotonic()):
                if isinstance(news, TaskNews) and news.state not in (TaskState.WAITING, TaskState.RUNNING):
                    tasks.discard(news.task)
                    self.watch.forget(news.task)
            if tasks and time.monotonic() >= end:
                raise DeadlineError(
                    f"{len(tasks)} clones of an earlier run did not end within {self.deadlines.clone:g} s",
                    mend="look at vCenter's tasks; cancel them there and run again",
                )
        self.progress("vCenter", "done", f"{count} clones of an earlier run ended")
        return True

    def run(self, changes: Iterable[Change]) -> Result:
        """Bring every machine to its end; a failed one doesn't stop the others.

        Raises `UnreachableError` when vCenter itself is gone; run again, it goes on.
        """
        started = time.monotonic()
        self.jobs = [_Job(change, change.before) for change in changes]
        self._advance(self.jobs)
        while any(job.active for job in self.jobs):
            soonest = min(job.deadline for job in self.jobs if job.active)
            ended = self._hear(self.watch.news(soonest - time.monotonic()))
            self._reread(ended)
            self._advance(ended)
            self._expire()
        self.watch.close()
        outcomes = tuple(
            Outcome(job.name, job.change.action, job.seconds or 0.0, job.error) for job in self.jobs
        )
        return Result(outcomes, time.monotonic() - started)

    def _advance(self, jobs: Iterable[_Job]) -> None:
        """Submit the next step of each machine, then watch all that is new at once."""
        tasks, machines = [], []
        for job in jobs:
            if not job.active:
                continue
            if job.step is not None and job.machine is None:
                self._end(job, StepError(f"{job.name} vanished from vCenter after {job.step}", mend=_MEND))
                continue
            step = next_step(job.change.wanted, job.machine)
            if step is None:
                self._end(job)
            elif step is job.step:
                self._end(job, StepError(f"{job.name}: {step} ended, but changed nothing", mend=_MEND))
            elif self._submit(job, step):
                if job.task:
                    tasks.append(job.task)
                elif job.machine:
                    machines.append(job.machine.id)
        if tasks or machines:
            self.watch.add(tasks, machines)

    def _submit(self, job: _Job, step: Step) -> bool:
        job.step, job.task, job.percent = step, None, None
        job.deadline = time.monotonic() + self.deadlines.of(step)
        try:
            job.task = self._ask(job, step)
        except FaultError as error:
            self._end(job, self._refused(job, step, error))
            return False
        except StepError as error:
            self._end(job, error)
            return False
        self.progress(job.name, step.value, self._detail(job))
        return True

    def _refused(self, job: _Job, step: Step, error: FaultError) -> StepError:
        if isinstance(error.fault, vmodl.fault.ManagedObjectNotFound):
            return StepError(f"{job.name} vanished from vCenter before {step}", mend=_MEND)
        text = f"{job.name}: {step} was refused: {error.what}"
        return StepError(text, mend=mend(_VERB, explain(error.fault)))

    def _ask(self, job: _Job, step: Step) -> str | None:
        change, wanted, machine = job.change, job.change.wanted, job.machine
        if machine is None or step is Step.CLONE:
            if not change.datastore:
                raise StepError(f"{job.name} has no datastore in this plan", mend="xjops vm plan")
            marks = wanted.marks("", Stage.CLONED)
            return self.works.clone(job.name, change.after, marks, change.datastore)
        if step is Step.CUSTOMIZE:
            return self.works.customize(machine.id, wanted.identity)
        if step is Step.CHANGE:
            marks = wanted.marks(machine.annotation, Stage.READY)
            return self.works.change(machine, machine.size.grown_to(wanted.size), marks)
        if step is Step.POWER_ON:
            return self.works.power_on(machine.id)
        if step is Step.SHUT_DOWN:
            self.works.shut_down(machine.id)
        return None

    def _detail(self, job: _Job) -> str:
        if job.step is Step.CLONE:
            return f"to {job.change.datastore}"
        if job.step is Step.ADDRESS:
            return f"waiting for {job.change.wanted.address}"
        return ""

    def _hear(self, news: Iterable[TaskNews | MachineNews]) -> list[_Job]:
        """Note what came in; the machines whose step has ended."""
        tasks = {job.task: job for job in self.jobs if job.active and job.task}
        machines = {
            job.machine.id: job for job in self.jobs if job.active and job.machine and job.step in _WATCHED
        }
        ended = []
        for item in news:
            if isinstance(item, MachineNews):
                job = machines.get(item.machine)
                if job is not None and self._settled(job, item):
                    self.watch.forget(item.machine)
                    ended.append(job)
            elif item.task in tasks and self._task_ended(tasks[item.task], item):
                self.watch.forget(item.task)
                ended.append(tasks[item.task])
        return [job for job in ended if job.active]

    def _settled(self, job: _Job, news: MachineNews) -> bool:
        """Whether a watched machine shows what was waited for."""
        if job.machine is None:
            return False
        job.machine = replace(job.machine, addresses=news.addresses)
        if job.step is Step.SHUT_DOWN:
            return not news.on
        return job.change.wanted.address in news.addresses

    def _task_ended(self, job: _Job, news: TaskNews) -> bool:
        if news.state is TaskState.FAILED:
            text = f"{job.name}: {job.step} failed: {news.error}"
            self._end(job, StepError(text, mend=mend(_VERB, news.error)))
        elif news.state in (TaskState.DONE, TaskState.GONE):
            if job.machine is None and news.machine:
                job.machine = Machine(news.machine, job.name, "")
            return True
        elif news.percent and news.percent != job.percent:
            job.percent = news.percent
            self.progress(job.name, str(job.step), f"{self._detail(job)} {news.percent} %".strip())
        return job.error is not None

    def _reread(self, jobs: list[_Job]) -> None:
        """See the machines as they are now, all in one call (two, where their size may have changed too)."""
        known = {job.machine.id: job for job in jobs if job.machine}
        deep = [identifier for identifier, job in known.items() if job.step in _DEEP]
        light = [job.machine for job in jobs if job.machine and job.step not in _DEEP]
        now = {**(self.works.read(deep) if deep else {}), **(self.works.refresh(light) if light else {})}
        for identifier, job in known.items():
            job.machine = now.get(identifier)
        if any(job.machine is None for job in jobs):  # a clone whose task vCenter has forgotten
            estate = look(self.session)[1]
            for job in jobs:
                found = estate.named(job.name)
                if job.machine is None and len(found) == 1:
                    job.machine = found[0]

    def _expire(self) -> None:
        now = time.monotonic()
        for job in self.jobs:
            if job.active and now >= job.deadline:
                self._end(job, self._too_late(job))

    def _too_late(self, job: _Job) -> XjopsError:
        seconds = self.deadlines.of(job.step) if job.step else 0
        if job.step is Step.ADDRESS and job.machine is not None:
            shown = ", ".join(job.machine.addresses) or "none"
            reason = self.works.customization_failure(job.machine.id)
            return NoAddressError(
                f"{job.name} never got its address {job.change.wanted.address}: after {seconds:g} s "
                f"VMware Tools shows {shown}" + (f"; vCenter says: {reason}" if reason else ""),
                mend="look at its console: VMware Tools installed in the template? the network right?",
            )
        state = f", at {job.percent} %" if job.percent else ""
        task = f" ({job.task}{state})" if job.task else ""
        return DeadlineError(f"{job.name}: {job.step} did not end within {seconds:g} s{task}", mend=_MEND)

    def _end(self, job: _Job, error: XjopsError | None = None) -> None:
        job.error = error
        job.seconds = time.monotonic() - job.started
        if job.task:
            self.watch.forget(job.task)
        if error is None:
            self.progress(job.name, "done", job.change.wanted.address)
        else:
            self.progress(job.name, "failed", str(error))
