"""The tree of regions and schools with their counts."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from registry.orgs.models import School, Stage
from registry.regions.models import Level, Region
from registry.scope import subtree
from registry.statistics.services import Totals, totals, totals_by_path
from registry.students.models import HOLDS_NUMBER, Student
from registry.web.crumbs import region_crumbs
from registry.web.paging import page_of


@dataclass(frozen=True)
class RegionRow:
    """A region below the one shown, with its sums."""

    region: Region
    totals: Totals


@require_safe
def region_page(request: HttpRequest, code: str) -> HttpResponse:
    """A region: its sums, the regions below it, the schools that it manages itself."""
    region = get_object_or_404(Region.objects.visible_to(request.user), code=code)
    schools = School.objects.visible_to(request.user).filter(subtree(region.path), closed_on__isnull=True)
    sums = totals_by_path(schools, len(region.path) + 6)
    rows = [
        RegionRow(child, sums.get(child.path, Totals()))
        for child in region.children.in_force()
        if child.path in sums or region.level != Level.MINISTRY
    ]
    context = {
        "region": region,
        "totals": totals(schools),
        "rows": rows,
        "largest": max((row.totals.students for row in rows), default=0),
        "schools": schools.filter(region=region).select_related("count").order_by("name"),
        "crumbs": region_crumbs(request.user, region),
    }
    return render(request, "orgs/region.html", context)


@require_safe
def school_list(request: HttpRequest) -> HttpResponse:
    """The schools of the user's subtree, by part of the name or beginning of the code."""
    schools = School.objects.visible_to(request.user).select_related("region", "count")
    words = request.GET.get("q", "").strip()
    if words:
        schools = schools.filter(Q(name__icontains=words) | Q(code__startswith=words))
    stage = request.GET.get("stage", "")
    if stage in Stage.values:
        schools = schools.filter(stage=stage)
    page = page_of(schools, ("code",), request.GET.get("after", ""))
    context = {"page": page, "schools": page.rows, "q": words, "stage": stage, "stages": Stage.choices}
    if request.htmx and not request.htmx.history_restore_request:
        rows = "orgs/school_rows.html" if request.GET.get("after") else "orgs/school_results.html"
        return render(request, rows, context)
    return render(request, "orgs/schools.html", context)


@require_safe
def school_page(request: HttpRequest, code: str) -> HttpResponse:
    """A school: its sums, and its classes for those who do registry business."""
    school = get_object_or_404(
        School.objects.visible_to(request.user).select_related("region", "count"), code=code
    )
    students = Student.objects.visible_to(request.user).filter(school=school, status__in=HOLDS_NUMBER)
    classes = (
        students.order_by("grade", "class_number")
        .values("grade", "class_number")
        .annotate(students=Count("pk"), girls=Count("pk", filter=Q(sex="2")))
    )
    context = {
        "school": school,
        "totals": getattr(school, "count", None) or Totals(),
        "classes": list(classes),
        "campuses": school.campuses.all(),
        "crumbs": region_crumbs(request.user, school.region),
    }
    return render(request, "orgs/school.html", context)
