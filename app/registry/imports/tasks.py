"""The background task, run by the worker on the packaging server."""

from __future__ import annotations

from django_tasks import task

from registry.imports.runner import run


@task(queue_name="imports")
def run_import(job_id: int) -> str:
    """Run, or go on with, one import job; safe to run any number of times. Returns the state it came to."""
    return run(job_id)
