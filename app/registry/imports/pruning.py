"""Forgetting old imports: uploads, workbooks of rejected rows and staging hold personal data of children.

Some time after a job ended (`IMPORT_KEEP_DAYS`) its files go. A job that brought students in stays in the
list, without files, staging and preview; one that came to nothing goes altogether, so that the same file sent
once more is a new job. A job that isn't finished is never touched, however old.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from registry.imports.files import FOLDERS
from registry.imports.limits import limit
from registry.imports.models import FINAL, ImportChunk, ImportJob, State


def prune() -> tuple[int, int]:
    """Forget what is old enough; returns how many jobs and how many files.

    Rows first: a run that is killed between the two leaves files that nobody wants, which the next one finds.
    """
    before = timezone.now() - dt.timedelta(days=limit("IMPORT_KEEP_DAYS"))
    return _forget(before), _remove_unwanted(before)


def _forget(before: dt.datetime) -> int:
    old = ImportJob.objects.annotate(ended=Coalesce("finished_at", "created_at")).filter(
        ended__lt=before, state__in=FINAL
    )
    with transaction.atomic():
        done = list(
            old.filter(Q(state=State.DONE) & ~Q(file_path=""))
            .select_for_update()
            .values_list("pk", flat=True)
        )
        ImportChunk.objects.filter(job__in=done).delete()
        ImportJob.objects.filter(pk__in=done).update(file_path="", report_path="", preview=[])
        nothing = list(old.exclude(state=State.DONE).select_for_update().values_list("pk", flat=True))
        ImportJob.objects.filter(pk__in=nothing).delete()
    return len(done) + len(nothing)


def _remove_unwanted(before: dt.datetime) -> int:
    """Remove old files that no job names any more, and the months' folders they leave empty."""
    wanted = {
        path for pair in ImportJob.objects.values_list("file_path", "report_path") for path in pair if path
    }
    removed = 0
    for path in _files():
        relative = path.relative_to(settings.SHARED_ROOT).as_posix()
        if relative not in wanted and path.stat().st_mtime < before.timestamp():
            path.unlink()
            removed += 1
    for folder in FOLDERS:
        for month in (settings.SHARED_ROOT / folder).glob("*/"):
            if not any(month.iterdir()):
                month.rmdir()
    return removed


def _files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from [path for path in (settings.SHARED_ROOT / folder).glob("*/*") if path.is_file()]
