"""The worker, dead workers, timed jobs, locks, commands."""

from __future__ import annotations

import datetime as dt
import io
import os
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from registry.jobs import stopping
from registry.jobs.models import WorkerBeat
from registry.jobs.queue import ATTEMPTS, reap
from registry.jobs.worker import RegistryWorker

from . import tasks


@pytest.fixture(autouse=True)
def _clean() -> None:
    tasks.done.clear()
    stopping.clear()


def work() -> None:
    RegistryWorker(queues=["*"], interval=0, batch=True).run()


def lost(worker_ids: list[str]) -> DBTaskResult:
    """A task that a worker left behind."""
    result = tasks.good.enqueue("again")
    row = DBTaskResult.objects.get(pk=result.id)
    row.status, row.started_at, row.worker_ids = "RUNNING", timezone.now(), worker_ids
    row.save()
    return row


@pytest.mark.django_db(transaction=True)
def test_tasks_run_in_order_and_a_failed_one_stops_nothing() -> None:
    results = [tasks.good.enqueue("one"), tasks.bad.enqueue(), tasks.good.enqueue("two")]
    work()
    assert tasks.done == ["one", "two"]
    states = [DBTaskResult.objects.get(pk=result.id).status for result in results]
    assert states == ["SUCCESSFUL", "FAILED", "SUCCESSFUL"]
    assert not WorkerBeat.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_task_hands_itself_back_without_losing_an_attempt() -> None:
    result = tasks.interrupted.enqueue()
    worker = RegistryWorker(queues=["*"], interval=0, batch=True)
    row = DBTaskResult.objects.get(pk=result.id)
    row.claim(worker.worker_id)
    worker.run_task(row)
    row.refresh_from_db()
    assert tasks.done == ["first chunk"]
    assert (row.status, row.worker_ids, row.exception_class_path) == ("READY", [], "")


@pytest.mark.django_db
def test_a_dead_workers_task_is_queued_again_and_a_living_ones_is_not() -> None:
    WorkerBeat.objects.create(worker_id="alive", node="packaging2", pid=1, beat_at=timezone.now())
    WorkerBeat.objects.create(
        worker_id="silent", node="packaging2", pid=1, beat_at=timezone.now() - dt.timedelta(minutes=5)
    )
    mine, orphan, unknown = lost(["alive"]), lost(["silent"]), lost(["never seen"])
    assert reap() == 2
    for row, status in ((mine, "RUNNING"), (orphan, "READY"), (unknown, "READY")):
        row.refresh_from_db()
        assert row.status == status
    assert reap() == 0


@pytest.mark.django_db
def test_a_worker_killed_on_this_host_is_noticed_at_once(settings: Any) -> None:
    pid = 2**22 - 1  # the largest pid Linux gives is smaller
    assert not os.path.exists(f"/proc/{pid}")  # noqa: PTH110
    WorkerBeat.objects.create(
        worker_id="killed", node=settings.REGISTRY_NODE, pid=pid, beat_at=timezone.now()
    )
    row = lost(["killed"])
    assert reap() == 1
    row.refresh_from_db()
    assert row.status == "READY"


@pytest.mark.django_db
def test_a_task_that_kills_every_worker_fails_in_the_end() -> None:
    row = lost(["dead"] * ATTEMPTS)
    assert reap() == 0
    row.refresh_from_db()
    assert row.status == "FAILED"
    assert f"died {ATTEMPTS} times" in row.traceback


@pytest.mark.django_db(transaction=True)
def test_the_worker_takes_up_what_a_dead_one_left() -> None:
    lost(["dead"])
    work()
    assert tasks.done == ["again"]


def job(name: str) -> str:
    out = io.StringIO()
    call_command("job", name, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
def test_purge_sessions_removes_the_ended_ones_only() -> None:
    now = timezone.now()
    Session.objects.create(session_key="old", session_data="", expire_date=now - dt.timedelta(days=1))
    Session.objects.create(session_key="new", session_data="", expire_date=now + dt.timedelta(days=1))
    assert job("purge-sessions").startswith("purge-sessions: ")
    assert list(Session.objects.values_list("session_key", flat=True)) == ["new"]


@pytest.mark.django_db
def test_purge_tasks_keeps_two_weeks_and_everything_unfinished() -> None:
    old, recent, waiting = (tasks.good.enqueue(word).id for word in ("old", "recent", "waiting"))
    day = dt.timedelta(days=1)
    finished = DBTaskResult.objects.filter(pk__in=[old, recent])
    finished.update(status="SUCCESSFUL", finished_at=timezone.now() - 3 * day)
    finished.filter(pk=old).update(finished_at=timezone.now() - 15 * day)
    assert "1 finished tasks removed" in job("purge-tasks")
    assert {str(key) for key in DBTaskResult.objects.values_list("pk", flat=True)} == {recent, waiting}


@pytest.mark.django_db
def test_unknown_jobs_are_refused() -> None:
    with pytest.raises(CommandError, match="invalid choice"):
        call_command("job", "make-coffee")


@pytest.mark.django_db
def test_migrate_check_says_that_nothing_is_to_do() -> None:
    call_command("migrate", "--check", verbosity=0)


@pytest.mark.django_db
def test_models_and_migrations_agree() -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=0)
