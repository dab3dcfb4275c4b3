"""The checks by name: `@check("storage.mounted")` on a function of context and profile parameters."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from xjops.adapters.vcenter_model import Machine
from xjops.checks.probe import Facts
from xjops.checks.result import Evidence, Result
from xjops.core.errors import XjopsError
from xjops.site.model import Host, Site

Check = Callable[..., Iterable[Result]]
CHECKS: dict[str, Check] = {}


@dataclass(frozen=True)
class VCenterView:
    """What vCenter said, or why it could not be asked."""

    product: str = ""
    machines: Mapping[str, Machine] = field(default_factory=dict)
    error: XjopsError | None = None


@dataclass(frozen=True)
class Context:
    """What the checks look at: the site, every host's facts and vCenter's view, all seen in this run."""

    site: Site
    facts: Mapping[str, Facts]
    vcenter: VCenterView
    time: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    def evidence(self, host: Host | str, source: str, value: object) -> tuple[Evidence, ...]:
        """Evidence from one host (or from `control` or `vcenter`), with the time it was seen."""
        name = host if isinstance(host, str) else host.name
        seen = self.facts[name].time if name in self.facts else self.time
        return (Evidence(name, source, str(value), seen),)


def check(name: str) -> Callable[[Check], Check]:
    """Register a function as the check `name` of the profiles."""

    def register(function: Check) -> Check:
        CHECKS[name] = function
        return function

    return register


def known_checks() -> Mapping[str, Check]:
    """All checks; imports the modules of `xjops.checks.domains`."""
    package: Any = import_module("xjops.checks.domains")
    for module in pkgutil.iter_modules(package.__path__):
        import_module(f"{package.__name__}.{module.name}")
    return CHECKS
