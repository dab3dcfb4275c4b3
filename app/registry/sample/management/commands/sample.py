"""`registry sample --students N --seed S [--import]`: a synthetic province to try everything on."""

from __future__ import annotations

import json
import os
import time
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from registry.accounts.models import User
from registry.imports.errors import WorkbookError
from registry.imports.follow import TooLongError, follow
from registry.imports.models import State
from registry.imports.submit import submit
from registry.orgs.models import School
from registry.sample.portraits import link_portraits
from registry.sample.province import handed_out
from registry.sample.services import Province, plan, save_units, write_workbooks
from registry.students.models import Student


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 1_000_000:
        raise ArgumentTypeError("1 to 1000000")
    return number


class Command(BaseCommand):
    """Generates; with --import also has the worker take the students in, and links portraits to them."""

    help = "Generate a synthetic province (Shaanxi): schools, accounts, workbooks of students, portraits"

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How many students, which province, and what to do with it."""
        parser.add_argument("--students", type=_count, default=20_000, help="how many (default: 20000)")
        parser.add_argument("--seed", type=int, default=2026, help="same seed, same province (default: 2026)")
        parser.add_argument(
            "--by-county", action="store_true", help="one workbook a county instead of one in all"
        )
        parser.add_argument(
            "--import", dest="take_in", action="store_true", help="import them through the worker"
        )
        parser.add_argument(
            "--portraits", type=int, default=3, metavar="PERCENT", help="share with a portrait"
        )
        parser.add_argument(
            "--deadline", type=float, default=1800, help="seconds for the import (default: 1800)"
        )

    def handle(self, **options: Any) -> None:
        """Do what is missing, say each step, and end with one line of JSON."""
        started = time.monotonic()
        province = plan(options["students"], options["seed"])
        save_units(province, os.environ.get("REGISTRY_SAMPLE_PASSWORD", ""))
        self.stdout.write(f"schools: {len(province.schools)}, {province.new_schools} new")
        self.stdout.write(f"accounts: {province.new_accounts} new")
        if province.password:
            self.stdout.write(f"password of the new accounts: {province.password}")
        write_workbooks(province, by_county=options["by_county"])
        self.stdout.write(f"workbooks: {len(province.workbooks)}, {province.written} written")
        imported = rejected = 0
        failed = False
        if options["take_in"]:
            imported, rejected, failed = self._import(province, options["deadline"])
        linked = link_portraits(options["portraits"])
        self.stdout.write(f"portraits: {linked} linked ({time.monotonic() - started:.1f} s in all)")
        self.stdout.write(json.dumps(self._outcome(province, imported, rejected), ensure_ascii=False))
        if failed:
            raise SystemExit(1)
        if rejected:
            raise SystemExit(3)

    def _import(self, province: Province, deadline: float) -> tuple[int, int, bool]:
        """Queue the workbooks as the province's registrar and follow them: (in, rejected, one failed)."""
        user = User.objects.get(username="610000.registrar")
        jobs = []
        for path in province.workbooks:
            try:
                with path.open("rb") as file:
                    jobs.append(submit(file, path.name, user, accept_good=True)[0])
            except WorkbookError as error:
                raise CommandError(f"{path.name}: {error}") from error
        end = time.monotonic() + deadline
        try:
            done = [follow(job, self.stdout.write, deadline=end - time.monotonic()) for job in jobs]
        except TooLongError as error:
            raise CommandError(f"{error} → is a worker running? (registry worker)") from error
        return (
            sum(job.loaded_rows for job in done),
            sum(job.rejected_rows for job in done),
            any(job.state != State.DONE for job in done),
        )

    def _outcome(self, province: Province, imported: int, rejected: int) -> dict[str, Any]:
        return {
            "students": Student.objects.count(),
            "schools": School.objects.count(),
            "imported": imported,
            "rejected": rejected,
            "workbooks": [path.name for path in province.workbooks],
            "accounts": [asdict(account) for account in handed_out(province.schools)],
        }
