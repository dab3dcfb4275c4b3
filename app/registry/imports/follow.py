"""Following jobs from the command line: one line a change, at most two a second."""

from __future__ import annotations

import time
from collections.abc import Callable

from registry.imports.models import ImportJob, State

_PAUSE = 0.5
_SAYS = {
    State.QUEUED: "waiting for a worker (registry worker)",
    State.READING: "reading the workbook",
    State.COMPARING: "looking for duplicates",
    State.LOADING: "writing to the registry",
    State.REPORTING: "writing the workbook of rejected rows",
}


class TooLongError(Exception):
    """A job did not end within the deadline; it goes on in the background."""


def follow(job: ImportJob, say: Callable[[str], None], *, deadline: float) -> ImportJob:
    """Wait until the job is finished, saying each change. Raises TooLongError after `deadline` seconds."""
    end = time.monotonic() + deadline
    said = ""
    while True:
        job.refresh_from_db()
        line = _line(job)
        if line != said:
            say(line)
            said = line
        if job.finished:
            return job
        if time.monotonic() > end:
            raise TooLongError(
                f"{job.file_name}: still {State(job.state).name.lower()} after {deadline:.0f} s"
            )
        time.sleep(_PAUSE)


def _line(job: ImportJob) -> str:
    state = State(job.state)
    if state == State.CHECKING:
        return (
            f"{job.file_name}: checked {job.checked_rows} of {job.total_rows} rows, {job.bad_cells} bad cells"
        )
    if state == State.DONE:
        seconds = sum(job.timings.values())
        return (
            f"{job.file_name}: {job.loaded_rows} students in, {job.rejected_rows} rejected ({seconds:.1f} s)"
        )
    if state == State.REJECTED:
        return f"{job.file_name}: nothing written: {job.rejected_rows} of {job.total_rows} rows rejected"
    if state == State.FAILED:
        return f"{job.file_name}: {job.message}"
    return f"{job.file_name}: {_SAYS.get(state, state.value)}"
