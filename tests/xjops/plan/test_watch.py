"""Watches: since when something differs, what stands in the way of a look, and what the journal is told."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from xjops.core import paths
from xjops.core.errors import ConfigurationError, DeadlineError, ExitCode, XjopsError
from xjops.core.locking import lock
from xjops.journal.runs import journal_of
from xjops.ledger.compare import Due, Why
from xjops.ledger.look import Drift, Seen
from xjops.plan import watch, watched
from xjops.plan.apply import alone, lock_file
from xjops.plan.look import Look, Machines
from xjops.plan.watched import Attempt, Watched

START = 1_800_000_000.0
STEP = 900.0


def due(host: str, step: str = "base", why: Why = Why.DRIFT, file: str = "/etc/a") -> Due:
    return Due(host, step, why, drift=(Drift("file", file, {"mode": "0644"}, None),))


def gone(seen: Look, *hosts: str) -> Look:
    """The same look with hosts that can't be asked."""
    silent = {name: Seen(name, error=XjopsError(f"{name} is silent")) for name in hosts}
    return replace(
        seen, hosts={**seen.hosts, **silent}, due=tuple(d for d in seen.due if d.host not in hosts)
    )


class Watching:
    """Watches of the lab's site, a quarter of an hour from one to the next."""

    def __init__(self, metrics: Path) -> None:
        self.now = START - STEP
        self.options = watch.Options(metrics=metrics, deadline=20.0)

    def __call__(self, seen: Look | Callable[[], Look], **options: Any) -> Watched:
        self.now += STEP
        look = seen if callable(seen) else lambda: seen
        return watch.run("lab", look, replace(self.options, **options), lambda: self.now)

    @property
    def metrics(self) -> dict[str, float]:
        assert self.options.metrics
        families = text_string_to_metric_families(self.options.metrics.read_text())
        return {s.name: s.value for family in families for s in family.samples if set(s.labels) == {"site"}}


@pytest.fixture
def watching(well: Look, tmp_path: Path) -> Watching:
    return Watching(tmp_path / "xjops.prom")


def notes() -> list[dict[str, Any]]:
    return [entry.data for entry in journal_of("lab").entries()]


def test_nothing_differs(watching: Watching, well: Look) -> None:
    after = watching(well)
    assert (after.attempt, after.exit_code, after.differs_since) == (Attempt.LOOKED, ExitCode.OK, None)
    assert watched.load("lab") == after
    assert watching.metrics["xjops_plan_success"] == 1


def test_since_survives_from_watch_to_watch(watching: Watching, well: Look) -> None:
    watching(replace(well, due=(due("web2"),)))
    after = watching(replace(well, due=(due("web1"), due("web2", why=Why.INPUTS))))
    since = {item.subject: item.since for item in after.differs}
    assert since == {"web1": START + STEP, "web2": START}
    assert after.differs_since == START
    assert after.exit_code is ExitCode.WARN
    assert watching.metrics["xjops_plan_differs_since_seconds"] == START
    assert watching(replace(well, due=(due("web1"),))).differs_since == START + STEP
    assert watching(well).differs_since is None
    assert watching(replace(well, due=(due("web2"),))).differs_since == START + 4 * STEP, "a new one"


def test_machines_and_problems_differ_since_too(watching: Watching, well: Look) -> None:
    watching(replace(well, machines=Machines("", (("web1", "create"),), ("too big",))))
    after = watching(replace(well, machines=Machines("", (("web1", "resume"),), ("too big",))))
    assert {(item.kind, item.what, item.since) for item in after.differs} == {
        ("machine", "resume", START),
        ("problem", "too big", START),
    }
    assert after.exit_code is ExitCode.FAIL


def test_what_a_silent_host_lacked_is_not_forgotten(watching: Watching, well: Look) -> None:
    seen = replace(well, due=(due("web2"),))
    watching(seen)
    after = watching(gone(seen, "web2"))
    assert after.exit_code is ExitCode.NOT_RUN
    assert [(item.subject, item.since) for item in after.unseen] == [("web2", START + STEP)]
    assert [(item.current, item.since) for item in after.differs] == [(False, START)]
    assert watching.metrics["xjops_plan_unreachable"] == 1
    assert watching(gone(seen, "web2")).unseen[0].since == START + STEP
    back = watching(seen)
    assert [(item.current, item.since) for item in back.differs] == [(True, START)]
    assert back.unseen == ()


def test_what_vcenter_lacked_is_not_forgotten(watching: Watching, well: Look) -> None:
    watching(replace(well, machines=Machines("", (("web1", "create"),))))
    after = watching(replace(well, machines=Machines(error=XjopsError("no vCenter"))))
    assert [(item.subject, item.current) for item in after.differs] == [("web1", False)]
    assert [item.subject for item in after.unseen] == ["vCenter"]


def test_no_look_beside_an_apply(watching: Watching, well: Look) -> None:
    watching(replace(well, due=(due("web2"),)))
    with alone("lab"):
        after = watching(lambda: pytest.fail("it looked"))
    assert after.attempt is Attempt.APPLY
    assert after.exit_code is ExitCode.WARN, "neither a failed service nor a pass"
    assert (after.time, after.differs_since) == (START, START)
    assert watching.metrics["xjops_plan_apply_running"] == 1
    assert watching.metrics["xjops_plan_attempt_time_seconds"] == START + STEP
    assert len(notes()) == 1
    watching(well)
    assert watching.metrics["xjops_plan_apply_running"] == 0


@pytest.mark.parametrize("ended", [True, False])
def test_a_look_during_which_an_apply_began_counts_for_nothing(
    watching: Watching, well: Look, ended: bool
) -> None:
    watching(well)
    apply = alone("lab")

    def look() -> Look:
        apply.__enter__()
        if ended:
            apply.__exit__(None, None, None)
        return replace(well, due=(due("web2", why=Why.INTERRUPTED),))

    after = watching(look)
    assert after.attempt is Attempt.APPLY
    assert after.differs == ()
    if not ended:
        apply.__exit__(None, None, None)


def test_the_lock_of_an_apply_that_was_killed_is_none(watching: Watching, well: Look) -> None:
    lock_file("lab").write_text("")
    assert watching(well).attempt is Attempt.LOOKED


def test_a_look_that_hangs_ends_at_its_deadline(watching: Watching, well: Look) -> None:
    watching(replace(well, due=(due("web2"),)))
    end = threading.Event()

    def look() -> Look:
        end.wait(60)
        return well

    with pytest.raises(DeadlineError, match=r"the look at lab did not end within 0\.2 s"):
        watching(look, deadline=0.2)
    end.set()
    known = watched.load("lab")
    assert known
    assert (known.attempt, known.exit_code) == (Attempt.FAILED, ExitCode.FAIL)
    assert known.differs_since == START
    assert watching.metrics["xjops_plan_success"] == 0


@pytest.mark.parametrize(
    ("error", "code"),
    [(ConfigurationError("hosts.yml is torn"), 78), (XjopsError("no"), 1), (RuntimeError("a bug"), 1)],
)
def test_a_watch_that_fails_is_told(watching: Watching, well: Look, error: Exception, code: int) -> None:
    watching(well)

    def look() -> Look:
        raise error

    for _ in range(3):
        with pytest.raises(type(error)):
            watching(look)
    known = watched.load("lab")
    assert known
    assert int(known.exit_code) == code
    assert str(error).split()[-1] in known.error
    assert watching.metrics["xjops_plan_success"] == 0
    watching(well)
    assert [bool(note["result"]["failure"]) for note in notes()] == [False, True, False]


def test_the_journal_hears_of_changes_only(watching: Watching, well: Look) -> None:
    seen = replace(well, due=(due("web2"),))
    for look in (well, well, seen, seen, replace(well, due=(due("web2", file="/etc/b"),)), well, well):
        watching(look)
    told = [(note["result"]["appeared"], note["result"]["gone"]) for note in notes()]
    words = "web2: base (drift)"
    assert told == [([], []), ([words], []), ([], []), ([], [words])]
    assert {note["verb"] for note in notes()} == {"drift run"}
    journal_of("lab").verify()


def test_two_watches_do_not_collide(watching: Watching, well: Look) -> None:
    held = paths.state("lab") / "watch.lock"
    with (
        lock(held, what="test", seconds=1, mend=""),
        pytest.raises(DeadlineError, match="another watch of lab"),
    ):
        watching(well, deadline=0.2)
    assert watched.load("lab") is None
    inside = []

    def look() -> Look:
        inside.append(threading.active_count())
        assert len(inside) <= 1, "both look at once"
        end.wait(0.5)
        inside.pop()
        return well

    end = threading.Event()
    threads = [
        threading.Thread(target=lambda: results.append(watch.run("lab", look, watch.Options())))
        for _ in range(2)
    ]
    results: list[Watched] = []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [result.attempt for result in results] == [Attempt.LOOKED] * 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 1, "site": "lab"}', '{"schema": 2, "site": "lab"}']
)
def test_a_damaged_state_is_replaced(watching: Watching, well: Look, text: str) -> None:
    file = watched.file_of("lab")
    file.write_text(text)
    assert watched.load("lab") is None
    assert watching(replace(well, due=(due("web2"),))).differs_since == START
    assert json.loads(file.read_text())["differs_since"] == "2027-01-15T08:00:00+00:00"


def test_the_state_is_private_and_whole(watching: Watching, well: Look) -> None:
    watching(well)
    assert watched.file_of("lab").stat().st_mode & 0o777 == 0o600
    assert not [file for file in paths.state("lab").iterdir() if "partial" in file.name]


def test_state_is_kept_where_the_metrics_cannot_be_written(well: Look, tmp_path: Path) -> None:
    watching = Watching(tmp_path / "none" / "xjops.prom")
    with pytest.raises(XjopsError, match="can't be written"):
        watching(replace(well, due=(due("web2"),)))
    known = watched.load("lab")
    assert known
    assert known.differs_since == START


def test_late_after_two_intervals_without_a_look(watching: Watching, well: Look) -> None:
    after = watching(well)
    assert not after.late(START + 2 * STEP)
    assert after.late(START + 2 * STEP + 1)
    with alone("lab"):
        watching.now += 2 * STEP
        assert watching(well).late(watching.now), "an apply that goes on and on is no look"


def test_what_a_plan_tells_of_the_watch(watching: Watching, well: Look) -> None:
    after = watching(replace(well, due=(due("web2"),)))
    assert after.brief(START + 60) == {
        "time": "2027-01-15T08:00:00+00:00",
        "age_seconds": 60,
        "late": False,
        "differs_since": "2027-01-15T08:00:00+00:00",
    }
    assert Watched("lab", STEP, START, Attempt.FAILED, ExitCode.FAIL, "no").brief(START) is None
