"""`registry migrate`: Django's own, one host at a time."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as DjangoMigrate

from registry.jobs.locks import LockedError, database_lock


class Command(DjangoMigrate):
    """Adds a lock across hosts; `--check` looks without it and exits 1 when something is to do."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add how long to wait for another host's migration."""
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-wait",
            type=float,
            default=300,
            metavar="SECONDS",
            help="wait for another host's migration",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Migrate under the lock."""
        wait = options.pop("lock_wait")
        if options["check_unapplied"] or options["plan"]:
            super().handle(*args, **options)
            return
        try:
            with database_lock("migrate", wait_seconds=wait):
                super().handle(*args, **options)
        except LockedError as error:
            raise CommandError(f"{error} → run it again when the other host has finished") from error
