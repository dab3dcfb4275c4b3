"""What every page may use."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """The node and the release for the footer."""
    return {"node": settings.REGISTRY_NODE, "release": settings.REGISTRY_RELEASE}
