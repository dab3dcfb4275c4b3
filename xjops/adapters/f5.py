"""F5 BIG-IP as a balancer: one pool of the Local Traffic Manager, by iControl REST.

Words of the BIG-IP (F5's "iControl REST API User Guide" and K13310): session `user-enabled` and state
`user-up` is in service; session `user-disabled` takes no new connection but those of a persistence record;
state `user-down` ("forced offline") takes none at all. What was changed is saved, so a reboot keeps it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from xjops.adapters.balancing import BalancerError, Health, Member, State
from xjops.adapters.f5_session import F5Error, LostAnswerError, Request, Session
from xjops.site.model import Site

STATES = {
    State.ENABLED: {"session": "user-enabled", "state": "user-up"},
    State.DRAINING: {"session": "user-disabled", "state": "user-up"},
    State.DISABLED: {"session": "user-disabled", "state": "user-down"},
}
HEALTH = {"available": Health.UP, "offline": Health.DOWN, "unavailable": Health.DOWN}
COMMIT_SECONDS = 60.0
SAVE_SECONDS = 120.0  # writes the whole configuration
TRANSACTIONS = "/tm/transaction"


def path_of(kind: str, partition: str, name: str) -> str:
    """The address of an object: slashes of its full name become tildes, all else is percent-encoded."""
    words = "~".join(quote(word, safe="") for word in f"{partition}/{name}".strip("/").split("/"))
    return f"{kind}/~{words}"


class BigIP:
    """The pool's members. `session` outlives this object."""

    mend_members = "xjops lb apply"
    makes_members = True

    def __init__(self, site: Site, session: Session) -> None:
        balancer = site.balancer
        self.name = f"f5 {balancer.management_address}"
        self._site, self._session = site, session
        self._partition, self._pool_name = balancer.partition, balancer.pool or ""
        self._pool = path_of("/tm/ltm/pool", self._partition, self._pool_name)
        self._names = {str(machine.address): machine.name for machine in site.hosts}

    def members(self) -> tuple[Member, ...]:
        """The pool's members with what the monitor says. Raises the errors of `Session.call`."""
        fields = "name,fullPath,partition,address,session,state"
        listed = self._session.get(f"{self._pool}/members", **{"$select": fields}).get("items", [])
        figures = dict(_statistics(self._session.get(f"{self._pool}/members/stats")))
        return tuple(self._member(item, figures.get(item["fullPath"], {})) for item in listed)

    def set_state(self, ids: Sequence[str], state: State) -> None:
        """Bring members to `state`: all of them or none (a transaction), then saved."""
        # Setting the same state twice does no harm.
        calls = [Request("PATCH", self._path(item), STATES[state], again=True) for item in ids]
        self._change(calls)

    def reshape(self, add: Sequence[tuple[str, str, int]], remove: Sequence[Member]) -> None:
        """Make members (host name, address, port) and take others out of the pool: all or none, then saved.

        Existing nodes of the addresses are used; the nodes of members that go stay.
        """
        nodes = self._session.get("/tm/ltm/node", **{"$select": "name,partition,address"}).get("items", [])
        known = {_plain(node["address"]): (node["partition"], node["name"]) for node in nodes}
        calls = [Request("DELETE", self._path(member.id)) for member in remove]
        for name, address, port in add:
            partition, node = known.get(address, (self._partition, name))
            body = {"name": f"{node}:{port}", "partition": partition}
            if address not in known:
                body["address"] = address
            calls.append(Request("POST", f"{self._pool}/members", body))
        self._change(calls)

    def problems(self) -> tuple[tuple[str, str], ...]:
        """What stands between the virtual server and the pool: (what, mend) each."""
        name = self._site.balancer.virtual_server
        if not name:
            return ()
        address = path_of("/tm/ltm/virtual", self._partition, name)
        try:
            found = self._session.get(address)
        except F5Error as error:
            if error.code != 404:
                raise
            return ((f"no virtual server {name} in {self._partition}", "check balancer.virtual_server"),)
        return tuple(self._virtual(name, found))

    def _virtual(self, name: str, found: dict[str, Any]) -> Iterator[tuple[str, str]]:
        ours = f"/{self._partition}/{self._pool_name}"
        pool = found.get("pool", "")
        if pool != ours:
            text = f"virtual server {name} sends to {pool or 'no pool'}, not to {ours}"
            yield text, f"tmsh modify ltm virtual {name} pool {ours}"
        if found.get("disabled"):
            yield f"virtual server {name} is disabled", f"tmsh modify ltm virtual {name} enabled"
        public = str(self._site.balancer.address or "")
        seen = _plain(found.get("destination", "").rpartition("/")[2].rpartition(":")[0])
        if public and seen != public:
            text = f"virtual server {name} listens on {seen or 'nothing'}, balancer.address is {public}"
            yield text, "mend one of the two"

    def _path(self, full_name: str) -> str:
        partition, _, name = full_name.strip("/").rpartition("/")
        return path_of(f"{self._pool}/members", partition, name)

    def _member(self, item: dict[str, Any], figures: dict[str, Any]) -> Member:
        address = _plain(item.get("address", ""))
        state = State.ENABLED
        if item.get("state") == "user-down":
            state = State.DISABLED
        elif item.get("session") == "user-disabled":
            state = State.DRAINING
        health = HEALTH.get(_word(figures, "status.availabilityState"), Health.UNKNOWN)
        reason = "" if health is Health.UP else _word(figures, "status.statusReason").strip()
        if state is State.DISABLED:
            health, reason = Health.UNKNOWN, "not looked at while disabled"
        return Member(
            id=item["fullPath"],
            name=self._names.get(address, item["fullPath"]),
            address=address,
            port=int(item["name"].rpartition(":")[2]),
            state=state,
            health=health,
            reason=reason,
            sessions=int(figures.get("serverside.curConns", {}).get("value", 0)),
        )

    def _change(self, calls: Sequence[Request]) -> None:
        if not calls:
            return
        if len(calls) == 1:
            self._session.call(calls[0])
        else:
            self._together(calls)
        try:
            save = Request("POST", "/tm/sys/config", {"command": "save"}, again=True)
            self._session.call(save, seconds=SAVE_SECONDS)
        except BalancerError as error:
            raise F5Error(
                f"{self.name}: done, but not saved, so a reboot forgets it: {error.what}",
                mend="on the BIG-IP: tmsh save sys config",
            ) from None

    def _together(self, calls: Sequence[Request]) -> None:
        """A transaction. One that the BIG-IP has dropped before the commit is begun once more."""
        number = self._queue(calls)
        if number is None:
            number = self._queue(calls)
        if number is None:
            raise F5Error(f"{self._session.endpoint} drops every transaction", code=404, mend="xjops lb plan")
        self._commit(number)

    def _queue(self, calls: Sequence[Request]) -> int | None:
        """Open a transaction and queue the calls; None when it was gone before the last one."""
        number = int(self._session.call(Request("POST", TRANSACTIONS, {}, again=True))["transId"])
        header = {"X-F5-REST-Coordination-Id": str(number)}
        for call in calls:
            try:
                # Queued twice, a creation would fail with itself: never again.
                self._session.call(replace(call, headers=header, again=False))
            except BalancerError as error:
                with suppress(BalancerError):
                    self._session.call(Request("DELETE", f"{TRANSACTIONS}/{number}"), seconds=5)
                if isinstance(error, F5Error) and error.code == 404 and "transaction" in error.what.lower():
                    return None
                raise
        return number

    def _commit(self, number: int) -> None:
        """Have it done, and wait until it is: some versions answer before."""
        address, end = f"{TRANSACTIONS}/{number}", time.monotonic() + COMMIT_SECONDS
        try:
            seen = self._session.call(Request("PATCH", address, {"state": "VALIDATING"}))
        except LostAnswerError:
            seen = self._session.get(address)  # it tells what became of it, or the error that we know nothing
        while seen.get("state") not in ("COMPLETED", "FAILED"):
            if time.monotonic() >= end:
                raise LostAnswerError(
                    f"{self._session.endpoint}: transaction {number} did not end within {COMMIT_SECONDS:g} s",
                    mend="xjops lb status, then again",
                )
            time.sleep(0.5)
            seen = self._session.get(address)
        if seen["state"] == "FAILED":
            reason = " ".join(str(seen.get("failureReason") or "no reason given").split())
            raise F5Error(
                f"{self._session.endpoint} refuses the change, nothing was done: {reason}",
                code=400,
                mend="xjops lb plan",
            )


def _plain(address: str) -> str:
    """An address without its route domain (`192.0.2.12%1`)."""
    return address.partition("%")[0]


def _word(figures: dict[str, Any], key: str) -> str:
    return str(figures.get(key, {}).get("description", ""))


def _statistics(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The figures of each member by its full name, out of the nested answer."""
    for entry in answer.get("entries", {}).values():
        figures = entry.get("nestedStats", {}).get("entries", {})
        yield f"{_word(figures, 'nodeName')}:{figures.get('port', {}).get('value', '')}", figures
