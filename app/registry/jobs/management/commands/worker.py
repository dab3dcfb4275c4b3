"""`registry worker`: runs background tasks until told to stop.

SIGTERM and SIGINT let the running task finish; a task that works in chunks may ask
`registry.jobs.stopping.requested()` between them and hand the rest back to the queue.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from registry.jobs.worker import RegistryWorker


class Command(BaseCommand):
    """Runs the worker loop of django-tasks-db with our claim and reaper."""

    help = "Run background tasks (imports and the like) until stopped"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which queues, how often to look, and whether to stop when there is nothing left."""
        parser.add_argument("--queues", default="*", help="queues, separated by commas (default: all)")
        parser.add_argument("--interval", type=float, default=1.0, help="seconds between looks when idle")
        parser.add_argument("--batch", action="store_true", help="stop when nothing is left to do")

    def handle(self, **options: Any) -> None:
        """Run until SIGTERM, or until the queue is empty with --batch."""
        worker = RegistryWorker(
            queues=options["queues"].split(","), interval=options["interval"], batch=options["batch"]
        )
        worker.configure_signals()
        worker.run()
