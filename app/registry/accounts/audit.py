"""Writing the audit log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.http import HttpRequest

from registry.accounts.models import Action, AuditEntry
from registry.web.addresses import client_address

if TYPE_CHECKING:
    from registry.accounts.models import User


def record(
    action: Action,
    request: HttpRequest | None,
    *,
    user: User | None = None,
    username: str = "",
    target: str = "",
    detail: str = "",
) -> AuditEntry:
    """Write one entry, in the caller's transaction: what isn't recorded doesn't happen.

    `target` names the object as `model:id`, never by personal data. Over-long values are cut.
    """
    return AuditEntry.objects.create(
        action=action,
        user=user,
        username=(username or (user.username if user else ""))[:40],
        address=client_address(request) if request is not None else "",
        target=target[:60],
        detail=detail[:200],
        node=settings.REGISTRY_NODE[:64],
    )
