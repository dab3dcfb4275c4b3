"""What is due, and why."""

from __future__ import annotations

from typing import Any

import pytest

from xjops.core.errors import XjopsError
from xjops.ledger.compare import EXPIRES_SECONDS, Due, Why, due
from xjops.ledger.inputs import Wanted
from xjops.ledger.look import Drift, Entry, Seen

NOW = 1_000_000_000
INPUTS = {"file tasks/main.yml": "1", "variable base_user": "2"}
DRIFT = Drift("file", "/etc/a", {"mode": "0644"}, {"mode": "0600"})


def reasons(entry: Entry | None, **seen: Any) -> list[Due]:
    entries = {"base": entry} if entry else {}
    about = Seen("web1", NOW, entries, **seen)
    return due(Wanted({"web1": {"base": INPUTS}}), {"web1": about})


def entry(**values: Any) -> Entry:
    return Entry(**{"time": NOW - 60, "inputs": INPUTS, "items": 3, "drift": (), **values})


def test_nothing_is_due_where_all_is_as_it_was() -> None:
    assert reasons(entry()) == []


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (None, Due("web1", "base", Why.NEVER)),
        (entry(drift=(DRIFT,)), Due("web1", "base", Why.DRIFT, drift=(DRIFT,))),
        (entry(time=NOW - EXPIRES_SECONDS), Due("web1", "base", Why.EXPIRED)),
        (entry(time=NOW + 60), Due("web1", "base", Why.EXPIRED)),
        (
            entry(inputs={**INPUTS, "variable base_user": "3"}, drift=(DRIFT,)),
            Due("web1", "base", Why.INPUTS, inputs=("variable base_user",), drift=(DRIFT,)),
        ),
        (
            entry(inputs={"file tasks/main.yml": "1", "file tasks/old.yml": "1"}),
            Due("web1", "base", Why.INPUTS, inputs=("file tasks/old.yml", "variable base_user")),
        ),
    ],
)
def test_every_reason(found: Entry | None, expected: Due) -> None:
    assert reasons(found) == [expected]


def test_a_step_that_began_and_never_ended() -> None:
    assert reasons(None, begun={"base": "r1"}) == [Due("web1", "base", Why.INTERRUPTED)]


def test_a_host_that_could_not_be_asked_is_not_judged() -> None:
    assert reasons(None, error=XjopsError("gone")) == []
    assert due(Wanted({"web1": {"base": INPUTS}}), {}) == []


def test_the_role_is_the_tag_of_a_step() -> None:
    assert Due("web1", "registry_release/build", Why.NEVER).role == "registry_release"
