"""Every address of the application; /livez and /healthz are answered earlier, by registry.health."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("", include("registry.web.urls")),
    path("", include("registry.accounts.urls")),
    path("", include("registry.orgs.urls")),
    path("students/", include("registry.students.urls")),
    path("imports/", include("registry.imports.urls")),
]
