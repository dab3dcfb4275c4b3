"""What a run tells the ledgers: which steps begin, which ended well, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from xjops.ledger import recording
from xjops.ledger.inputs import Wanted
from xjops.ledger.look import Left
from xjops.ledger.recording import Recording
from xjops.site import Site

STEPS = {"base": {"a": "1"}, "registry_web": {"b": "2"}}
Told = list[Mapping[str, Left]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What was told to the hosts, play by play."""
    found: Told = []
    monkeypatch.setattr(recording, "wanted", lambda *_: Wanted({"web1": STEPS, "web2": STEPS}))
    monkeypatch.setattr(recording, "record", lambda _, hosts, run, left, accept: found.append(left) or {})
    return found


class Role:
    """A role as its tasks name it."""

    def __init__(self, name: str) -> None:
        self._role_name, self._from_files, self._role = name, {}, self


def play(*roles: str, tags: tuple[str, ...] = ("all",), hosts: tuple[str, ...] = ("web1", "web2")) -> Any:
    inventory = SimpleNamespace(get_hosts=lambda _: [SimpleNamespace(name=name) for name in hosts])
    variables = SimpleNamespace(_inventory=inventory, get_vars=lambda **_: {}, _loader=None)
    return SimpleNamespace(
        get_variable_manager=lambda: variables,
        hosts="all",
        only_tags=tags,
        roles=[Role(name) for name in roles],
        tasks=[],
    )


def result(host: str, role: str, action: str = "unit", *, run_once: bool = False, **values: Any) -> Any:
    task = SimpleNamespace(
        action=action, _role=Role(role), _parent=None, vars={}, args={}, delegate_to=None, run_once=run_once
    )
    return SimpleNamespace(task=task, host=SimpleNamespace(get_name=lambda: host), result=values)


def unit(name: str) -> dict[str, Any]:
    return {"invocation": {"module_args": {"names": [name]}}}


def ended(left: Mapping[str, Left]) -> dict[str, list[str]]:
    return {host: sorted(one.ended) for host, one in left.items() if one.ended}


def test_steps_begin_with_their_play_and_end_with_it(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    assert {host: list(left.begin) for host, left in told[0].items()} == {"web1": ["base"], "web2": ["base"]}
    for host in ("web1", "web2"):
        run.ok(result(host, "base", **unit("nftables.service")))
    run.play(play("registry_web", hosts=("web2",)))
    assert ended(told[1]) == {"web1": ["base"], "web2": ["base"]}
    assert told[1]["web1"].ended["base"] == ({"a": "1"}, {("unit", "nftables.service")})
    assert list(told[1]["web2"].begin) == ["registry_web"]
    run.ok(result("web2", "registry_web", skipped=True))
    run.finish()
    assert told[2]["web2"].ended["registry_web"] == ({"b": "2"}, set()), "all skipped is an end, too"


def test_a_host_that_failed_ends_nothing(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    for host in ("web1", "web2"):
        run.ok(result(host, "base", **unit("a.service")))
    run.failed(result("web1", "base"))
    run.finish()
    assert ended(told[1]) == {"web2": ["base"]}


def test_a_failure_that_was_caught_is_none(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    one = result("web1", "base", **unit("a.service"))
    one.task._uuid, one.task._parent = "1", SimpleNamespace(rescue=[SimpleNamespace(_uuid="2")], always=[])
    run.failed(one)
    run.ok(result("web1", "base", **unit("a.service")))
    run.finish()
    assert ended(told[1]) == {"web1": ["base"]}


def test_a_task_for_all_that_failed_ends_nothing_anywhere(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    for host in ("web1", "web2"):
        run.ok(result(host, "base", **unit("a.service")))
    run.failed(result("web1", "base", run_once=True))
    run.finish()
    assert ended(told[1]) == {}


def test_tags_begin_only_their_roles(lab_site: Site, told: Told) -> None:
    """Ansible validates the arguments of all roles whatever the tags: no reason to forget their items."""
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base", "registry_web", tags=("registry_web",)))
    assert list(told[0]["web1"].begin) == ["registry_web"]
    run.ok(result("web1", "base", "ansible.builtin.validate_argument_spec"))
    run.ok(result("web1", "registry_web", **unit("nginx.service")))
    run.finish()
    assert ended(told[1]) == {"web1": ["registry_web"]}


def test_a_run_that_leaves_tasks_out_records_nothing(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, False, pytest.fail)
    run.play(play("base"))
    run.ok(result("web1", "base", **unit("a.service")))
    run.finish()
    assert list(told[0]["web1"].begin) == ["base"]
    assert ended(told[1]) == {}


def test_what_a_delegated_task_leaves_is_elsewhere(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    one = result("web1", "base", **unit("a.service"))
    one.task.delegate_to = "localhost"
    run.ok(one)
    run.finish()
    assert told[1]["web1"].ended["base"] == ({"a": "1"}, set())


def test_items_of_a_hidden_result_come_from_the_arguments(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    one = result("web1", "base", "host_files", censored="hidden")
    one.task.args = {"files": [{"path": "/etc/secret", "content": "{{ undefined_secret }}"}]}
    run.ok(one)
    run.finish()
    assert told[1]["web1"].ended["base"][1] == {("file", "/etc/secret")}


def test_what_a_task_declares_is_watched(lab_site: Site, told: Told) -> None:
    run = Recording(lab_site, True, pytest.fail)
    run.play(play("base"))
    one = result("web1", "base", "ansible.builtin.command", changed=True)
    one.task.vars = {"base_ledger": [["probe", "cat /etc/issue"]]}
    run.ok(one)
    run.finish()
    assert told[1]["web1"].ended["base"][1] == {("probe", "cat /etc/issue")}


def test_a_host_that_cannot_be_told_is_a_warning(
    lab_site: Site, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "record", lambda *_, accept: {"web1": OSError("gone")})
    warnings: list[str] = []
    Recording(lab_site, True, warnings.append).play(play("base"))
    assert warnings == ["the ledger of web1 could not be written, its next plan will say so: gone"]
