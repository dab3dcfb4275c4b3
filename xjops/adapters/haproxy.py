"""HAProxy by its runtime API: over SSH to the UNIX socket of each balancer host, never a TCP socket.

Format of the answers: Management Guide of HAProxy 2.6, 9.1 (`show stat`) and 9.3 (`show servers state`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from xjops.adapters import remote_program
from xjops.adapters.balancing import BalancerError, Health, Member, State, UnreachableBalancerError
from xjops.adapters.ssh import Fleet
from xjops.site.model import Host, Site

BACKEND = "registry"  # as roles/load_balancer names it
SOCKET = "/run/haproxy/admin.sock"
KEEP = "/usr/local/sbin/haproxy-keep-states"  # of the role, too
ANSWER_SECONDS, CALL_SECONDS = 5.0, 40.0
ROLE = "xjops apply --limit balancers --tags load_balancer"
WORDS = {State.ENABLED: "ready", State.DRAINING: "drain", State.DISABLED: "maint"}
# Bits of srv_admin_state: maintenance (forced, inherited, configured, no address); drain (forced, inherited).
MAINTENANCE, DRAIN = 0x01 | 0x02 | 0x04 | 0x20, 0x08 | 0x10
STOPPED = "0"  # of srv_op_state


class HAProxyError(BalancerError):
    """HAProxy refused a command, or its answer can't be read."""


class HAProxy:
    """The members of one balancer host. `fleet` holds its SSH connection and outlives this object."""

    mend_members = f"{ROLE} --full"  # the role writes them into haproxy.cfg
    makes_members = False

    def __init__(self, site: Site, host: Host, fleet: Fleet) -> None:
        self.name = host.name
        self._host, self._fleet = host, fleet
        self._names = {str(machine.address): machine.name for machine in site.hosts}

    def members(self) -> tuple[Member, ...]:
        """The servers of the backend. Raises `UnreachableBalancerError` and `HAProxyError`."""
        states, statistics = self._call([f"show servers state {BACKEND}", "show stat"])
        try:
            return parse(states, statistics, self._names)
        except (KeyError, ValueError, IndexError) as error:
            said = " ".join(states.split())[:120] or "nothing"
            raise HAProxyError(
                f"{self.name}: HAProxy's answer can't be read ({type(error).__name__}: {error}): {said}",
                mend=ROLE,
            ) from None

    def set_state(self, ids: Sequence[str], state: State) -> None:
        """Bring servers to `state`, kept over reloads and restarts; one round trip for all."""
        commands = [f"set server {BACKEND}/{item} state {WORDS[state]}" for item in ids]
        answers = self._call(commands, keep=[KEEP])
        refused = [
            f"{item}: {answer.strip()}" for item, answer in zip(ids, answers, strict=True) if answer.strip()
        ]
        if refused:
            raise HAProxyError(
                f"{self.name}: HAProxy refused {state}: {'; '.join(refused)}", mend="xjops lb status"
            )

    def reshape(self, add: Sequence[tuple[str, str, int]], remove: Sequence[Member]) -> None:
        """Not here: the role writes the members. Raises `HAProxyError`."""
        raise HAProxyError(
            f"{self.name}: HAProxy's members are written by the role load_balancer", mend=self.mend_members
        )

    def problems(self) -> tuple[tuple[str, str], ...]:
        """Nothing: the role writes frontend and backend together."""
        return ()

    def _call(self, commands: Sequence[str], keep: Sequence[str] = ()) -> list[str]:
        order = {"socket": SOCKET, "seconds": ANSWER_SECONDS, "commands": list(commands), "keep": list(keep)}
        command = remote_program.command("xjops.adapters", "haproxy_call.py", order)
        output = self._fleet.run([self._host], command, seconds=CALL_SECONDS)[self._host.name]
        if output.error is not None:
            raise UnreachableBalancerError(output.error.what, mend=output.error.mend)
        try:
            answer: dict[str, Any] = json.loads(output.stdout)
        except ValueError:
            last = (output.stderr or output.stdout).strip().splitlines()[-1:]
            raise UnreachableBalancerError(
                f"{self.name} gave no answer: {''.join(last)[:200] or f'exit code {output.exit_code}'}",
                mend=f"python3 3.8+ and sudo -n on {self.name}",
            ) from None
        if "missing" in answer:
            raise HAProxyError(
                f"{self.name} has no {answer['missing']}, so a reload of HAProxy would forget this", mend=ROLE
            )
        if "unkept" in answer:
            raise HAProxyError(
                f"{self.name}: done, but not written down for the next reload: {answer['unkept']}",
                mend=f"on {self.name}: sudo {KEEP}",
            )
        if "error" in answer:
            raise UnreachableBalancerError(
                f"HAProxy on {self.name} can't be asked: {answer['error']}",
                mend=f"on {self.name}: systemctl status haproxy",
            )
        return [str(item) for item in answer["answers"]]


def parse(states: str, statistics: str, names: Mapping[str, str]) -> tuple[Member, ...]:
    """The members out of `show servers state` and `show stat`; `names` has the site's hosts by address.

    Columns are taken by their names, because versions add some. Raises KeyError, ValueError or IndexError for
    what is no such answer.
    """
    version, header, *rows = [line for line in states.splitlines() if line.strip()]
    if version.strip() != "1":
        raise ValueError(f"format {version.strip()[:40]!r} is not known")
    columns = header.lstrip("# ").split()
    lines = csv.DictReader(io.StringIO(statistics.lstrip("# \n")))
    figures = {line["svname"]: line for line in lines if line["pxname"] == BACKEND}
    found = []
    for row in rows:
        server = dict(zip(columns, row.split(), strict=False))
        if server["be_name"] == BACKEND:
            found.append(_member(server, figures[server["srv_name"]], names))
    return tuple(found)


def _member(server: Mapping[str, str], figures: Mapping[str, str], names: Mapping[str, str]) -> Member:
    bits = int(server["srv_admin_state"])
    state = State.DISABLED if bits & MAINTENANCE else State.DRAINING if bits & DRAIN else State.ENABLED
    seen = " ".join(
        filter(None, (figures.get(key, "").removeprefix("* ") for key in ("check_status", "last_chk")))
    )
    health, reason = Health.UP, ""
    if state is State.DISABLED:
        health, reason = Health.UNKNOWN, "not looked at while disabled"
    elif figures["status"] == "no check":
        health, reason = Health.UNKNOWN, "no health check"
    elif server["srv_op_state"] == STOPPED:
        health, reason = Health.DOWN, seen or "health check failed"
    return Member(
        id=server["srv_name"],
        name=names.get(server["srv_addr"], server["srv_name"]),
        address=server["srv_addr"],
        port=int(server["srv_port"]),
        state=state,
        health=health,
        reason=reason,
        # waiting ones were given to this very server already
        sessions=int(figures["scur"] or 0) + int(figures["qcur"] or 0),
    )
