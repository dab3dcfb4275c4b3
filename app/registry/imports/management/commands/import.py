# ruff: noqa: N999 - the command is `registry import`
"""`registry import FILE --as USER [--accept-good] [--wait]`: queue a workbook from the command line."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.accounts.models import User
from registry.imports.errors import WorkbookError
from registry.imports.follow import TooLongError, follow
from registry.imports.models import ImportJob, State
from registry.imports.submit import submit


class Command(BaseCommand):
    """Exit codes: 0 everything in, 1 nothing in, 3 in with some rows rejected."""

    help = (
        "Queue a workbook of students for import by the worker (exit 0 all in, 1 nothing in, 3 some rejected)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The workbook, on whose behalf, and whether to wait."""
        parser.add_argument("file", type=Path, help="the workbook (.xlsx)")
        parser.add_argument(
            "--as", dest="username", required=True, metavar="USER", help="registrar's account"
        )
        parser.add_argument(
            "--accept-good", action="store_true", help="let good rows in without the bad ones"
        )
        parser.add_argument("--wait", action="store_true", help="follow the job until it ends")
        parser.add_argument("--deadline", type=float, default=3600, help="seconds to wait (default: 3600)")

    def handle(self, **options: Any) -> None:
        """Queue, and with --wait follow."""
        job, created = self._submit(options["file"], options["username"], accept_good=options["accept_good"])
        self.stdout.write(f"job {job.public_id}: {'queued' if created else 'known already, ' + job.state}")
        if not options["wait"]:
            return
        try:
            follow(job, self.stdout.write, deadline=options["deadline"])
        except TooLongError as error:
            raise CommandError(f"{error} → is a worker running? (registry worker)") from error
        if job.report:
            self.stdout.write(f"rejected rows: {job.report}")
        if job.state != State.DONE:
            raise SystemExit(1)
        if job.rejected_rows:
            raise SystemExit(3)

    def _submit(self, path: Path, username: str, *, accept_good: bool) -> tuple[ImportJob, bool]:
        user = User.objects.filter(username=username, is_active=True).first()
        if user is None:
            raise CommandError(f"no active account {username!r} → name a registrar with --as")
        if not user.may_import:
            raise CommandError(f"{username} is no registrar → only registrars import; name one with --as")
        try:
            with path.open("rb") as file:
                return submit(file, path.name, user, accept_good=accept_good)
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        except WorkbookError as error:
            raise CommandError(f"{path.name}: {error}") from error
