"""The timed jobs of the scheduling server: `registry job NAME`. Each returns one line for the journal."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from importlib import import_module

from django.conf import settings
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from registry.imports import pruning
from registry.statistics import services as statistics

TASKS_KEPT = dt.timedelta(days=14)


def purge_sessions() -> str:
    """Remove sessions that have run out."""
    import_module(settings.SESSION_ENGINE).SessionStore.clear_expired()
    return "expired sessions removed"


def purge_tasks() -> str:
    """Remove the results of tasks that finished two weeks ago."""
    old = DBTaskResult.objects.finished().filter(finished_at__lt=timezone.now() - TASKS_KEPT)
    deleted, _by_model = old.delete()
    return f"{deleted} finished tasks removed"


def purge_imports() -> str:
    """Forget imports that ended long ago (IMPORT_KEEP_DAYS), with their files."""
    jobs, files = pruning.prune()
    return f"{jobs} old imports forgotten, {files} files removed"


def refresh_statistics() -> str:
    """Count every school's students anew."""
    return f"{statistics.refresh()} schools counted"


JOBS: dict[str, Callable[[], str]] = {
    "purge-imports": purge_imports,
    "purge-sessions": purge_sessions,
    "purge-tasks": purge_tasks,
    "refresh-statistics": refresh_statistics,
}
