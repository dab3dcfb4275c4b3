"""All balancers as one: drains reach every one, nobody takes the last member, waits end."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import pytest

from xjops.adapters.balancing import BalancerError, Health, Member, State, UnreachableBalancerError
from xjops.balancer import Balancers, LastMemberError, NoMemberError, PartlyDoneError, balancers
from xjops.core import paths
from xjops.core.errors import DeadlineError, UsageError
from xjops.core.locking import lock
from xjops.site import Site


class Fake:
    """A balancer in memory."""

    makes_members = True
    mend_members = "xjops lb apply"

    def __init__(self, name: str, site: Site, members: Sequence[str] = ("web2", "web3", "web4")) -> None:
        self.name = name
        self.there = {
            host: Member(f"id-{host}", host, str(site.host(host).address), 80, State.ENABLED, Health.UP)
            for host in members
        }
        self.changes: list[tuple[list[str], State]] = []
        self.error: BalancerError | None = None
        self.stubborn = False
        self.looks = 0

    def members(self) -> tuple[Member, ...]:
        self.looks += 1
        if self.error:
            raise self.error
        return tuple(self.there.values())

    def set_state(self, ids: Sequence[str], state: State) -> None:
        if self.error:
            raise self.error
        self.changes.append((list(ids), state))
        if not self.stubborn:
            for host, member in self.there.items():
                if member.id in ids:
                    self.there[host] = replace(member, state=state)

    def reshape(self, add: Sequence[tuple[str, str, int]], remove: Sequence[Member]) -> None:
        for member in remove:
            self.there = {host: seen for host, seen in self.there.items() if seen is not member}
        for name, address, port in add:
            self.there[name] = Member(f"id-{name}", name, address, port, State.ENABLED, Health.UP)

    def problems(self) -> tuple[tuple[str, str], ...]:
        return ()

    def be(self, host: str, **values: object) -> None:
        self.there[host] = replace(self.there[host], **values)  # type: ignore[arg-type]


@pytest.fixture
def pair(lab_site: Site) -> tuple[Fake, Fake]:
    return Fake("lb1", lab_site), Fake("lb2", lab_site)


@pytest.fixture
def both(lab_site: Site, pair: tuple[Fake, Fake], monkeypatch: pytest.MonkeyPatch) -> Balancers:
    monkeypatch.setattr(balancers, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(balancers, "LOCK_SECONDS", 0.2)
    return Balancers(lab_site, pair)


LOST = UnreachableBalancerError("lb2 is not reachable", mend="look at lb2")


def test_a_drain_reaches_every_balancer(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    seen = both.drain(["web2", "web3"])
    assert [fake.changes for fake in pair] == [[(["id-web2", "id-web3"], State.DRAINING)]] * 2
    assert [item.balancer for item in seen] == ["lb1", "lb2"]
    both.drain(["web2"])  # it is already: nobody is asked to change
    assert [len(fake.changes) for fake in pair] == [1, 1]
    both.enable(["web2", "web3"])
    assert {m.state for fake in pair for m in fake.there.values()} == {State.ENABLED}


def test_a_disabled_member_is_not_brought_nearer_by_a_drain(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    both.disable(["web2"])
    both.drain(["web2"])
    assert {fake.there["web2"].state for fake in pair} == {State.DISABLED}


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"state": State.DRAINING}, "web3 is draining, up; web4 is draining, up"),
        ({"state": State.DISABLED, "health": Health.UNKNOWN}, "web3 is disabled, unknown"),
        ({"health": Health.DOWN}, "web3 is enabled, down"),
    ],
)
def test_the_last_one_that_serves_stays(
    both: Balancers, pair: tuple[Fake, Fake], others: dict[str, object], words: str
) -> None:
    for host in ("web3", "web4"):
        pair[1].be(host, **others)  # on one balancer only: that is enough
    with pytest.raises(LastMemberError, match="lb2: nobody would serve without web2") as caught:
        both.drain(["web2"])
    assert words in str(caught.value)
    assert str(caught.value).endswith("→ xjops lb enable another one first, or --force")
    assert [fake.changes for fake in pair] == [[], []]
    both.drain(["web2"], force=True)
    assert pair[0].there["web2"].state is State.DRAINING


def test_all_at_once_are_the_last_ones_too(both: Balancers) -> None:
    with pytest.raises(LastMemberError, match="no other member"):
        both.drain(["web2", "web3", "web4"])


def test_what_does_not_serve_may_always_be_drained(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    for fake in pair:
        for host in ("web2", "web3", "web4"):
            fake.be(host, health=Health.DOWN)
    both.drain(["web2"])
    assert pair[0].there["web2"].state is State.DRAINING


def test_health_that_nobody_looks_at_counts_as_serving(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    for fake in pair:
        fake.be("web3", health=Health.UNKNOWN)
        fake.be("web4", health=Health.DOWN)
    both.drain(["web2"])


def test_nothing_is_changed_when_a_balancer_is_away(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    pair[1].error = LOST
    with pytest.raises(UnreachableBalancerError, match="lb2 is not reachable"):
        both.drain(["web2"])
    assert pair[0].changes == []
    first, second = both.look()
    assert (first.error, len(first.members), second.error) == (None, 3, LOST)


def test_a_balancer_that_goes_away_in_the_middle_is_named(
    both: Balancers, pair: tuple[Fake, Fake], monkeypatch: pytest.MonkeyPatch
) -> None:
    def set_state(ids: Sequence[str], state: State) -> None:
        raise LOST

    monkeypatch.setattr(pair[1], "set_state", set_state)
    with pytest.raises(PartlyDoneError, match="draining on lb1, not on lb2: lb2 is not reachable"):
        both.drain(["web2"])
    assert pair[0].there["web2"].state is State.DRAINING


def test_an_order_without_effect_is_no_success(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    pair[0].stubborn = pair[1].stubborn = True
    with pytest.raises(PartlyDoneError, match="not draining anywhere: lb1 took the order, but web2 did not"):
        both.drain(["web2"])


def test_names(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    with pytest.raises(UsageError, match=r"wbe2: no web server of lab → one of web1, web2"):
        both.drain(["wbe2"])
    with pytest.raises(NoMemberError, match="web1: no member on lb1, which has web2, web3, web4"):
        both.enable(["web1"])
    assert pair[0].changes == []


def test_only_one_change_at_a_time(both: Balancers, lab_site: Site) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(paths.state(lab_site.name) / "lb.lock", what="x", seconds=1, mend=""):
            held.set()
            done.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    try:
        with pytest.raises(DeadlineError, match="another change of the balancer"):
            both.drain(["web2"])
    finally:
        done.set()
        thread.join(10)
    both.drain(["web2"])


def test_the_wait_ends_when_all_are_done(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    pair[0].be("web2", sessions=2)
    pair[1].be("web2", sessions=1)
    told: list[tuple[str, str, str]] = []

    def progress(subject: str, stage: str, detail: str = "") -> None:
        told.append((subject, stage, detail))
        pair[len(told) % 2].be("web2", sessions=0)

    left = both.wait_drained(["web2"], seconds=10, progress=progress)
    assert left == {"web2": 0}
    assert told[0] == ("web2", "draining", "3 sessions")
    assert told[-1] == ("web2", "done", "drained")


@pytest.mark.parametrize("seconds", [0.0, 0.1])
def test_the_wait_ends_at_its_deadline(both: Balancers, pair: tuple[Fake, Fake], seconds: float) -> None:
    pair[1].be("web3", sessions=4)
    assert both.wait_drained(["web2", "web3"], seconds=seconds) == {"web2": 0, "web3": 4}
    assert pair[1].looks > 0


def test_a_wait_asks_again_a_balancer_that_did_not_answer(both: Balancers, pair: tuple[Fake, Fake]) -> None:
    pair[1].error = LOST
    timer = threading.Timer(0.1, lambda: setattr(pair[1], "error", None))
    timer.start()
    assert both.wait_drained(["web2"], seconds=10) == {"web2": 0}
    pair[1].error = LOST
    with pytest.raises(UnreachableBalancerError):
        both.wait_drained(["web2"], seconds=0.1)
