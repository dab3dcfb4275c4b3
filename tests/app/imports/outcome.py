"""What an import left behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from registry.imports.models import ImportJob
from registry.students.models import Student

Process = Callable[..., ImportJob]


def imported(school: Any) -> Any:
    """The students that imports brought, in the order of the sheet."""
    return Student.objects.filter(school=school, student_number__startswith="L").order_by("pk")
