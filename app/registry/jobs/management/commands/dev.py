"""`registry dev`: the whole application on this machine alone (`make app`)."""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import CommandError, call_command, get_commands
from django.core.management.base import BaseCommand

from registry.accounts.models import User
from registry.students.models import Student

STOP_DEADLINE_SECONDS = 20


class Command(BaseCommand):
    """Migrates, makes sample data where there is none, and runs the development server with a worker."""

    help = (
        "Run alone: migrations, a small sample, the development server and a worker (never in a deployment)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen, and how large the sample is."""
        parser.add_argument("--address", default="127.0.0.1:8000", help="default: 127.0.0.1:8000")
        parser.add_argument("--students", type=int, default=600, help="students of the sample (default: 600)")
        parser.add_argument("--prepare", action="store_true", help="stop before the server starts")

    def handle(self, *, address: str, students: int, prepare: bool, **_options: Any) -> None:
        """Prepare, print the accounts, serve until Ctrl+C."""
        if settings.DEPLOYED:
            raise CommandError(
                "REGISTRY_SECRET_KEY is set: this is a deployment → use gunicorn and `registry worker`"
            )
        call_command("migrate", verbosity=0)
        if not Student.objects.exists() and "sample" in get_commands():
            call_command("sample", students=students)
        self.print_accounts(address)
        if prepare:
            return
        program = [sys.executable, "-m", "registry.manage"]
        worker = subprocess.Popen([*program, "worker"], env=os.environ, start_new_session=True)
        try:
            call_command("runserver", address, use_reloader=False)
        finally:
            worker.terminate()
            try:
                worker.wait(STOP_DEADLINE_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()

    def print_accounts(self, address: str) -> None:
        """The address and one line an account, for whoever tries it out."""
        self.stdout.write(f"\n  http://{address}/\n")
        for user in User.objects.order_by("school_id", "region_id", "username")[:20]:
            self.stdout.write(
                f"  {user.username:<28} {user.level_label} · {user.get_kind_display()} · {user.unit}"
            )
        self.stdout.write("")
