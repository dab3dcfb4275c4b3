"""Schools and their campuses. Several campuses may share one ten-digit code: a school is not a campus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.validators import RegexValidator
from django.db import models, transaction
from django.utils.translation import gettext_lazy as _

from registry.fields import BytewiseCharField
from registry.regions.models import Region
from registry.scope import limit_to_unit

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User


class Stage(models.TextChoices):
    """What a school teaches."""

    PRIMARY = "primary", _("小学")
    JUNIOR = "junior", _("初级中学")
    NINE_YEAR = "nine_year", _("九年一贯制学校")
    SENIOR = "senior", _("高级中学")
    COMPLETE = "complete", _("完全中学")
    TWELVE_YEAR = "twelve_year", _("十二年一贯制学校")
    VOCATIONAL = "vocational", _("中等职业学校")
    SPECIAL = "special", _("特殊教育学校")


class SchoolQuerySet(models.QuerySet["School"]):
    """Look-ups on schools."""

    def visible_to(self, user: User | AnonymousUser) -> SchoolQuerySet:
        """The schools of the user's subtree; for a school's account, that school."""
        return limit_to_unit(self, user, path="region_path", school="pk")


class School(models.Model):
    """A school with the ministry's ten-digit code: 2 category + 2 province + 6 sequence, no check digit.

    `region` is the region that manages it: a county, or the city itself for schools directly under a city.
    A rename keeps the code; a change of category gives a new one (see `SchoolFormerCode`).
    """

    code = models.CharField(
        _("学校标识码"),
        max_length=10,
        unique=True,
        validators=[RegexValidator(r"^\d{10}$", _("学校标识码为 10 位数字"))],
    )
    name = models.CharField(_("学校名称"), max_length=80, db_index=True)
    stage = models.CharField(_("办学类型"), max_length=12, choices=Stage.choices)
    region = models.ForeignKey(Region, models.PROTECT, related_name="schools", verbose_name=_("主管行政区划"))
    region_path = BytewiseCharField(_("区划路径"), max_length=18, blank=True, editable=False)
    address = models.CharField(_("地址"), max_length=180, blank=True)
    closed_on = models.DateField(_("撤销日期"), null=True, blank=True)

    objects = SchoolQuerySet.as_manager()

    class Meta:
        verbose_name = _("学校")
        verbose_name_plural = _("学校")
        ordering = ("code",)
        indexes = (models.Index(fields=["region_path", "code"], name="school_path_idx"),)

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, with the copies of the region's path (here and on the students) kept in step."""
        moved = self.region_path != self.region.path
        self.region_path = self.region.path
        update_fields = kwargs.get("update_fields")
        if update_fields is not None and "region" in update_fields:
            kwargs["update_fields"] = {*update_fields, "region_path"}
        with transaction.atomic():
            super().save(*args, **kwargs)
            if moved:
                self.students.update(region_path=self.region_path)


class SchoolFormerCode(models.Model):
    """A code that a school once had; void codes are never given again (S1: old-to-new mapping)."""

    code = models.CharField(_("原学校标识码"), max_length=10, unique=True)
    school = models.ForeignKey(School, models.PROTECT, related_name="former_codes", verbose_name=_("学校"))
    void_since = models.DateField(_("作废日期"))
    reason = models.CharField(_("原因"), max_length=120, blank=True)

    class Meta:
        verbose_name = _("原学校标识码")
        verbose_name_plural = _("原学校标识码")

    def __str__(self) -> str:
        return f"{self.code} → {self.school_id}"


class Campus(models.Model):
    """A site of a school; `number` is field 73, 校区号 (four characters)."""

    school = models.ForeignKey(School, models.CASCADE, related_name="campuses", verbose_name=_("学校"))
    number = models.CharField(_("校区号"), max_length=4)
    name = models.CharField(_("校区名称"), max_length=80)
    address = models.CharField(_("地址"), max_length=180, blank=True)

    class Meta:
        verbose_name = _("校区")
        verbose_name_plural = _("校区")
        ordering = ("school_id", "number")
        constraints = (models.UniqueConstraint(fields=["school", "number"], name="campus_number_uniq"),)

    def __str__(self) -> str:
        return self.name
