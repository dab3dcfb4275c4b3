"""The worker loop of django-tasks-db with signs of life, a reaper and hand-back on SIGTERM."""

from __future__ import annotations

import logging
import os
import threading
import time
from types import FrameType

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.db.models.functions import Now
from django.utils.crypto import get_random_string
from django.utils.module_loading import autodiscover_modules
from django_tasks import DEFAULT_TASK_BACKEND_ALIAS
from django_tasks_db.management.commands.db_worker import Worker
from django_tasks_db.models import DBTaskResult

from registry.jobs import stopping
from registry.jobs.models import WorkerBeat
from registry.jobs.queue import BEAT_SECONDS, reap, requeue

logger = logging.getLogger(__name__)

HANDED_BACK = f"{stopping.HandBackError.__module__}.{stopping.HandBackError.__qualname__}"
_REAP_EVERY_BEATS = 3


class RegistryWorker(Worker):
    """One worker process; several may run on several hosts."""

    def __init__(self, *, queues: list[str], interval: float = 1.0, batch: bool = False) -> None:
        super().__init__(
            queue_names=queues,
            interval=interval,
            batch=batch,
            backend_name=DEFAULT_TASK_BACKEND_ALIAS,
            startup_delay=False,
            max_tasks=None,
            worker_id=f"{settings.REGISTRY_NODE[:40]}-{os.getpid()}-{get_random_string(8)}",
            excluded_queue_names=[],
        )
        self._ended = threading.Event()

    def run(self) -> None:
        """Work until stopped, with the signs of life beside it.

        The tasks' modules are imported first, so that no task waits for them once its clock runs.
        """
        stopping.clear()
        autodiscover_modules("tasks")
        self._beat()
        reap()
        heart = threading.Thread(target=self._keep_beating, name="heart", daemon=True)
        heart.start()
        try:
            super().run()
        finally:
            self._ended.set()
            heart.join(timeout=5)
            WorkerBeat.objects.filter(worker_id=self.worker_id).delete()

    def shutdown(self, signum: int, frame: FrameType | None) -> None:
        """On the first signal also tell the running task, which hands itself back at its next chunk."""
        stopping.request()
        super().shutdown(signum, frame)

    def run_task(self, db_task_result: DBTaskResult) -> None:
        """Run a task; one that handed itself back is queued again without losing an attempt."""
        started = time.monotonic()
        super().run_task(db_task_result)
        if db_task_result.exception_class_path == HANDED_BACK:
            requeue(db_task_result, counts=False)
            logger.info("task %s handed back", db_task_result.pk)
            return
        logger.info(
            "task %s %s %s in %.1f s",
            db_task_result.pk,
            db_task_result.task_name,
            db_task_result.status,
            time.monotonic() - started,
        )

    def _beat(self) -> None:
        values = {
            "node": settings.REGISTRY_NODE,
            "pid": os.getpid(),
            "beat_at": Now(),
        }  # the database's clock: hosts may differ
        if not WorkerBeat.objects.filter(worker_id=self.worker_id).update(**values):
            WorkerBeat.objects.create(worker_id=self.worker_id, **values)

    def _keep_beating(self) -> None:
        beats = 0
        try:
            while not self._ended.wait(BEAT_SECONDS):
                beats += 1
                try:
                    close_old_connections()
                    self._beat()
                    if beats % _REAP_EVERY_BEATS == 0:
                        reap()
                except DatabaseError as error:
                    connection.close()
                    logger.warning("no sign of life could be written: %s", error)
        finally:
            connection.close()
