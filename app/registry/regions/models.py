"""Administrative regions: GB/T 2260 six-digit codes as a tree, with the dates they were in force.

The code is the key: GB/T 2260 never gives a retired code to another region. `parent` is the region that
manages this one, which is usually, but not always, the one its digits name.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.fields import BytewiseCharField
from registry.scope import limit_to_unit

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User

COUNTRY = "000000"


class Level(models.TextChoices):
    """The levels of administration; a school is a unit of its own (registry.orgs)."""

    MINISTRY = "ministry", _("部级")
    PROVINCE = "province", _("省级")
    CITY = "city", _("市级")
    COUNTY = "county", _("县级")
    SCHOOL = "school", _("校级")


class RegionQuerySet(models.QuerySet["Region"]):
    """Look-ups on the tree."""

    def visible_to(self, user: User | AnonymousUser) -> RegionQuerySet:
        """The regions at or below the user's own; a school's account sees none."""
        return limit_to_unit(self, user, path="path", school=None)

    def in_force(self, day: dt.date | None = None) -> RegionQuerySet:
        """The regions whose code is valid on `day` (default: today)."""
        day = day or dt.date.today()  # noqa: DTZ011 - a calendar day of the province, not an instant
        return self.filter(
            Q(valid_from__isnull=True) | Q(valid_from__lte=day),
            Q(valid_to__isnull=True) | Q(valid_to__gt=day),
        )


class Region(models.Model):
    """One region of GB/T 2260, in force from `valid_from` (included) to `valid_to` (excluded)."""

    code = models.CharField(_("区划代码"), max_length=6, primary_key=True)
    name = models.CharField(_("名称"), max_length=60)
    level = models.CharField(_("级别"), max_length=8, choices=Level.choices)
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, blank=True, related_name="children", verbose_name=_("上级")
    )
    path = BytewiseCharField(_("路径"), max_length=18, blank=True)
    valid_from = models.DateField(_("启用日期"), null=True, blank=True)
    valid_to = models.DateField(_("停用日期"), null=True, blank=True)

    objects = RegionQuerySet.as_manager()

    class Meta:
        verbose_name = _("行政区划")
        verbose_name_plural = _("行政区划")
        ordering = ("code",)
        indexes = (models.Index(fields=["path"], name="region_path_idx"),)

    def __str__(self) -> str:
        return self.name

    @property
    def retired(self) -> bool:
        """Whether the code is out of force today."""
        return self.valid_to is not None and self.valid_to <= dt.date.today()  # noqa: DTZ011

    def ancestor_codes(self) -> list[str]:
        """The codes from the country down to this region itself, read off the path."""
        return [COUNTRY, *(self.path[at : at + 6] for at in range(0, len(self.path), 6))]

    def full_name(self) -> str:
        """The names from the province down, without the country: 陕西省西安市雁塔区."""
        names = dict(Region.objects.filter(code__in=self.ancestor_codes()[1:]).values_list("code", "name"))
        return "".join(names.get(code, "") for code in self.ancestor_codes()[1:])
