"""What every page may use."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _


class Entry(NamedTuple):
    """One entry of the main menu."""

    title: str
    address: str
    icon: str
    active: bool


def site(request: HttpRequest) -> dict[str, Any]:
    """The node and the release for the footer, and the menu that the account may use."""
    return {
        "node": settings.REGISTRY_NODE,
        "release": settings.REGISTRY_RELEASE,
        "menu": SimpleLazyObject(lambda: menu(request)),
    }


def menu(request: HttpRequest) -> list[Entry]:
    """The main menu: system administrators get no registry business."""
    user = request.user
    match = request.resolver_match
    here = match.view_name if match else ""

    def entry(title: str, view: str, *others: str, icon: str) -> Entry | None:
        try:
            return Entry(title, reverse(view), icon, here == view or here.startswith(others or (view,)))
        except NoReverseMatch:
            return None

    found = [entry(_("首页"), "web:home", "orgs:region", icon="home")]
    if user.school_id is None:
        found.append(entry(_("学校"), "orgs:schools", "orgs:school", icon="building-community"))
    if user.does_registry_business:
        found.append(entry(_("学生"), "students:list", "students:", icon="users"))
        if user.may_import:
            found.append(entry(_("导入"), "imports:list", "imports:", icon="table-import"))
    else:
        found.append(entry(_("审计日志"), "accounts:audit", icon="shield-check"))
    return [one for one in found if one is not None]
