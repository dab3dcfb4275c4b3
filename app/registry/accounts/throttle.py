"""Login throttling from the audit log: no other store is needed, and every web server sees the same."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.utils import timezone

from registry.accounts.models import Action, AuditEntry


def is_blocked(username: str, address: str) -> bool:
    """Whether this account or this address failed too often within the window.

    An account's failures count since its last success; an address's do not: one known account must not
    wipe out the traces of guessing at others.
    """
    since = timezone.now() - dt.timedelta(minutes=settings.LOGIN_FAILURES_WINDOW_MINUTES)
    recent = AuditEntry.objects.filter(at__gte=since)
    failures = recent.filter(action=Action.LOGIN_FAILED)
    own = failures.filter(username=username[:40])
    success = (
        recent.filter(username=username[:40], action=Action.LOGIN)
        .order_by("-at")
        .values_list("at", flat=True)
        .first()
    )
    if success is not None:
        own = own.filter(at__gt=success)
    if own.count() >= settings.LOGIN_FAILURES_PER_ACCOUNT:
        return True
    return bool(address) and failures.filter(address=address).count() >= settings.LOGIN_FAILURES_PER_ADDRESS
