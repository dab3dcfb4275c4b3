"""Upload, the list of jobs, a job's page with live progress, the workbook of rejected rows, the template."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_POST, require_safe

from registry.accounts.audit import record
from registry.accounts.models import Action
from registry.imports import submit
from registry.imports.container import too_large
from registry.imports.errors import WorkbookError
from registry.imports.forms import ROOM, UploadForm
from registry.imports.limits import limit
from registry.imports.models import ImportJob
from registry.imports.steps import steps_of
from registry.imports.template_file import template_workbook
from registry.students.fields import default_template, templates
from registry.web.paging import page_of

if TYPE_CHECKING:
    from collections.abc import Callable

ORDERING = ("-created_at", "-id")
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def registrars_only(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Everybody who can't import gets 404, as for a page that isn't there."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.may_import:
            raise Http404
        return view(request, *args, **kwargs)

    return guarded


def _job(request: HttpRequest, public_id: UUID) -> ImportJob:
    rows = ImportJob.objects.visible_to(request.user).select_related("uploader")
    return get_object_or_404(rows, public_id=public_id)


@never_cache
@require_safe
@registrars_only
def job_list(request: HttpRequest) -> HttpResponse:
    """The upload form and the jobs of the user's subtree, newest first; htmx gets further rows alone."""
    jobs = ImportJob.objects.visible_to(request.user).select_related(
        "uploader", "uploader__school", "uploader__region"
    )
    page = page_of(jobs, ORDERING, request.GET.get("after", ""))
    if request.htmx and request.GET.get("after"):
        return render(request, "imports/rows.html", {"page": page})
    return render(request, "imports/list.html", _list_context(page, UploadForm()))


def _list_context(page: Any, form: UploadForm) -> dict[str, Any]:
    return {
        "page": page,
        "form": form,
        "templates": templates().values(),
        "default_template": default_template(),
        "max_bytes": limit("IMPORT_MAX_BYTES"),
        "max_megabytes": limit("IMPORT_MAX_BYTES") // 1024**2,
        "max_rows": limit("IMPORT_MAX_ROWS"),
    }


@csrf_exempt  # the token stands in the body, which isn't read when it is too large; `_upload` checks it
@require_POST
@registrars_only
def upload(request: HttpRequest) -> HttpResponse:
    """Take in a workbook; one that announces too many bytes is refused before it is read."""
    request.upload_handlers = [TemporaryFileUploadHandler(request)]
    announced = int(request.META.get("CONTENT_LENGTH") or 0)
    if announced > limit("IMPORT_MAX_BYTES") + ROOM:
        return _refused(request, str(too_large(announced)))
    return _upload(request)


@csrf_protect
def _upload(request: HttpRequest) -> HttpResponse:
    form = UploadForm(request.POST, request.FILES)
    if not form.is_valid():
        return _refused(request, " ".join(error for errors in form.errors.values() for error in errors))
    file = form.cleaned_data["file"]
    try:
        job, created = submit.submit(
            file, file.name, request.user, accept_good=form.cleaned_data["accept_good"] == "yes"
        )
    except WorkbookError as error:
        return _refused(request, f"{file.name}：{error}")
    if not created:
        messages.info(request, _("这个文件以前上传过，这里是它的处理结果。"))
    address = reverse("imports:job", args=[job.public_id])
    return JsonResponse({"address": address}) if _by_script(request) else redirect(address)


def _refused(request: HttpRequest, text: str) -> HttpResponse:
    """One line that says what is wrong: to the script that sent the file, or on top of the list."""
    if _by_script(request):
        return JsonResponse({"error": text}, status=422)
    messages.error(request, text)
    return redirect("imports:list")


def _by_script(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "XMLHttpRequest"


@never_cache
@require_safe
@registrars_only
def job_page(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """One job: progress while it runs, then what came of it."""
    job = _job(request, public_id)
    return render(request, "imports/job.html", {"job": job, "steps": steps_of(job)})


@never_cache
@require_safe
@registrars_only
def job_progress(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The progress card alone, polled by htmx; a finished job asks for the whole page again."""
    job = _job(request, public_id)
    response = render(request, "imports/progress.html", {"job": job, "steps": steps_of(job)})
    if job.finished:
        response.headers["HX-Refresh"] = "true"
    return response


@never_cache
@require_safe
@registrars_only
def job_report(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """The workbook of rejected rows; every download is in the audit log."""
    job = _job(request, public_id)
    if job.report is None or not job.report.exists():
        raise Http404
    record(
        Action.DOWNLOAD,
        request,
        user=request.user,
        target=f"import:{job.pk}",
        detail=f"rejected rows: {job.rejected_rows}",
    )
    name = f"退回-{job.file_name.removesuffix('.xlsx')}"
    if not settings.ACCEL_REDIRECT:
        return _download(FileResponse(job.report.open("rb")), name)
    path = quote(f"{settings.ACCEL_REDIRECT}{job.report_path}")
    return _download(HttpResponse(headers={"X-Accel-Redirect": path}), name)


@require_safe
@registrars_only
def template(request: HttpRequest, version: str) -> HttpResponse:
    """The collection template of one version as a workbook."""
    found = templates().get(version)
    if found is None:
        raise Http404
    return _download(HttpResponse(template_workbook(found)), f"{_('学生信息采集模板')}-{found.version}")


def _download(response: HttpResponse, name: str) -> HttpResponse:
    """The response as a workbook that the browser saves as `name`.xlsx."""
    response.headers["Content-Type"] = XLSX
    response.headers["Content-Disposition"] = content_disposition_header(True, f"{name}.xlsx")
    return response


@require_POST
@registrars_only
def job_accept(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Let the good rows of a rejected job in."""
    return _attempt(request, public_id, submit.accept, _("这个任务已不能再入库。"))


@require_POST
@registrars_only
def job_cancel(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Stop a job that has written nothing yet."""
    return _attempt(request, public_id, submit.cancel, _("已经开始入库，不能取消。"))


def _attempt(
    request: HttpRequest, public_id: UUID, act: Callable[[ImportJob], bool], too_late: str
) -> HttpResponse:
    job = _job(request, public_id)
    if not act(job):
        messages.warning(request, too_late)
    return redirect("imports:job", public_id=job.public_id)


@require_POST
@registrars_only
def job_retry(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Check a job that came to nothing again, from the first row."""
    job = _job(request, public_id)
    submit.start_over(job, accept_good=job.accept_good)
    return redirect("imports:job", public_id=job.public_id)
