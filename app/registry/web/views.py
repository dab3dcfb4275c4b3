"""Home."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from registry.orgs.views import region_page, school_page


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The page of the user's own unit."""
    if request.user.school is not None:
        return school_page(request, request.user.school.code)
    return region_page(request, request.user.region_id)
