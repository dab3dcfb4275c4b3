"""Old imports are forgotten, and nothing else is."""

from __future__ import annotations

import datetime as dt
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from registry.imports.models import ImportChunk, ImportJob, State
from registry.imports.pruning import prune

from .books import good_row, good_rows
from .outcome import Process, imported

pytestmark = pytest.mark.django_db


def age(job: ImportJob, days: int) -> None:
    """Let the job and its files be this old."""
    then = timezone.now() - dt.timedelta(days=days)
    ImportJob.objects.filter(pk=job.pk).update(created_at=then, finished_at=then if job.finished_at else None)
    for path in filter(None, (job.path, job.report)):
        os.utime(path, (then.timestamp(), then.timestamp()))


def files(root: Path) -> set[Path]:
    """All files of imports."""
    return {path for path in (root / "imports").rglob("*") if path.is_file()}


def test_a_job_that_brought_students_stays_without_its_files(
    process: Process, school: Any, world: Any, as_user: Callable[..., Any], shared_root: Path
) -> None:
    job = process([*good_rows(2), good_row(name="")], accept_good=True)
    age(job, 181)
    assert len(files(shared_root)) == 2
    assert prune() == (1, 2)
    assert files(shared_root) == set()
    job.refresh_from_db()
    assert (job.state, job.loaded_rows, job.preview, job.report) == (State.DONE, 2, [], None)
    assert not ImportChunk.objects.filter(job=job).exists()
    assert imported(school).count() == 2
    page = as_user(world.alice).get(reverse("imports:job", args=[job.public_id]))
    assert "已过保存期" in page.content.decode()
    assert prune() == (0, 0)


def test_one_that_came_to_nothing_goes_and_its_file_is_new_again(
    process: Process, send: Process, tmp_path: Path, shared_root: Path
) -> None:
    job = process([good_row(name="")])
    age(job, 181)
    assert prune() == (1, 2)
    assert not ImportJob.objects.exists()
    assert not any((shared_root / "imports/uploads").iterdir())
    assert send(tmp_path / "学生.xlsx").state == State.QUEUED


def test_what_is_young_or_unfinished_is_kept(
    process: Process, send: Process, shared_root: Path, settings: Any
) -> None:
    settings.IMPORT_KEEP_DAYS = 30
    young = process([good_row(name="")], name="young.xlsx")
    age(young, 29)
    waiting = send(good_rows(1), name="waiting.xlsx")
    age(waiting, 300)
    before = files(shared_root)
    assert prune() == (0, 0)
    assert files(shared_root) == before
    assert len(before) == 3


def test_files_of_no_job_go_when_they_are_old(shared_root: Path) -> None:
    folder = shared_root / "imports/uploads/2024-01"
    folder.mkdir(parents=True)
    old, new = folder / f"{uuid.uuid4()}.part", folder / f"{uuid.uuid4()}.xlsx"
    for path in (old, new):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    call_command("job", "purge-imports")
    assert files(shared_root) == {new}
