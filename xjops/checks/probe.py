"""The look at a host: one SSH round trip in which a small program reads everything the checks need.

`remote_probe.py` is sent as it is, runs as root with the host's own Python (3.8 or later) and prints JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from xjops.adapters import remote_program
from xjops.adapters.ssh import Fleet, UnreachableError
from xjops.core.errors import XjopsError
from xjops.site.model import Host, Site

SECONDS = 40.0


@dataclass(frozen=True)
class Facts:
    """What a host said; `values` is empty and `error` set when it could not be asked."""

    host: str
    time: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error: XjopsError | None = None


def command(questions: Mapping[str, Any]) -> str:
    """The shell command that runs the probe with its questions on a host."""
    return remote_program.command("xjops.checks", "remote_probe.py", questions)


def questions(site: Site, host: Host) -> dict[str, Any]:
    """What to ask this host: derived from the site and the host's groups."""
    mounts = [site.storage.mount_point] if {"web_servers", "packaging_servers"} & set(host.groups) else []
    return {
        "mounts": mounts,
        "database": site.database.model_dump(mode="json") if "database_servers" in host.groups else None,
        "balancer": "balancers" in host.groups,
        "names": [site.balancer.domain] if site.balancer.domain else [],
        "seconds": SECONDS / 4,
    }


def look(site: Site, hosts: Iterable[Host], *, brief: bool = False) -> dict[str, Facts]:
    """The facts of all `hosts`, by name; a host that can't be asked is asked once and says so.

    `brief`: only what database and balancer say.
    """
    with Fleet(site) as fleet:
        outputs = fleet.run(
            hosts, lambda host: command({**questions(site, host), "brief": brief}), seconds=SECONDS
        )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {name: _facts(name, now, output) for name, output in outputs.items()}


def _facts(name: str, now: str, output: Any) -> Facts:
    if output.error is not None:
        return Facts(name, now, error=output.error)
    try:
        return Facts(name, now, values=json.loads(output.stdout))
    except ValueError:
        last = (output.stderr or output.stdout).strip().splitlines()[-1:]
        why = f"the probe gave no answer on {name}: {''.join(last)[:200] or output.exit_code}"
        return Facts(name, now, error=UnreachableError(why, mend=f"python3 3.8+ and sudo -n on {name}"))
