"""Taking in a workbook: keep the file, look at its container, make one job of it and queue that."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import F

from registry.imports.container import check_container, inspect_parts
from registry.imports.files import store, upload_path
from registry.imports.models import FINAL, ImportChunk, ImportJob, State

if TYPE_CHECKING:
    from registry.accounts.models import User

_BLANK = {
    "message": "",
    "report_path": "",
    "template": "",
    "sheet": "",
    "total_rows": 0,
    "checked_rows": 0,
    "rejected_rows": 0,
    "bad_cells": 0,
    "loaded_rows": 0,
    "notices": [],
    "summary": [],
    "preview": [],
    "timings": {},
    "columns": [],
    "started_at": None,
    "finished_at": None,
}


def submit(source: BinaryIO, name: str, user: User, *, accept_good: bool) -> tuple[ImportJob, bool]:
    """Queue a workbook for import; returns the job and whether it is new.

    The same bytes sent again by the same unit are the same job: a finished one is shown, one that failed
    or was rejected starts over. Raises WorkbookError where the file can't be a workbook.
    """
    public_id = uuid.uuid4()
    relative = upload_path(public_id)
    kept = False
    try:
        size, digest = store(source, relative)
        path = settings.SHARED_ROOT / relative
        check_container(path)
        inspect_parts(path)
        job, created = _one_job(
            key=_key(digest, user),
            public_id=public_id,
            uploader=user,
            unit_path=user.school.region_path if user.school_id else user.region.path,
            unit_school=user.school_id,
            file_name=Path(name).name[:160],
            file_path=relative,
            file_size=size,
            file_digest=digest,
            accept_good=accept_good,
        )
        kept = created
    finally:
        if not kept:
            (settings.SHARED_ROOT / relative).unlink(missing_ok=True)
    if not created and job.state in {State.FAILED, State.REJECTED, State.CANCELLED}:
        start_over(job, accept_good=accept_good)
    return job, created


def _key(digest: str, user: User) -> str:
    unit = f"school {user.school_id}" if user.school_id else f"region {user.region_id}"
    return hashlib.sha256(f"{digest} {unit}".encode()).hexdigest()


def _one_job(**values: object) -> tuple[ImportJob, bool]:
    """Make the job and its task in one transaction, or find the one that is there already."""
    try:
        with transaction.atomic():
            job = ImportJob.objects.create(**values)
            enqueue(job)
    except IntegrityError:
        return ImportJob.objects.get(key=values["key"]), False
    return job, True


def enqueue(job: ImportJob) -> None:
    """Put a task for the job into the queue, in the caller's transaction."""
    from registry.imports.tasks import run_import

    run_import.enqueue(job.pk)


def start_over(job: ImportJob, *, accept_good: bool) -> None:
    """Run a job that came to nothing again from the first row; its staging is thrown away."""
    with transaction.atomic():
        changed = ImportJob.objects.filter(
            pk=job.pk, committed_at__isnull=True, state__in=[State.FAILED, State.REJECTED, State.CANCELLED]
        ).update(state=State.QUEUED, attempts=F("attempts") + 1, accept_good=accept_good, **_BLANK)
        if changed:
            ImportChunk.objects.filter(job=job).delete()
            enqueue(job)
    job.refresh_from_db()


def accept(job: ImportJob) -> bool:
    """Let the good rows of a rejected job in; False where there is nothing to let in any more.

    The staging is still there, so nothing is read or checked again except for duplicates.
    """
    with transaction.atomic():
        changed = ImportJob.objects.filter(
            pk=job.pk, state=State.REJECTED, committed_at__isnull=True, checked_rows__gt=F("rejected_rows")
        ).update(
            state=State.COMPARING, accept_good=True, finished_at=None, message="", attempts=F("attempts") + 1
        )
        if changed:
            enqueue(job)
    job.refresh_from_db()
    return bool(changed)


def cancel(job: ImportJob) -> bool:
    """Stop a job that has written nothing yet; False where it is too late."""
    changed = (
        ImportJob.objects.filter(pk=job.pk, committed_at__isnull=True)
        .exclude(state__in=FINAL)
        .update(state=State.CANCELLED, attempts=F("attempts") + 1)
    )
    job.refresh_from_db()
    return bool(changed)
