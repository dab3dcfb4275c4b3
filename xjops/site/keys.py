"""Which keys an inventory may have: the schema's, a host's, Ansible's, vaulted ones, roles' variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from pydantic import BaseModel

from xjops.core import paths
from xjops.site import files, model
from xjops.site.inventory import Raw
from xjops.site.problems import Loc, Place, Places, Problem, similar, spell

SECTIONS: dict[str, type[BaseModel]] = {
    "site": model.Identity,
    "network": model.Network,
    "vcenter": model.VCenter,
    "database": model.Database,
    "storage": model.Storage,
    "balancer": model.Balancer,
    "bundle": model.Bundle,
    "registry": model.Registry,
}
# The inventory's names of a host's fields.
HOST_KEYS = {
    "address": "ansible_host",
    "user": "ansible_user",
    "port": "ansible_port",
    "public_address": "public_address",
    "os": "os",
    "cpus": "cpus",
    "memory_mb": "memory_mb",
    "disk_gb": "disk_gb",
}
SECRET = "vault_"  # noqa: S105 - how the names of vaulted values begin
JINJA = ("{{", "{%", "{#")


def templates(value: Any, places: Places, prefix: Loc, loc: Loc = ()) -> Iterator[Problem]:
    """Jinja in a site key: xjops reads values as they stand, so it is refused."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from templates(item, places, prefix, (*loc, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from templates(item, places, prefix, (*loc, index))
    elif isinstance(value, str) and any(mark in value for mark in JINJA):
        yield Problem(spell((*prefix, *loc)), places.at(loc), "Jinja in a site key", "write the value itself")


def loose(raw: Raw) -> Iterator[Problem]:
    """Keys that nobody reads, and site keys that a group or host overrides."""
    roles: set[str] | None = None
    seen: set[Place] = set()
    mine = (*SECTIONS, *HOST_KEYS.values())
    everywhere: Loc = ()
    for where, values, places in (
        (everywhere, raw.values, raw.places),
        *(((host.name,), host.values, host.places) for host in raw.hosts),
    ):
        for key in values:
            place = places.at((key,))
            if place in seen or key.startswith(("ansible_", SECRET)) or key in HOST_KEYS.values():
                continue
            seen.add(place)
            if key in SECTIONS:
                if where and values[key] != raw.values.get(key):
                    what, mend = "a site key below a group or host", "move it to group_vars/all/site.yml"
                    yield Problem(spell((*where, key)), place, what, mend)
                continue
            roles = role_variables() if roles is None else roles
            if key not in roles:
                mend = (
                    similar(key, (*mine, *sorted(roles)))
                    or "remove it, or declare it in a role's argument_specs"
                )
                yield Problem(spell((*where, key)), place, "unknown key", mend)


def role_variables() -> set[str]:
    """The variables that the roles declare in meta/argument_specs.yml."""
    found: set[str] = set()
    for path in sorted((paths.project() / "roles").glob("*/meta/argument_specs.yml")):
        # A safe loader, whichever of the two it is.
        specs = yaml.load(path.read_text(encoding="utf-8"), Loader=files.LOADER) or {}  # noqa: S506
        for entry in specs.get("argument_specs", {}).values():
            found |= set(entry.get("options") or {})
    return found
