"""A worker killed with SIGKILL at any place: the next run goes on, and every effect happens exactly once."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from . import books

HERE = Path(__file__).parent
APP = HERE.parents[2] / "app"
ROWS, BAD = 35, 3
_PREPARE = """
import sys
import django
django.setup()
from django.core.management import call_command
from registry.accounts.models import User
from registry.imports.submit import submit
from registry.orgs.models import School
from registry.regions.models import Region
call_command("migrate", verbosity=0)
School.objects.create(code="2161000001", name="s", stage="primary", region=Region.objects.get(pk="610113"))
user = User.objects.create(username="u", display_name="u", kind="registrar", region_id="610113")
with open(sys.argv[1], "rb") as file:
    print(submit(file, "a.xlsx", user, accept_good=True)[0].pk)
"""


def environment(folder: Path) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "registry.settings",
        "PYTHONPATH": str(APP),
        "REGISTRY_DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}",
        "REGISTRY_SHARED_ROOT": str(folder / "shared"),
    }


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database and one submitted job: 35 rows, of which 3 are bad."""
    folder = tmp_path_factory.mktemp("killed")
    rows = books.good_rows(ROWS)
    for row in rows[5 : 5 + BAD]:
        row["name"] = ""
    book = books.write(folder / "a.xlsx", rows)
    command = [sys.executable, "-c", _PREPARE, str(book)]
    subprocess.run(command, env=environment(folder), check=True, timeout=280, capture_output=True)
    return folder


def run_job(folder: Path, place: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / "crash.py"), "1", place]
    return subprocess.run(
        command, env=environment(folder), check=False, timeout=120, capture_output=True, text=True
    )


def look(folder: Path, question: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "db.sqlite3", timeout=20) as database:
        return database.execute(question).fetchall()


@pytest.mark.parametrize(
    ("place", "students_after_the_kill", "chunks"),
    [
        ("reading", 0, 0),
        ("checking", 0, 2),
        ("comparing", 0, 4),
        ("loading", 0, 4),
        ("committed", ROWS - BAD, 4),
        ("reporting", ROWS - BAD, 4),
    ],
)
def test_killed_and_resumed(
    prepared: Path, tmp_path: Path, place: str, students_after_the_kill: int, chunks: int
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(prepared, folder)
    killed = run_job(folder, place)
    assert killed.returncode == -signal.SIGKILL
    assert look(folder, "SELECT count(*) FROM students_student") == [(students_after_the_kill,)]
    assert look(folder, "SELECT count(*) FROM imports_importchunk WHERE number >= 0") == [(chunks,)]
    for _ in range(2):  # the second one finds nothing left to do
        resumed = run_job(folder, "none")
        assert resumed.stdout.strip() == "done", resumed.stderr
    assert look(folder, "SELECT count(*), count(DISTINCT id_number) FROM students_student") == [(32, 32)]
    assert look(folder, "SELECT count(*) FROM students_familymember") == [(32,)]
    assert look(folder, "SELECT count(*) FROM students_studentnumber") == [(32,)]
    columns = "state, loaded_rows, rejected_rows, checked_rows, passed"
    job = look(folder, f"SELECT {columns} FROM imports_importjob, imports_importgate")
    assert job == [("done", ROWS - BAD, BAD, ROWS, 1)]
    reports = [path.name for path in (folder / "shared/imports/reports").rglob("*") if path.is_file()]
    assert len([name for name in reports if name.endswith(".xlsx")]) == 1
