"""What the tests of the import share."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from registry.imports.context import Context, SchoolRow
from registry.imports.models import ImportJob
from registry.imports.runner import run
from registry.imports.submit import submit

from . import books


@pytest.fixture(autouse=True)
def _small_chunks(settings: Any) -> None:
    """Many chunks in small files, and no second process unless a test asks for it."""
    settings.IMPORT_CHUNK_ROWS = 7
    settings.IMPORT_PROCESSES = 1


@pytest.fixture
def context() -> Context:
    """A world of four schools: one's own, one closed, one foreign, one void; and some regions."""
    return Context(
        today=dt.date(2026, 9, 1),
        schools={
            "2161000001": SchoolRow(1, "雁塔第一小学", "610000610100610113", "primary"),
            "2161000002": SchoolRow(2, "雁塔老小学", "610000610100610113", "primary", closed=True),
        },
        foreign_schools=frozenset({"2161000003"}),
        void_schools={"2161000004": "2161000001"},
        regions=frozenset({"610000", "610100", "610113", "610125", "110000"}),
        complete=frozenset({"61"}),
    )


@pytest.fixture
def school(world: SimpleNamespace) -> Any:
    """The school that the tests' rows name."""
    near = world.schools["near"]
    near.code = "2161000001"
    type(near).objects.filter(code=near.code).exclude(pk=near.pk).update(code="2161999999")
    near.save()
    return near


@pytest.fixture
def send(world: SimpleNamespace, school: Any, tmp_path: Path) -> Callable[..., ImportJob]:
    """`send(rows, user=alice, accept_good=False)`: write a workbook and submit it."""

    def _send(
        rows: Any, user: Any = None, *, accept_good: bool = False, name: str = "学生.xlsx"
    ) -> ImportJob:
        path = rows if isinstance(rows, Path) else books.write(tmp_path / name, rows)
        with path.open("rb") as file:
            return submit(file, name, user or world.alice, accept_good=accept_good)[0]

    return _send


@pytest.fixture
def process(send: Callable[..., ImportJob]) -> Callable[..., ImportJob]:
    """`process(rows, …)`: submit and run to the end."""

    def _process(*args: Any, **kwargs: Any) -> ImportJob:
        job = send(*args, **kwargs)
        run(job.pk)
        job.refresh_from_db()
        return job

    return _process
