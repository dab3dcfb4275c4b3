"""The one scope rule: a unit sees its own subtree and nothing else.

Regions form a tree; each region's `path` is the concatenation of the six-digit codes from its province
down to itself (`610000`, `610000610100`, …), and the root (the ministry) has the empty path. Because a
path is digits only, "everything below" is a plain range on an ordinary index in every database and
collation. Schools and students carry a copy of their region's path (docs/decisions/0010-scope-by-path.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from django.db.models import Q, QuerySet

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User

DEEPEST = 18  # digits in a county's path

Rows = TypeVar("Rows", bound="QuerySet[Any]")


def subtree(path: str, field: str = "region_path") -> Q:
    """The condition "at `path` or below" on the path column `field`; the empty path is the whole country."""
    if not path:
        return Q()
    if len(path) == DEEPEST:  # a county has nothing below it: equality lets composite indexes do more
        return Q(**{field: path})
    return Q(**{f"{field}__gte": path, f"{field}__lt": path_end(path)})


def path_end(path: str) -> str:
    """The first path after the subtree of `path` (digits of the same length)."""
    return str(int(path) + 1).zfill(len(path))


def is_within(path: str, ancestor: str) -> bool:
    """Whether `path` lies at or below `ancestor`."""
    return path.startswith(ancestor)


def limit_to_unit(rows: Rows, user: User | AnonymousUser, *, path: str, school: str | None) -> Rows:
    """Those of `rows` that lie within the user's unit; none for anonymous and inactive users.

    `path` and `school` name the columns that hold the region path and the school's id; `school=None`
    means the rows are regions: a school's account sees the regions above nothing, so none.
    """
    if not user.is_authenticated or not user.is_active:
        return rows.none()
    if user.school_id is not None:
        return rows.filter(**{school: user.school_id}) if school else rows.none()
    if user.region is None:
        return rows.none()
    return rows.filter(subtree(user.region.path, path))
