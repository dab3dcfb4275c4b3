"""All balancers of a site as one: a drain reaches every one of them, and a look shows every one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from xjops.adapters.balancing import BalancerError, Member, State
from xjops.balancer.driver import Driver
from xjops.core import paths
from xjops.core.errors import UsageError, XjopsError
from xjops.core.locking import lock
from xjops.core.progress import Progress, silent
from xjops.site.model import Site

LOCK_SECONDS = 10.0
POLL_SECONDS = 0.5  # between two looks at what a draining member still works on
T = TypeVar("T")


class LastMemberError(BalancerError):
    """Nobody would serve the site any more."""


class NoMemberError(BalancerError):
    """A balancer doesn't have this member."""


class PartlyDoneError(BalancerError):
    """Some balancers did it, others did not; it says which."""


@dataclass(frozen=True)
class Seen:
    """One balancer as seen: its members and problems (what, mend), or the error of the look."""

    balancer: str
    members: tuple[Member, ...] = ()
    problems: tuple[tuple[str, str], ...] = ()
    error: XjopsError | None = None

    def of(self, name: str) -> tuple[Member, ...]:
        """The members that are the host `name`; more than one only when it is mapped twice."""
        return tuple(member for member in self.members if member.name == name)


class Balancers:
    """The drivers of one site; made by `xjops.balancer.open_balancer`."""

    def __init__(self, site: Site, drivers: Sequence[Driver]) -> None:
        self.site, self.drivers = site, tuple(drivers)

    def look(self) -> tuple[Seen, ...]:
        """Every balancer at the same time; one that can't be asked has its `error`."""
        return tuple(self._each(_look).values())

    def drain(self, names: Sequence[str], *, force: bool = False) -> tuple[Seen, ...]:
        """No new requests for these hosts on any balancer; what they work on they finish.

        A member that is disabled already stays so. Returns the balancers as they are then. Raises
        `UsageError` (no web server), `NoMemberError`, `LastMemberError` (a balancer would have nobody left
        that serves; not with `force`), `PartlyDoneError`, and what the drivers raise; before anything is
        changed, unless the error says otherwise.
        """
        self._known(names)
        with self._alone():
            seen = self._all_seen(names)
            if not force:
                for item in seen:
                    _leave_someone(item, names)
            done = {State.DRAINING, State.DISABLED}
            return self._set(seen, names, State.DRAINING, done)

    def enable(self, names: Sequence[str]) -> tuple[Seen, ...]:
        """Back into service, on every balancer. Returns and raises as `drain`."""
        return self._to(names, State.ENABLED)

    def disable(self, names: Sequence[str]) -> tuple[Seen, ...]:
        """Out at once, whatever they work on. For a member that must not be asked; as `drain`."""
        return self._to(names, State.DISABLED)

    def wait_drained(
        self, names: Sequence[str], *, seconds: float, progress: Progress = silent
    ) -> dict[str, int]:
        """Wait until these hosts work on nothing more; the sessions left on each, all 0 when it came so far.

        At least one look is made, the last one at the deadline. A balancer that can't be asked on the way is
        asked again; one that can't be asked at the deadline raises its error.
        """
        end = time.monotonic() + seconds
        while True:
            seen = self._each(lambda driver: Seen(driver.name, driver.members())).values()
            errors = [item.error for item in seen if item.error is not None]
            left = {name: sum(_sessions(item, name) for item in seen) for name in names}
            if not errors:
                for name, count in left.items():
                    progress(
                        name, "draining" if count else "done", f"{count} sessions" if count else "drained"
                    )
                if not any(left.values()):
                    return left
            if time.monotonic() >= end:
                if errors:
                    raise errors[0]
                return left
            time.sleep(min(POLL_SECONDS, max(0.0, end - time.monotonic())))

    def reshape(self, balancer: str, add: Sequence[tuple[str, str, int]], remove: Sequence[Member]) -> None:
        """Members made and removed on one balancer; see `Driver.reshape`."""
        driver = next(driver for driver in self.drivers if driver.name == balancer)
        with self._alone():
            driver.reshape(add, remove)

    def _to(self, names: Sequence[str], state: State) -> tuple[Seen, ...]:
        self._known(names)
        with self._alone():
            return self._set(self._all_seen(names), names, state, {state})

    def _set(
        self, seen: Sequence[Seen], names: Sequence[str], state: State, good: set[State]
    ) -> tuple[Seen, ...]:
        """Have every balancer do it, look again, and say where it did not come so."""
        ids = {
            item.balancer: [
                member.id for name in names for member in item.of(name) if member.state not in good
            ]
            for item in seen
        }

        def change(driver: Driver) -> Seen:
            if ids[driver.name]:
                driver.set_state(ids[driver.name], state)
            return _look(driver)

        after = self._each(change)
        failed = {name: item.error for name, item in after.items() if item.error is not None}
        for name, item in after.items():
            wrong = [m.name for host in names for m in item.of(host) if m.state not in good]
            if wrong and item.error is None:
                text = f"{name} took the order, but {', '.join(wrong)} did not become {state}"
                failed[name] = BalancerError(text, mend="xjops lb status")
        self._report(failed, after, state)
        return tuple(after.values())

    @staticmethod
    def _report(failed: Mapping[str, XjopsError], after: Mapping[str, Seen], state: State) -> None:
        if not failed:
            return
        done = [name for name in after if name not in failed]
        if not done and len(failed) == 1:
            raise next(iter(failed.values()))
        reasons = "; ".join(error.what for error in failed.values())
        where = (
            f"{state} on {', '.join(done)}, not on {', '.join(failed)}" if done else f"not {state} anywhere"
        )
        raise PartlyDoneError(f"{where}: {reasons}", mend="mend that balancer, then run this again")

    def _known(self, names: Sequence[str]) -> None:
        servers = [host.name for host in self.site.group("web_servers")]
        wrong = [name for name in names if name not in servers]
        if wrong:
            raise UsageError(
                f"{', '.join(wrong)}: no web server of {self.site.name}", mend=f"one of {', '.join(servers)}"
            )

    def _all_seen(self, names: Sequence[str]) -> tuple[Seen, ...]:
        seen = self.look()
        for item in seen:
            if item.error is not None:
                raise item.error
            lacking = [name for name in names if not item.of(name)]
            if lacking:
                there = ", ".join(member.name for member in item.members) or "nobody"
                raise NoMemberError(
                    f"{', '.join(lacking)}: no member on {item.balancer}, which has {there}",
                    mend="xjops lb plan",
                )
        return seen

    def _each(self, call: Callable[[Driver], Seen]) -> dict[str, Seen]:
        """One call to every driver, side by side; errors become part of what was seen."""

        def guarded(driver: Driver) -> Seen:
            try:
                return call(driver)
            except XjopsError as error:
                return Seen(driver.name, error=error)

        with ThreadPoolExecutor(max(1, len(self.drivers))) as pool:
            return {item.balancer: item for item in pool.map(guarded, self.drivers)}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two drains at the same time could take each other's last member."""
        file = paths.state(self.site.name) / "lb.lock"
        mend = "wait for it, then run this again"
        with lock(file, what="change of the balancer", seconds=LOCK_SECONDS, mend=mend):
            yield


def _look(driver: Driver) -> Seen:
    return Seen(driver.name, driver.members(), driver.problems())


def _sessions(item: Seen, name: str) -> int:
    return sum(member.sessions for member in item.of(name))


def _leave_someone(item: Seen, names: Sequence[str]) -> None:
    """Raise `LastMemberError` when draining `names` leaves nobody that serves."""
    if any(member.serves for member in item.members if member.name not in names):
        return
    if not any(member.serves for member in item.members):
        return  # nobody serves as it is: draining takes nothing away
    others = [f"{m.name} is {m.state}, {m.health}" for m in item.members if m.name not in names]
    rest = "; ".join(others) or "no other member"
    raise LastMemberError(
        f"{item.balancer}: nobody would serve without {', '.join(names)} ({rest})",
        mend="xjops lb enable another one first, or --force",
    )
