"""Delete machines: power off where that is allowed, then delete, all at once, with one wait for all."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from pyVmomi import vmodl

from xjops.adapters.vcenter import FaultError, VCenter, explain
from xjops.adapters.vcenter_model import Machine, Power
from xjops.adapters.vcenter_tasks import MachineNews, TaskNews, TaskState, Watch, Works
from xjops.core.errors import DeadlineError, XjopsError
from xjops.provision.deletion import Deletion
from xjops.provision.mends import mend
from xjops.provision.model import Action, Deadlines, Outcome, Progress, Result, Step, StepError

_VERB = "vm delete"
_MEND = mend(_VERB)


@dataclass
class _Job:
    """One machine on its way out; `machine` is None once it is gone."""

    name: str
    machine: Machine | None
    started: float = field(default_factory=time.monotonic)
    step: Step | None = None
    task: str | None = None
    deadline: float = 0.0
    error: XjopsError | None = None
    seconds: float | None = None

    @property
    def active(self) -> bool:
        return self.seconds is None


class Deleting:
    """One run over the machines of a plan."""

    def __init__(self, session: VCenter, works: Works, progress: Progress, deadlines: Deadlines) -> None:
        self.works = works
        self.progress = progress
        self.deadlines = deadlines
        self.watch = Watch(session)
        self.jobs: list[_Job] = []

    def run(self, deletions: Iterable[Deletion]) -> Result:
        """Bring every machine to its end; one that fails doesn't stop the others.

        A deletion that an earlier run started and vCenter still works on is waited for, not asked again.
        Raises `UnreachableError` when vCenter itself is gone; run again, it goes on.
        """
        started = time.monotonic()
        self.jobs = [_Job(item.name, item.machine) for item in deletions]
        under_way = self.works.running_deletions(job.machine.id for job in self.jobs if job.machine)
        for job in self.jobs:
            if job.machine and job.machine.id in under_way:
                self._began(job, Step.DELETE, under_way[job.machine.id], "an earlier run's")
        self._advance([job for job in self.jobs if job.task is None])
        self.watch.add(under_way.values())
        while any(job.active for job in self.jobs):
            soonest = min(job.deadline for job in self.jobs if job.active)
            ended = self._hear(self.watch.news(soonest - time.monotonic()))
            self._reread(ended)
            self._advance(ended)
            self._expire()
        self.watch.close()
        outcomes = tuple(Outcome(job.name, Action.DELETE, job.seconds or 0.0, job.error) for job in self.jobs)
        return Result(outcomes, time.monotonic() - started)

    def _advance(self, jobs: Iterable[_Job]) -> None:
        """Submit the next step of each machine, then watch all that is new at once."""
        tasks = []
        for job in jobs:
            if job.machine is None:
                self._end(job)
                continue
            step = Step.DELETE if job.machine.power is Power.OFF else Step.POWER_OFF
            if step is job.step:
                self._end(job, StepError(f"{job.name}: {step} ended, but changed nothing", mend=_MEND))
            elif self._submit(job, job.machine, step) and job.task:
                tasks.append(job.task)
        if tasks:
            self.watch.add(tasks)

    def _submit(self, job: _Job, machine: Machine, step: Step) -> bool:
        ask = self.works.delete if step is Step.DELETE else self.works.power_off
        try:
            self._began(job, step, ask(machine.id), machine.path)
        except FaultError as error:
            gone = isinstance(error.fault, vmodl.fault.ManagedObjectNotFound)
            text = f"{job.name}: {step} was refused: {error.what}"
            refused = StepError(text, mend=mend(_VERB, explain(error.fault)))
            self._end(job, None if gone else refused)
            return False
        return True

    def _began(self, job: _Job, step: Step, task: str, detail: str) -> None:
        job.step, job.task = step, task
        job.deadline = time.monotonic() + self.deadlines.of(step)
        self.progress(job.name, step.value, detail)

    def _hear(self, news: Iterable[TaskNews | MachineNews]) -> list[_Job]:
        """Note what came in; the machines whose step has ended."""
        tasks = {job.task: job for job in self.jobs if job.active and job.task}
        ended = []
        for item in news:
            job = tasks.get(item.task) if isinstance(item, TaskNews) else None
            if job is None or not isinstance(item, TaskNews):
                continue
            if item.state is TaskState.FAILED:
                text = f"{job.name}: {job.step} failed: {item.error}"
                self._end(job, StepError(text, mend=mend(_VERB, item.error)))
            elif item.state in (TaskState.DONE, TaskState.GONE):
                self.watch.forget(item.task)
                ended.append(job)
        return ended

    def _reread(self, jobs: Iterable[_Job]) -> None:
        """See the machines as they are now, all in one call."""
        there = [(job, job.machine) for job in jobs if job.machine]
        now = self.works.refresh([machine for _, machine in there]) if there else {}
        for job, machine in there:
            job.machine = now.get(machine.id)

    def _expire(self) -> None:
        now = time.monotonic()
        for job in self.jobs:
            if job.active and job.step and now >= job.deadline:
                seconds = self.deadlines.of(job.step)
                text = f"{job.name}: {job.step} did not end within {seconds:g} s ({job.task})"
                self._end(job, DeadlineError(text, mend=_MEND))

    def _end(self, job: _Job, error: XjopsError | None = None) -> None:
        job.error = error
        job.seconds = time.monotonic() - job.started
        if job.task:
            self.watch.forget(job.task)
        self.progress(job.name, "failed" if error else "done", str(error) if error else "deleted")
