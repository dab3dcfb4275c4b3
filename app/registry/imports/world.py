"""Reading from the database what the checks need to know (`Context`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils import timezone

from registry.imports.context import Context, SchoolRow
from registry.orgs.models import School, SchoolFormerCode
from registry.regions.models import Level, Region

if TYPE_CHECKING:
    from registry.accounts.models import User


def context_for(user: User, *, date1904: bool = False) -> Context:
    """The world as this uploader's import sees it: schools of their scope, regions, today's date."""
    today = timezone.localdate()
    schools = {
        code: SchoolRow(pk, name, path, stage, closed=closed is not None and closed <= today)
        for pk, code, name, path, stage, closed in School.objects.visible_to(user).values_list(
            "pk", "code", "name", "region_path", "stage", "closed_on"
        )
    }
    all_codes = School.objects.values_list("code", flat=True)
    former = SchoolFormerCode.objects.values_list("code", "school__code")
    regions = Region.objects.values_list("code", "level")
    return Context(
        today=today,
        schools=schools,
        foreign_schools=frozenset(code for code in all_codes if code not in schools),
        void_schools=dict(former),
        regions=frozenset(code for code, _ in regions),
        complete=frozenset(code[:2] for code, level in regions if level == Level.COUNTY),
        date1904=date1904,
    )
