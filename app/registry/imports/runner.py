"""Running an import job, from wherever the last run left it.

    queued → reading → checking → comparing → loading → reporting → done | rejected
                                   (staging is complete)   (committed)

- Checking writes each chunk to staging in a transaction of its own; a later run skips those it finds.
- From `comparing` on the workbook isn't needed any more.
- Loading is one transaction: duplicates against the registry, all rows, and the job's `committed_at`. So the
  effects of a job happen exactly once, whenever and however often its worker is killed.
- The workbook of rejected rows is made after the commit, and made again by a later run where it is missing.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from registry.imports.bulk import loader_for
from registry.imports.checking import Checker
from registry.imports.context import Context
from registry.imports.duplicates import Found, in_registry, within_file
from registry.imports.errors import Interrupted, WorkbookError
from registry.imports.files import digest_of, report_path
from registry.imports.helpers import Helpers
from registry.imports.limits import limit
from registry.imports.loading import load_all
from registry.imports.models import ImportChunk, ImportGate, ImportJob, State
from registry.imports.progress import Run
from registry.imports.reader import Sheet, open_sheet
from registry.imports.report import summarize, write_report
from registry.imports.staging import dump, load, load_keys, load_payload
from registry.imports.world import context_for
from registry.jobs.stopping import hand_back_if_requested
from registry.statistics.services import refresh

logger = logging.getLogger(__name__)

CROSS = -1  # the number of the chunk that holds what was found by comparing rows with each other
_PAYLOADS = 4  # staged chunks read at a time
_TRIES = 3  # of the loading transaction, when somebody registers the same student meanwhile
_BEFORE_COMPARING = {State.QUEUED, State.READING, State.CHECKING}


def run(job_id: int) -> str:
    """Run the job, or go on with it; returns the state it is in afterwards."""
    work = Run.begin(job_id)
    if work is None:
        return ImportJob.objects.filter(pk=job_id).values_list("state", flat=True).first() or "gone"
    try:
        if work.job.committed_at is None:
            if work.job.state in _BEFORE_COMPARING:
                _check(work)
            if work.job.state != State.REPORTING:
                _load(work)
        _report(work)
    except WorkbookError as error:
        work.fail(str(error))
    except Interrupted:
        logger.info("import job %s went to another run, or was cancelled", job_id)
    return ImportJob.objects.values_list("state", flat=True).get(pk=job_id)


def _check(work: Run) -> None:
    """Read the workbook and stage every chunk that isn't staged yet."""
    with Helpers(limit("IMPORT_PROCESSES") - 1) as helpers:
        work.set(state=State.READING)
        with work.timed("reading"):
            if digest_of(work.job.path) != work.job.file_digest:
                raise WorkbookError("changed", "上传的文件在存储中被改动或损坏", "请重新上传")
            sheet = open_sheet(work.job.path, vetted=True)
        staged = _start_checking(work, sheet)
        with work.timed("checking"):
            context = context_for(work.job.uploader, date1904=sheet.date1904)
            checker = Checker(sheet.fields, context)
            for packed in helpers.check_all(sheet.chunks(skip=staged), checker):
                work.keep(packed)
                hand_back_if_requested()
    work.job.refresh_from_db(fields=["checked_rows", "rejected_rows", "bad_cells"])
    if not work.job.checked_rows:
        raise WorkbookError("empty-sheet", "工作表里只有空行，没有学生", "请填写后重新上传")
    work.set(state=State.COMPARING, total_rows=work.job.checked_rows, timings=work.job.timings)


def _start_checking(work: Run, sheet: Sheet) -> frozenset[int]:
    """Note what the sheet is like; returns the chunks that an earlier run has staged."""
    chunks = list(
        ImportChunk.objects.filter(job=work.job).values_list("number", "rows", "rejected", "bad_cells")
    )
    work.set(
        state=State.CHECKING,
        columns=[field.key for field in sheet.fields],
        template=sheet.template.version,
        sheet=sheet.name[:64],
        notices=sheet.notices,
        total_rows=sheet.row_total(),
        checked_rows=sum(chunk[1] for chunk in chunks),
        rejected_rows=sum(chunk[2] for chunk in chunks),
        bad_cells=sum(chunk[3] for chunk in chunks),
        timings=work.job.timings,
    )
    return frozenset(chunk[0] for chunk in chunks)


def _load(work: Run) -> None:
    """Compare, then write everything in one transaction, or reject the job."""
    with work.timed("comparing"):
        keys = _keys(work.job)
        twins = within_file(keys)
        context = context_for(work.job.uploader)
    for attempt in range(1, _TRIES + 1):
        hand_back_if_requested()
        work.set(state=State.LOADING, timings=work.job.timings)
        try:
            with transaction.atomic():
                schools = _decide_and_write(work, keys, twins, context)
        except IntegrityError:
            if attempt == _TRIES:
                raise
            logger.info("import job %s: somebody else registered one of its students; again", work.job.pk)
        else:
            if schools:
                refresh(schools)
            return


def _keys(job: ImportJob) -> list[tuple[int, str, str]]:
    blobs = ImportChunk.objects.filter(job=job, number__gte=0).values_list("keys", flat=True)
    return [key for blob in blobs for key in load_keys(blob)]


def _decide_and_write(
    work: Run, keys: list[tuple[int, str, str]], twins: Found, context: Context
) -> set[int]:
    """The body of the one transaction; returns the schools that got students."""
    ImportGate.enter()
    work.lock()
    job = work.job
    staged = ImportChunk.objects.filter(job=job, number__gte=0)
    with work.timed("comparing"):
        rejected_before = {
            row for blob in staged.values_list("rejects", flat=True) for row, _ in load(blob) or ()
        }
        candidates = [key for key in keys if key[0] not in rejected_before and key[0] not in twins]
        found = {row: text for row, text in twins.items() if row not in rejected_before}
        found |= in_registry(candidates, context)
        _keep_cross(job, found)
    rejected = len(rejected_before) + len(found)
    bad_cells = sum(staged.values_list("bad_cells", flat=True)) + len(found)
    values: dict[str, Any] = {"state": State.REPORTING, "rejected_rows": rejected, "bad_cells": bad_cells}
    schools: set[int] = set()
    if rejected < len(keys) and (job.accept_good or not rejected):
        with work.timed("loading"):
            values["loaded_rows"], schools = load_all(
                staged.values_list("payload", flat=True).iterator(_PAYLOADS),
                set(found),
                loader_for(connection),
                context,
                identities=(key[1] for key in keys),
                now=timezone.now(),
                by_id=job.uploader_id,
            )
        values["committed_at"] = timezone.now()
        staged.update(payload=None)
    work.set(**values, timings=job.timings)
    return schools


def _keep_cross(job: ImportJob, found: Found) -> None:
    """Stage what comparing found, as a chunk of its own; the rows' texts come from their chunks."""
    ImportChunk.objects.filter(job=job, number=CROSS).delete()
    if not found:
        return
    rejects: list[tuple[int, list[str]]] = []
    for blob in (
        ImportChunk.objects.filter(job=job, number__gte=0).values_list("payload", flat=True).iterator()
    ):
        numbers, columns = load_payload(blob)
        if found.keys().isdisjoint(numbers):
            continue
        cells = [columns.get(key) for key in job.columns]
        for at, row in enumerate(numbers):
            if row in found:
                rejects.append((row, [values[at] if values else "" for values in cells]))
    ImportChunk.objects.create(
        job=job,
        number=CROSS,
        rows=0,
        rejected=len(rejects),
        bad_cells=len(found),
        keys=dump([[], "", ""]),
        rejects=dump(rejects),
        errors=dump([(row, field, text) for row, (field, text) in sorted(found.items())]),
    )


def _report(work: Run) -> None:
    """After the commit: the workbook of rejected rows, and what the job's page shows of it."""
    job = work.job
    values: dict[str, Any] = {}
    if job.rejected_rows:
        with work.timed("reporting"):
            values["summary"], values["preview"] = summarize(job)
            path = report_path(job.public_id)
            write_report(job, path)
            values["report_path"] = path
    done = job.committed_at is not None
    work.set(
        state=State.DONE if done else State.REJECTED,
        finished_at=timezone.now(),
        timings=job.timings,
        **values,
    )
