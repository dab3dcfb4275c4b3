"""What /healthz looks at: the database, the shared storage, the task queue. Each ends within seconds."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

STORAGE_DEADLINE_SECONDS = 3.0
QUEUE_WAIT_LIMIT = dt.timedelta(minutes=15)


@dataclass(frozen=True)
class Probe:
    """One look: `detail` says why it failed, or what was seen; `seconds` how long it took."""

    healthy: bool
    detail: str
    seconds: float


@dataclass(frozen=True)
class Health:
    """All looks together."""

    probes: dict[str, Probe] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether every probe is."""
        return all(probe.healthy for probe in self.probes.values())

    @property
    def status(self) -> str:
        """`ok` or `fail`."""
        return "ok" if self.healthy else "fail"

    def as_dict(self) -> dict[str, Any]:
        """The full answer: status, node, release, and per probe status, detail and seconds."""
        return {
            "status": self.status,
            "node": settings.REGISTRY_NODE,
            "release": settings.REGISTRY_RELEASE,
            "checks": {
                name: {
                    "status": "ok" if probe.healthy else "fail",
                    "detail": probe.detail,
                    "seconds": round(probe.seconds, 3),
                }
                for name, probe in self.probes.items()
            },
        }


def look() -> Health:
    """Run every probe; the queue is asked only when the database answers."""
    database = _timed(_database)
    probes = {"database": database, "storage": _timed(_storage)}
    if database.healthy:
        probes["queue"] = _timed(_queue)
    return Health(probes)


def _timed(probe: Any) -> Probe:
    started = time.monotonic()
    try:
        healthy, detail = True, probe()
    except (DatabaseError, OSError) as error:
        connection.close()
        healthy, detail = False, f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return Probe(healthy, detail, time.monotonic() - started)


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dual" if connection.vendor == "oracle" else "SELECT 1")
        cursor.fetchone()
    return connection.vendor


_storage_look = threading.Lock()


def _storage() -> str:
    """Write and remove a file where uploads go, in a thread: a hung NFS mount blocks for ever.

    The root of the shared storage belongs to the administrators; only its folders are the application's.
    """
    root = settings.SHARED_ROOT / "imports"
    if not settings.DEPLOYED:
        root.mkdir(parents=True, exist_ok=True)
    if not _storage_look.acquire(blocking=False):
        raise TimeoutError(f"{root}: an earlier look still hangs; see `systemctl status` of the mount")
    outcome: list[OSError | None] = []

    def write() -> None:
        probe = root / f".health-{settings.REGISTRY_NODE}-{uuid.uuid4().hex[:8]}"
        try:
            with probe.open("wb") as file:
                file.write(b"ok")
                os.fsync(file.fileno())
            outcome.append(None)
        except OSError as error:
            outcome.append(error)
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)
            _storage_look.release()

    thread = threading.Thread(target=write, name="storage-look", daemon=True)
    thread.start()
    thread.join(STORAGE_DEADLINE_SECONDS)
    if not outcome:
        raise TimeoutError(f"{root}: no answer within {STORAGE_DEADLINE_SECONDS:.0f} s")
    if outcome[0] is not None:
        raise outcome[0]
    return str(root)


def _queue() -> str:
    """Fail when a task could have run for long and no worker runs anything."""
    now = timezone.now()
    oldest = (
        DBTaskResult.objects.ready().order_by("enqueued_at").values_list("enqueued_at", flat=True).first()
    )
    waiting = DBTaskResult.objects.ready().count()
    running = DBTaskResult.objects.filter(status=TaskResultStatus.RUNNING).count()
    if oldest is not None and not running and now - oldest > QUEUE_WAIT_LIMIT:
        minutes = int((now - oldest).total_seconds() // 60)
        raise TimeoutError(
            f"{waiting} waiting for {minutes} min and no worker: start registry-worker.service"
        )
    return f"{waiting} waiting, {running} running"
