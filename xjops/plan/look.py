"""One look at a whole site: vCenter, every host's ledger and facts, and from that what is to be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from xjops import provision
from xjops.adapters.ssh import Fleet
from xjops.bundle.build import default_folder
from xjops.checks import probe
from xjops.checks.probe import Facts
from xjops.core.errors import ExitCode, NotRunError, XjopsError
from xjops.ledger.compare import Due, Why, due
from xjops.ledger.inputs import wanted
from xjops.ledger.look import Seen
from xjops.ledger.look import look as look_at_ledgers
from xjops.site.model import Host, Site

APPLICATION = ("web_servers", "packaging_servers", "scheduling_servers")
TALKATIVE = ("database_servers", "balancers")
RELEASE = (
    "/opt/registry/current"  # leads to the application's release (docs/decisions/0005-release-folders.md)
)


@dataclass(frozen=True)
class Machines:
    """vCenter's part: what is to be done to machines that aren't as planned, or why nobody knows."""

    summary: str = ""
    changes: tuple[tuple[str, str], ...] = ()
    problems: tuple[str, ...] = ()
    error: XjopsError | None = None


@dataclass(frozen=True)
class Look:
    """What was seen of a site; `due`: the steps that have to run on the hosts that could be asked."""

    site: Site
    machines: Machines
    hosts: dict[str, Seen]
    facts: dict[str, Facts]
    due: tuple[Due, ...]

    @property
    def unreachable(self) -> dict[str, XjopsError]:
        """Hosts that couldn't be asked, with the reason."""
        return {name: seen.error for name, seen in self.hosts.items() if seen.error is not None}

    @property
    def nothing_to_do(self) -> bool:
        """Whether everything was seen, and all of it is as planned."""
        machines = self.machines
        return not (machines.changes or machines.problems or machines.error or self.due or self.unreachable)

    @property
    def exit_code(self) -> ExitCode:
        """0 nothing to do, 3 something to do, 4 a part couldn't be seen, 1 a problem stands in the way."""
        if self.machines.problems:
            return ExitCode.FAIL
        if self.machines.error or self.unreachable:
            return ExitCode.NOT_RUN
        return ExitCode.OK if self.nothing_to_do else ExitCode.WARN

    @property
    def digest(self) -> str:
        """What a saved plan stands for; `apply FILE` refuses when a new look has another."""
        dues = [[item.host, item.step, item.why.value, item.inputs, asdict_drift(item)] for item in self.due]
        seen = [self.site.name, self.machines.changes, sorted(self.unreachable), dues]
        return hashlib.sha256(json.dumps(seen, sort_keys=True).encode()).hexdigest()

    @property
    def summary(self) -> dict[str, Any]:
        """How much was seen and how much is to be done (JSON values); `machines` None: vCenter not asked."""
        machines = self.machines
        return {
            "hosts": {
                "seen": len(self.hosts) - len(self.unreachable),
                "unreachable": len(self.unreachable),
                "differ": len({item.host for item in self.due}),
            },
            "due": {why.value: sum(item.why is why for item in self.due) for why in Why},
            "machines": None if machines.error else len(machines.changes),
            "problems": len(machines.problems),
        }

    def of(self, host: str) -> list[Due]:
        """The steps that have to run on a host."""
        return [item for item in self.due if item.host == host]

    def as_data(self) -> dict[str, Any]:
        """JSON values (schema in docs/reference/plan.md)."""
        return {
            "schema": 1,
            "site": self.site.name,
            "digest": self.digest,
            "exit_code": int(self.exit_code),
            "summary": self.summary,
            "vcenter": {
                "summary": self.machines.summary,
                "changes": dict(self.machines.changes),
                "problems": list(self.machines.problems),
                "error": str(self.machines.error) if self.machines.error else None,
            },
            "parts": parts(self),
            "hosts": [
                {
                    "name": name,
                    "error": str(seen.error) if seen.error else None,
                    "due": [
                        {
                            "step": item.step,
                            "why": item.why.value,
                            "inputs": list(item.inputs),
                            "drift": asdict_drift(item),
                        }
                        for item in self.of(name)
                    ],
                }
                for name, seen in self.hosts.items()
            ],
        }


def asdict_drift(item: Due) -> list[dict[str, Any]]:
    """The drift of a step as JSON values."""
    return [asdict(drift) for drift in item.drift]


def look(
    site: Site,
    hosts: Sequence[Host] | None = None,
    *,
    no_vcenter: str = "",
    machines: bool = True,
    facts: bool = True,
) -> Look:
    """See everything at once, change nothing. Raises `ConfigurationError` for an unreadable playbook.

    `no_vcenter`: why there is none here. `machines`: ask vCenter, too; `facts`: ask what database, balancer
    and application say of themselves.
    """
    chosen = list(site.hosts if hosts is None else hosts)
    talkative = [host for host in chosen if facts and set(TALKATIVE) & set(host.groups)]
    with ThreadPoolExecutor(3) as pool, Fleet(site) as fleet:
        asked = pool.submit(_machines, site, chosen if machines else [], no_vcenter)
        said = pool.submit(probe.look, site, talkative, brief=True)
        wants = pool.submit(wanted, site.name, site.folder, default_folder())
        ledgers = look_at_ledgers(fleet, chosen, [RELEASE] if facts else [])
        names = {host.name for host in chosen}
        steps = tuple(item for item in due(wants.result(), ledgers) if item.host in names)
        seen = {host.name: ledgers[host.name] for host in chosen}
        return Look(site, asked.result(), seen, said.result(), steps)


def _machines(site: Site, hosts: Sequence[Host], no_vcenter: str) -> Machines:
    names = [host.name for host in hosts if host in site.virtual_machines]
    if not names:
        return Machines("no virtual machine among the chosen hosts")
    try:
        if no_vcenter:
            raise NotRunError(no_vcenter)
        plan = provision.plan(site, names)
    except XjopsError as error:
        return Machines(error=error)
    changes = tuple((change.name, change.action.value) for change in plan.changes)
    return Machines(plan.summary, changes, tuple(problem.text for problem in plan.problems))


def parts(seen: Look) -> dict[str, str]:
    """What the parts of the site say of themselves, a line each: database, balancer, application."""
    told: dict[str, str] = {}
    for name, facts in seen.facts.items():
        values = facts.values
        database, balancer = values.get("database"), values.get("balancer")
        if database:
            told[f"database {name}"] = database.get("error") or _database(database)
        if balancer:
            members = balancer.get("members", [])
            up = [member for member in members if member["status"].startswith("UP")]
            told[f"balancer {name}"] = balancer.get("error") or f"{len(up)} of {len(members)} members up"
    releases: dict[str, list[str]] = {}
    for host in seen.site.hosts:
        if host.name in seen.hosts and set(APPLICATION) & set(host.groups):
            link = seen.hosts[host.name].links.get(RELEASE)
            if link is not None:
                releases.setdefault(PurePosixPath(link).name or "no release", []).append(host.name)
    if releases:
        told["application"] = "; ".join(f"{name} on {len(on)} hosts" for name, on in sorted(releases.items()))
    return told


def _database(answer: dict[str, Any]) -> str:
    if "status" in answer:
        return " ".join(str(answer["status"]).split())
    role = "standby" if answer["standby"] else f"primary, {answer['streaming']} standbys streaming"
    return f"PostgreSQL {answer['version'].split()[0]}, {role}"
