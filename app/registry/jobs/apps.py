from django.apps import AppConfig


class JobsConfig(AppConfig):
    """The queue, its worker and the timed jobs."""

    name = "registry.jobs"

    def ready(self) -> None:
        """Claim tasks in a way that every database understands."""
        from django_tasks_db.models import DBTaskResultQuerySet

        from registry.jobs.queue import get_locked

        DBTaskResultQuerySet.get_locked = get_locked
