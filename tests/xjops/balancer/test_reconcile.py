"""The balancers against the site: each member once at its address and port, web1 never."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.xjops.balancer.test_balancers import LOST, Fake
from xjops.adapters.balancing import Health, Member, State
from xjops.balancer import Balancers, Seen
from xjops.balancer.reconcile import Plan, RefusedError, apply, make_plan
from xjops.core.errors import ExitCode, NotRunError
from xjops.site import Site

EIGHT = tuple(f"web{number}" for number in range(2, 10))


def other(name: str, address: str, port: int = 80) -> Member:
    return Member(f"id-{name}", name, address, port, State.ENABLED, Health.UP)


@pytest.fixture
def fake(lab_site: Site) -> Fake:
    return Fake("lb1", lab_site, EIGHT)


def planned(site: Site, *fakes: Fake) -> Plan:
    return make_plan(site, Balancers(site, fakes).look())


def short(plan: Plan) -> list[tuple[str, str, str]]:
    return [(change.action, change.name, change.why) for change in plan.changes]


def test_exactly_these_eight(lab_site: Site, fake: Fake) -> None:
    plan = planned(lab_site, fake)
    assert (plan.changes, plan.summary, plan.exit_code) == ((), "nothing", ExitCode.OK)


CASES: list[tuple[str, Callable[[Fake], object], list[tuple[str, str, str]], ExitCode]] = [
    ("missing", lambda f: f.there.pop("web5"), [("add", "web5", "missing")], ExitCode.WARN),
    (
        "web1",
        lambda f: f.there.update(web1=other("web1", "10.58.7.11")),
        [("remove", "web1", "unmapped")],
        ExitCode.FAIL,
    ),
    (
        "another machine of the site",
        lambda f: f.there.update(db1=other("db1", "10.58.7.31")),
        [("remove", "db1", "unmapped")],
        ExitCode.FAIL,
    ),
    (
        "a stranger",
        lambda f: f.there.update(old=other("/Common/old:80", "10.9.9.9")),
        [("remove", "/Common/old:80", "foreign")],
        ExitCode.WARN,
    ),
    (
        "wrong port",
        lambda f: f.be("web3", port=8080),
        [("add", "web3", "missing"), ("remove", "web3", "wrong-port")],
        ExitCode.WARN,
    ),
    (
        "twice",
        lambda f: f.there.update(again=other("web4", "10.58.7.14")),
        [("remove", "web4", "twice")],
        ExitCode.WARN,
    ),
    (
        "called web2, but web1's address",  # as the driver sees it: by address it is web1
        lambda f: f.there.update(web2=other("web1", "10.58.7.11")),
        [("add", "web2", "missing"), ("remove", "web1", "unmapped")],
        ExitCode.FAIL,
    ),
]


@pytest.mark.parametrize(
    ("mistake", "expected", "code"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_differences(
    lab_site: Site,
    fake: Fake,
    mistake: Callable[[Fake], object],
    expected: list[tuple[str, str, str]],
    code: ExitCode,
) -> None:
    mistake(fake)
    plan = planned(lab_site, fake)
    assert (short(plan), plan.exit_code) == (expected, code)
    balancers = Balancers(lab_site, (fake,))
    apply(plan, balancers, prune=True)
    after = planned(lab_site, fake)
    assert (after.changes, after.exit_code) == ((), ExitCode.OK)


def test_drained_is_no_difference(lab_site: Site, fake: Fake) -> None:
    fake.be("web2", state=State.DRAINING)
    fake.be("web3", health=Health.DOWN)
    assert planned(lab_site, fake).exit_code is ExitCode.OK


def test_strangers_stay_without_prune(lab_site: Site, fake: Fake) -> None:
    fake.there["old"] = other("/Common/old:80", "10.9.9.9")
    del fake.there["web9"]
    plan = planned(lab_site, fake)
    with pytest.raises(RefusedError) as caught:
        apply(plan, Balancers(lab_site, (fake,)))
    assert caught.value.problems == (
        "lb1: /Common/old:80 (10.9.9.9:80) is no machine of lab → xjops lb apply --prune removes it",
    )
    assert "web9" not in fake.there  # nothing was done


def test_members_that_something_else_makes(lab_site: Site, fake: Fake) -> None:
    fake.makes_members = False
    fake.mend_members = "xjops apply --tags load_balancer"
    del fake.there["web9"]
    with pytest.raises(
        NotRunError, match="lb1's members are written by the role load_balancer → xjops apply"
    ):
        apply(planned(lab_site, fake), Balancers(lab_site, (fake,)))


def test_a_balancer_that_was_not_seen(lab_site: Site, fake: Fake) -> None:
    lost = Fake("lb2", lab_site, EIGHT)
    lost.error = LOST
    plan = planned(lab_site, fake, lost)
    assert (plan.changes, plan.exit_code) == ((), ExitCode.NOT_RUN)
    assert plan.as_dict()["not_seen"] == {"lb2": str(LOST)}
    with pytest.raises(type(LOST)):
        apply(plan, Balancers(lab_site, (fake, lost)))
    fake.there["web1"] = other("web1", "10.58.7.11")  # 1 before 4
    assert planned(lab_site, fake, lost).exit_code is ExitCode.FAIL


def test_what_the_balancer_itself_has_wrong(lab_site: Site, fake: Fake) -> None:
    seen = Seen("lb1", fake.members(), (("virtual server x is disabled", "enable it"),))
    plan = make_plan(lab_site, [seen])
    assert [str(problem) for problem in plan.problems] == ["virtual server x is disabled → enable it"]
    assert plan.exit_code is ExitCode.FAIL
