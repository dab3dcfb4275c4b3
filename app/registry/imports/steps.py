"""A job as a row of steps, for its page."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from registry.imports.models import ImportJob, State

_ORDER = (State.QUEUED, State.READING, State.CHECKING, State.COMPARING, State.LOADING)
_RANK = {state: at for at, state in enumerate(_ORDER)} | {State.REPORTING: len(_ORDER) - 1}
_TIMED = {State.READING: "reading", State.CHECKING: "checking", State.COMPARING: "comparing"}


@dataclass(frozen=True)
class Step:
    """One step: `standing` is done, now, todo or stopped; `seconds` once it is done."""

    title: str
    standing: str
    seconds: float | None


def steps_of(job: ImportJob) -> list[Step]:
    """The steps with where the job stands."""
    titles = {
        State.QUEUED: _("排队"),
        State.READING: _("读取"),
        State.CHECKING: _("检查"),
        State.COMPARING: _("查重"),
        State.LOADING: _("入库"),
    }
    state = State(job.state)
    return [
        Step(titles[step], _standing(job, state, rank), job.timings.get(_TIMED.get(step, "loading")))
        if step != State.QUEUED
        else Step(titles[step], _standing(job, state, rank), None)
        for rank, step in enumerate(_ORDER)
    ]


def _standing(job: ImportJob, state: State, rank: int) -> str:
    last = len(_ORDER) - 1
    if state == State.DONE or (state == State.REPORTING and job.committed_at):
        return "done"
    if state in {State.REJECTED, State.REPORTING}:
        return "stopped" if rank == last else "done"
    if state in {State.FAILED, State.CANCELLED}:
        reached = 2 if job.checked_rows else 1
        return "done" if rank < reached else "stopped" if rank == reached else "todo"
    now = _RANK[state]
    return "done" if rank < now else "now" if rank == now else "todo"
