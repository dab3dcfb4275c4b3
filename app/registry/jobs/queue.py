"""The task queue's two delicate moves: claiming a task, and taking one back from a dead worker."""

from __future__ import annotations

import datetime as dt
import logging
import os

from django.conf import settings
from django.db.models.functions import Now
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from registry.jobs.models import WorkerBeat

logger = logging.getLogger(__name__)

BEAT_SECONDS = 10
DEAD_AFTER = dt.timedelta(seconds=60)
ATTEMPTS = 5
_CANDIDATES = 20


def get_locked(tasks: object) -> DBTaskResult | None:
    """The next task of this queryset, locked; replaces the queryset's own method on every database.

    That one is a sliced SELECT … FOR UPDATE, which Oracle refuses: so candidates are read first and locked
    one by one, and one that another worker locked or took meanwhile is passed over.
    """
    for candidate in tasks.values_list("pk", flat=True)[:_CANDIDATES]:
        found = list(tasks.filter(pk=candidate).order_by().select_for_update(skip_locked=True))
        if found:
            return found[0]
    return None


def requeue(task: DBTaskResult, *, counts: bool = True) -> bool:
    """Put a task back to READY if it is as we saw it; with `counts` off the attempt is forgotten."""
    seen = DBTaskResult.objects.filter(pk=task.pk, status=task.status, started_at=task.started_at)
    worker_ids = task.worker_ids if counts else task.worker_ids[:-1]
    return bool(
        seen.update(
            status=TaskResultStatus.READY,
            started_at=None,
            finished_at=None,
            exception_class_path="",
            traceback="",
            worker_ids=worker_ids,
        )
    )


def reap() -> int:
    """Queue dead workers' tasks again, and return how many; after `ATTEMPTS` tries a task fails for good."""
    _bury_own_dead()
    alive = set(WorkerBeat.objects.filter(beat_at__gt=Now() - DEAD_AFTER).values_list("worker_id", flat=True))
    taken = 0
    for task in DBTaskResult.objects.running():
        if task.worker_ids and task.worker_ids[-1] in alive:
            continue
        if len(task.worker_ids) >= ATTEMPTS:
            task.set_failed(RuntimeError(f"its worker died {len(task.worker_ids)} times; see the journal"))
            continue
        if requeue(task):
            taken += 1
            logger.warning("task %s lost its worker %s: queued again", task.pk, task.worker_ids[-1:])
    WorkerBeat.objects.filter(beat_at__lt=Now() - dt.timedelta(days=1)).delete()
    return taken


def _bury_own_dead() -> None:
    """Drop the signs of life of this host's workers whose process is gone: no need to wait for them."""
    for beat in WorkerBeat.objects.filter(node=settings.REGISTRY_NODE):
        try:
            os.kill(beat.pid, 0)
        except ProcessLookupError:
            beat.delete()
        except PermissionError:
            continue
