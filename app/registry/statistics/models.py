"""Counts per school, refreshed by `registry job refresh-statistics` and after every import.

The pages add these up (some ten thousand rows for a province) instead of counting millions of students.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.orgs.models import School
from registry.scope import limit_to_unit

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User


class SchoolCountQuerySet(models.QuerySet["SchoolCount"]):
    """Look-ups on counts."""

    def visible_to(self, user: User | AnonymousUser) -> SchoolCountQuerySet:
        """The counts of the schools that the user sees."""
        return limit_to_unit(self, user, path="school__region_path", school="school")


class SchoolCount(models.Model):
    """How many students hold their number at a school, as of `counted_at`."""

    school = models.OneToOneField(
        School, models.CASCADE, primary_key=True, related_name="count", verbose_name=_("学校")
    )
    students = models.PositiveIntegerField(_("学生数"), default=0)
    girls = models.PositiveIntegerField(_("女生数"), default=0)
    boarders = models.PositiveIntegerField(_("寄宿生数"), default=0)
    left_behind = models.PositiveIntegerField(_("留守儿童数"), default=0)
    migrant = models.PositiveIntegerField(_("随迁子女数"), default=0)
    counted_at = models.DateTimeField(_("统计时间"), default=timezone.now)

    objects = SchoolCountQuerySet.as_manager()

    class Meta:
        verbose_name = _("学校学生数")
        verbose_name_plural = _("学校学生数")

    def __str__(self) -> str:
        return f"{self.school_id}: {self.students}"
