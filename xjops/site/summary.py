"""A site in short: one line of the list, and everything as JSON values (secrets by name only)."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from xjops.core.errors import ConfigurationError
from xjops.site.addresses import address_plan
from xjops.site.loader import names
from xjops.site.model import Site

__all__ = ["Line", "as_data", "line", "names"]


class Line(BaseModel):
    """One site in the list; `problems` are the lines that loading it ended in."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    name: str
    title: str = ""
    kind: str = ""
    region: str = ""
    virtual_machines: int = 0
    physical_machines: int = 0
    problems: tuple[str, ...] = ()


def line(name: str) -> Line:
    """The site `name` in one line, also when it can't be loaded."""
    try:
        site = Site.load(name)
    except ConfigurationError as error:
        return Line(name=name, problems=error.problems or (str(error),))
    return Line(
        name=name,
        title=site.site.title,
        kind=site.site.kind,
        region=site.site.region,
        virtual_machines=len(site.virtual_machines),
        physical_machines=len(site.group("physical_machines")),
    )


def as_data(site: Site) -> dict[str, Any]:
    """Everything about `site` as JSON values; of secrets the names only."""
    data = site.model_dump(mode="json", exclude={"secrets", "folder"})
    plan = [
        {"address": str(claim.address), "owner": claim.owner, "side": claim.side}
        for claim in address_plan(site)
    ]
    return {**data, "folder": str(site.folder), "addresses": plan, "secrets": sorted(site.secrets)}
