"""Import of a 78-column workbook, from task start to commit, on a PostgreSQL of its own.

The real worker process runs the real task, all checks on. Its rate is taken from the queue's own start time
of the task to the commit time that PostgreSQL recorded for the students' transaction. Floors of the same run,
on the same file and rows: python-calamine reading alone, and COPY alone into tables with the same indexes.
The workbook is generated once and kept in the cache (`XDG_CACHE_HOME`, ~/.cache).
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from _postgresql import Postgresql
from _report import report

APP = Path(__file__).resolve().parents[2] / "app"
_LEAST_ROWS = 3000.0  # rows a second, task start to commit
_MOST_MEMORY = 1536.0  # MB, worker and helper together, for 100 000 rows
_TABLES = ("students_student", "students_familymember", "students_studentnumber")
_READ = (
    "import sys, time, python_calamine as c\n"
    "t = time.perf_counter()\n"
    "s = c.load_workbook(sys.argv[1]).get_sheet_by_index(0)\n"
    "n = sum(1 for _ in s.iter_rows())\n"
    "print(n - 1, time.perf_counter() - t)\n"
)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2026)
    options = parser.parse_args()
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "xjops" / "bench"
    shared.mkdir(parents=True, exist_ok=True)
    with Postgresql(track_commit_timestamp="on") as server:
        _set_up_django(server.url, shared)
        workbook = _workbook(options.rows, options.seed)
        job_id = _submit(workbook)
        peak = _work()
        figures = _figures(job_id, options.rows) | {"peak_memory_mb": peak}
        floor = _floors(workbook)
    alone = floor["calamine_seconds"] + floor["copy_seconds"]
    report(
        "import",
        figures,
        floor,
        {
            "of_calamine_alone": figures["rows_per_second"] / floor["calamine_rows_per_second"],
            "of_copy_alone": figures["rows_per_second"] / floor["copy_rows_per_second"],
            "of_reading_then_copying": alone / figures["seconds"],
        },
        at_least={"rows_per_second": _LEAST_ROWS},
        at_most={"peak_memory_mb": _MOST_MEMORY},
    )


def _set_up_django(url: str, shared: Path) -> None:
    os.environ.update(
        REGISTRY_DATABASE_URL=url,
        REGISTRY_SHARED_ROOT=str(shared),
        DJANGO_SETTINGS_MODULE="registry.settings",
        PYTHONPATH=str(APP),
        REGISTRY_DEBUG="0",
    )
    sys.path.insert(0, str(APP))
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


def _workbook(rows: int, seed: int) -> Path:
    from registry.sample.services import plan, save_units, write_workbooks

    started = time.perf_counter()
    province = plan(rows, seed)
    save_units(province, "not-a-secret-of-anything")
    write_workbooks(province, by_county=False)
    took = time.perf_counter() - started
    print(
        f"workbook: {rows} rows, {province.workbooks[0].stat().st_size / 2**20:.1f} MB ({took:.1f} s)",
        flush=True,
    )
    return province.workbooks[0]


def _submit(workbook: Path) -> int:
    from registry.accounts.models import User
    from registry.imports.submit import submit

    started = time.perf_counter()
    with workbook.open("rb") as file:
        job, _ = submit(file, workbook.name, User.objects.get(username="610000.registrar"), accept_good=False)
    print(f"upload and container checks: {time.perf_counter() - started:.2f} s", flush=True)
    return job.pk


def _work() -> float:
    """Run the worker until the queue is empty; returns the peak memory of it and its helper in MB."""
    worker = subprocess.Popen([sys.executable, "-m", "registry.manage", "worker", "--batch"], cwd="/")
    peak = 0.0
    ended = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            peak = max(peak, sum(_memory(pid) for pid in _family(worker.pid)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if worker.wait(timeout=900):
            raise SystemExit(f"the worker ended with {worker.returncode}")
    finally:
        ended.set()
        watcher.join()
    return peak / 1024


def _family(pid: int) -> list[int]:
    """The process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [pid, *map(int, children.read_text().split())]
    except OSError:
        return [pid]


def _memory(pid: int) -> int:
    """A process's proportional memory in KB; shared pages are counted once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _figures(job_id: int, rows: int) -> dict[str, float]:
    from django.db import connection
    from django_tasks_db.models import DBTaskResult

    from registry.imports.models import ImportJob, State

    job = ImportJob.objects.get(pk=job_id)
    if job.state != State.DONE or job.loaded_rows != rows:
        raise SystemExit(f"the import came to {job.state}: {job.loaded_rows} of {rows} rows, {job.message}")
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(pg_xact_commit_timestamp(xmin)) FROM students_student")
        committed = cursor.fetchone()[0]
    seconds = (committed - DBTaskResult.objects.get().started_at).total_seconds()
    return {
        "rows": rows,
        "rows_per_second": rows / seconds,
        "seconds": seconds,
        **{f"{step}_seconds": took for step, took in job.timings.items()},
    }


def _floors(workbook: Path) -> dict[str, float]:
    read = subprocess.run(
        [sys.executable, "-c", _READ, str(workbook)], check=True, capture_output=True, text=True, timeout=600
    )
    rows, reading = (float(part) for part in read.stdout.split())
    copying = _copy_alone()
    return {
        "calamine_seconds": reading,
        "calamine_rows_per_second": rows / reading,
        "copy_seconds": copying,
        "copy_rows_per_second": rows / copying,
    }


def _copy_alone() -> float:
    """Seconds to COPY the imported rows into fresh tables with the same indexes, in one transaction."""
    from django.db import connection, transaction

    connection.ensure_connection()
    raw: Any = connection.connection
    texts = {table: _copied_out(raw, table) for table in _TABLES}
    with raw.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"CREATE TABLE floor_{table} (LIKE {table} INCLUDING ALL)")
    started = time.perf_counter()
    with transaction.atomic(), raw.cursor() as cursor:
        for table, text in texts.items():
            with cursor.copy(f"COPY floor_{table} FROM STDIN") as copy:
                for at in range(0, len(text), 1 << 20):
                    copy.write(text[at : at + (1 << 20)])
    return time.perf_counter() - started


def _copied_out(raw: Any, table: str) -> bytes:
    buffer = io.BytesIO()
    with raw.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT") as copy:
        for block in copy:
            buffer.write(block)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
