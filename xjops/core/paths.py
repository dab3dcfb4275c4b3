"""Where things are: one place for every folder, each movable by an environment variable.

| folder | variable | default | holds |
|---|---|---|---|
| project | `XJOPS_PROJECT` | the checkout | playbooks, roles, inventories |
| inventories | `XJOPS_INVENTORIES` | `<project>/inventories` | one folder a site |
| cache | `XJOPS_CACHE` | `~/.cache/xjops` | what can be fetched or built again |
| bundle | `XJOPS_BUNDLE` | `<cache>/bundle` | the offline bundle (`xjops.bundle.build.default_folder`) |
| state | `XJOPS_STATE` | `~/.local/state/xjops` | one folder a site: keys, journal, logs, reports |
"""

from __future__ import annotations

import os
from pathlib import Path


def _folder(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default).expanduser().absolute()


def project() -> Path:
    """The checkout: playbooks/, roles/, inventories/ and app/ are below it."""
    return _folder("XJOPS_PROJECT", Path(__file__).parents[2])


def inventories() -> Path:
    """The folder that has one folder a site."""
    return _folder("XJOPS_INVENTORIES", project() / "inventories")


def cache(*, make: bool = True) -> Path:
    """What can be fetched or built again: base image, packages, wheels, simulator. Made when missing."""
    path = _folder("XJOPS_CACHE", Path("~/.cache/xjops"))
    if make:
        path.mkdir(parents=True, exist_ok=True)
    return path


def state(site: str) -> Path:
    """What belongs to one site on this control node (0700): keys, known hosts, journal, logs, reports."""
    path = _folder("XJOPS_STATE", Path("~/.local/state/xjops")) / site
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
