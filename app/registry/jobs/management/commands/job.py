"""`registry job NAME`: one timed job, one line of outcome."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.jobs.locks import LockedError, database_lock
from registry.jobs.timed import JOBS


class Command(BaseCommand):
    """Runs one job under a lock of its own, so that two hosts never do the same at once."""

    help = "Run one timed job: " + ", ".join(JOBS)

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The job's name."""
        parser.add_argument("name", choices=sorted(JOBS))

    def handle(self, *, name: str, **_options: Any) -> None:
        """Run the job and say what it did; a job that already runs elsewhere is left alone."""
        started = time.monotonic()
        try:
            with database_lock(f"job {name}"):
                outcome = JOBS[name]()
        except LockedError:
            outcome = "runs on another host already, left alone"
        self.stdout.write(f"{name}: {outcome} ({time.monotonic() - started:.1f} s)")
