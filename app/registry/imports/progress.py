"""A run's hold on its job: every write asks for the run's own number, so only one run can write."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone

from registry.imports.errors import Interrupted
from registry.imports.models import FINAL, ImportChunk, ImportJob, State
from registry.imports.staging import Packed


class Run:
    """One run of one job. Methods raise `Interrupted` once the job is no longer this run's."""

    def __init__(self, job: ImportJob) -> None:
        self.job = job
        self._token = job.attempts

    @classmethod
    def begin(cls, job_id: int) -> Run | None:
        """Take the job in hand; None where nothing is left to do on it."""
        with transaction.atomic():
            job = ImportJob.objects.select_for_update().select_related("uploader").filter(pk=job_id).first()
            if job is None or job.state in FINAL:
                return None
            job.attempts += 1
            job.started_at = job.started_at or timezone.now()
            job.save(update_fields=["attempts", "started_at"])
        return cls(job)

    def set(self, **values: Any) -> None:
        """Write columns of the job."""
        mine = ImportJob.objects.filter(pk=self.job.pk, attempts=self._token)
        if not mine.update(**values):
            raise Interrupted
        for name, value in values.items():
            setattr(self.job, name, value)

    def lock(self) -> None:
        """Hold the job's row until the surrounding transaction ends."""
        held = ImportJob.objects.select_for_update().filter(pk=self.job.pk, attempts=self._token)
        if not held.exclude(state__in=FINAL).exists():
            raise Interrupted

    def keep(self, packed: Packed) -> None:
        """Write a checked chunk to the staging table, and the progress with it."""
        with transaction.atomic():
            _without_waiting_for_the_disk()
            self.set(
                checked_rows=F("checked_rows") + packed.rows,
                rejected_rows=F("rejected_rows") + packed.rejected,
                bad_cells=F("bad_cells") + packed.bad_cells,
            )
            ImportChunk.objects.create(job=self.job, **vars(packed))

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the seconds of a step to the job's timings (written with the next `set`)."""
        started = time.monotonic()
        yield
        timings = self.job.timings
        timings[step] = round(timings.get(step, 0) + time.monotonic() - started, 3)

    def fail(self, message: str) -> None:
        """End the job with one line of what is wrong."""
        self.set(
            state=State.FAILED, message=message[:400], finished_at=timezone.now(), timings=self.job.timings
        )


def _without_waiting_for_the_disk() -> None:
    """Let PostgreSQL flush this transaction a moment later; nothing waits for disk or standby meanwhile.

    For what may be done again: a chunk that a crash of the database loses is checked by the next run. The
    order of transactions stays, so whatever a later, ordinary commit builds on is safe with it.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit TO off")
