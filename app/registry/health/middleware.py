"""/livez and /healthz, answered before sessions, host checks and languages come into play."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.health.probes import look
from registry.web.addresses import from_management


class HealthMiddleware:
    """Answers the two health addresses; everything else passes through.

    /livez is for the balancer: this process answers, nothing else is asked, so that one shared fault does
    not drop every member. /healthz is for the release gate and monitoring: 200 or 503, with the detail for
    management networks only.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/livez":
            return HttpResponse("ok\n", content_type="text/plain", headers={"Cache-Control": "no-store"})
        if request.path == "/healthz":
            return self.health(request)
        return self.get_response(request)

    def health(self, request: HttpRequest) -> HttpResponse:
        """The JSON answer of /healthz."""
        result = look()
        body = result.as_dict() if from_management(request) else {"status": result.status}
        return JsonResponse(
            body, status=200 if result.healthy else 503, headers={"Cache-Control": "no-store"}
        )
