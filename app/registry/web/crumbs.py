"""Breadcrumbs along the region tree, from the user's own unit down."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from django.urls import reverse

from registry.regions.models import Region

if TYPE_CHECKING:
    from registry.accounts.models import User


class Crumb(NamedTuple):
    """One step; no address for a place the user may not open."""

    title: str
    address: str


def region_crumbs(user: User, region: Region) -> list[Crumb]:
    """The steps from the user's unit to `region`; for a school's account only the names above it."""
    codes = region.ancestor_codes()
    open_to_user = user.region is not None
    codes = codes[codes.index(user.region_id) :] if open_to_user else codes[1:]
    names = dict(Region.objects.filter(code__in=codes).values_list("code", "name"))
    return [
        Crumb(names[code], reverse("orgs:region", args=[code]) if open_to_user else "")
        for code in codes
        if code in names
    ]
