"""Searching students, the student page, the photo, and showing what is masked."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from django.conf import settings
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from registry.accounts.audit import record
from registry.accounts.models import Action
from registry.orgs.models import School
from registry.students.details import Details
from registry.students.models import Student
from registry.students.search import BY_CLASS, LATEST, search
from registry.web.crumbs import region_crumbs

PHOTOS = "photos"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def student_list(request: HttpRequest) -> HttpResponse:
    """Students within `school`, `grade` and `class` when given; POST finds those that the words `q` name.

    Words and cursors are posted although nothing changes: they hold names and id numbers, which must stay
    out of addresses, and so out of logs and browser histories. htmx gets the results or the rows alone.
    """
    if not request.user.does_registry_business:
        raise Http404
    asked = request.POST if request.method == "POST" else request.GET
    words, after = request.POST.get("q", ""), request.POST.get("after", "")
    students = Student.objects.visible_to(request.user).select_related("school")
    filters = {name: asked.get(name, "").strip() for name in ("school", "grade", "class")}
    school = None
    if filters["school"]:
        school = get_object_or_404(School.objects.visible_to(request.user), code=filters["school"])
        students = students.filter(school=school)
    if filters["grade"]:
        students = students.filter(grade=filters["grade"])
    if filters["class"]:
        students = students.filter(class_number=filters["class"])
    found = search(students, words, after, browse=BY_CLASS if school else LATEST)
    context = {"found": found, "page": found.page, "q": words, "school": school, "filters": filters}
    if request.htmx and not request.htmx.history_restore_request:
        return render(request, "students/rows.html" if after else "students/results.html", context)
    return render(request, "students/list.html", context)


def _student(request: HttpRequest, pk: int) -> Student:
    """The student, if it is in the user's unit; everybody else gets 404 and learns nothing."""
    rows = Student.objects.visible_to(request.user).select_related("school__region")
    return get_object_or_404(rows, pk=pk)


@never_cache
@require_safe
def student_page(request: HttpRequest, pk: int) -> HttpResponse:
    """All fields of one student, personal numbers masked."""
    student = _student(request, pk)
    context = {
        "student": student,
        "details": Details(student),
        "crumbs": region_crumbs(request.user, student.school.region),
    }
    return render(request, "students/page.html", context)


@never_cache
@require_POST
@transaction.atomic
def student_reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """The fields with nothing masked; every such look is in the audit log."""
    student = _student(request, pk)
    record(
        Action.REVEAL, request, user=request.user, target=f"student:{student.pk}", detail=student.school.code
    )
    context = {"student": student, "details": Details(student, revealed=True), "revealed": True}
    return render(request, "students/details.html", context)


@require_safe
def student_photo(request: HttpRequest, pk: int) -> HttpResponse:
    """The photo from the shared storage: by nginx (X-Accel-Redirect) in a deployment, by Django otherwise."""
    photo = _student(request, pk).photo
    root = settings.SHARED_ROOT / PHOTOS
    path = (root / photo).resolve() if photo else root
    if not photo or not path.is_relative_to(root.resolve()):
        raise Http404
    if settings.ACCEL_REDIRECT:
        inside = quote(str(Path(PHOTOS) / photo))
        response = HttpResponse(
            headers={"X-Accel-Redirect": settings.ACCEL_REDIRECT.rstrip("/") + "/" + inside}
        )
    else:
        try:
            response = FileResponse(path.open("rb"))
        except OSError as error:
            raise Http404 from error
    response.headers["Content-Type"] = "image/png" if path.suffix == ".png" else "image/jpeg"
    response.headers["Cache-Control"] = "private, max-age=600"
    return response
