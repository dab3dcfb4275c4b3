"""One run of a job at a time, and what others do meanwhile."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError

from registry.imports import runner, submit
from registry.imports.models import ImportChunk, ImportJob, State
from registry.imports.runner import run
from registry.jobs import stopping

from .books import good_rows
from .outcome import Process, imported

pytestmark = pytest.mark.django_db


class TestOneWorkerAtATime:
    def test_a_run_that_lost_its_job_writes_nothing_more(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A worker thought dead wakes up after another one has finished the job."""
        job = send(good_rows(20))
        checked = runner.Run.keep
        woken = []

        def keep(self: Any, packed: Any) -> None:
            if not woken:
                woken.append(True)
                assert run(job.pk) == State.DONE  # the other worker
            checked(self, packed)

        monkeypatch.setattr(runner.Run, "keep", keep)
        assert run(job.pk) == State.DONE
        assert imported(school).count() == 20
        job.refresh_from_db()
        assert job.checked_rows == 20

    def test_cancelling_stops_a_run_at_its_next_chunk(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = send(good_rows(20))
        checked = runner.Run.keep

        def keep(self: Any, packed: Any) -> None:
            checked(self, packed)
            submit.cancel(ImportJob.objects.get(pk=job.pk))

        monkeypatch.setattr(runner.Run, "keep", keep)
        assert run(job.pk) == State.CANCELLED
        assert not imported(school).exists()

    def test_a_stopping_worker_hands_the_job_back(self, send: Process, school: Any) -> None:
        job = send(good_rows(20))
        stopping.request()
        try:
            with pytest.raises(stopping.HandBackError):
                run(job.pk)
        finally:
            stopping.clear()
        assert ImportChunk.objects.filter(job=job).count() == 1
        assert run(job.pk) == State.DONE
        assert imported(school).count() == 20

    def test_somebody_registering_the_same_student_meanwhile(
        self, send: Process, school: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The unique key turns it into a second look, which finds the duplicate."""
        rows = good_rows(5)
        job = send(rows, accept_good=True)
        compared = runner.in_registry
        looks = []

        def in_registry(*args: Any) -> Any:
            looks.append(True)
            return {} if len(looks) == 1 else compared(*args)

        from .. import factories

        factories.make_student(
            school, id_number=rows[1]["id_number"], student_number="L" + rows[1]["id_number"]
        )
        monkeypatch.setattr(runner, "in_registry", in_registry)
        assert run(job.pk) == State.DONE
        job.refresh_from_db()
        assert (len(looks), job.loaded_rows, job.rejected_rows) == (2, 4, 1)

    def test_it_does_not_try_for_ever(self, send: Process, monkeypatch: pytest.MonkeyPatch) -> None:
        job = send(good_rows(1))

        def failing(*_args: Any) -> None:
            raise IntegrityError("again and again")

        monkeypatch.setattr(runner, "_decide_and_write", failing)
        with pytest.raises(IntegrityError):
            run(job.pk)
