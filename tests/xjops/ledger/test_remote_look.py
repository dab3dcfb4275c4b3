"""The program on the host: what it records, and every way an item can differ afterwards."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xjops.ledger import remote_look

Order = Callable[..., dict[str, Any]]


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Order:
    """Give the program an order, as a host gets it; its ledger is in a folder of the test."""
    monkeypatch.setattr(remote_look, "LEDGER", str(tmp_path / "state" / "ledger.json"))

    def give(verb: str, **more: Any) -> dict[str, Any]:
        monkeypatch.setattr("sys.argv", ["remote_look", json.dumps({"verb": verb, **more})])
        remote_look.main()
        answer: dict[str, Any] = json.loads(capsys.readouterr().out)
        return answer

    return give


def recorded(order: Order, *items: tuple[str, str]) -> None:
    order("record", run="r1", entries={"role": {"inputs": {"a": "1"}, "items": items}})


def drift(order: Order) -> list[Any]:
    found: list[Any] = order("look")["entries"]["role"]["drift"]
    return found


def test_an_empty_ledger(order: Order) -> None:
    answer = order("look")
    assert (answer["entries"], answer["open"]) == ({}, {})


def test_what_was_recorded_is_as_it_was(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    recorded(order, ("file", str(file)), ("file", str(tmp_path)), ("group", "root"), ("account", "root"))
    entry = order("look")["entries"]["role"]
    assert entry["drift"] == []
    assert entry["items"] == 4
    assert entry["inputs"] == {"a": "1"}
    assert Path(remote_look.LEDGER).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (lambda file: file.write_text("other"), "sha256"),
        (lambda file: file.chmod(0o600), "mode"),
        (lambda file: os.chown(file, 65534, -1), "owner"),
        (lambda file: os.chown(file, -1, 65534), "group"),
    ],
)
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_a_file_differs_in_one_thing(
    order: Order, tmp_path: Path, damage: Callable[[Path], object], key: str
) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    recorded(order, ("file", str(file)))
    damage(file)
    ((kind, name, was, now),) = drift(order)
    assert (kind, name) == ("file", str(file))
    assert {name for name in was if was[name] != now[name]} == {key}


def test_a_file_that_is_gone_or_came_back_another_kind(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    recorded(order, ("file", str(file)))
    file.unlink()
    assert drift(order)[0][3] is None
    file.symlink_to("/etc/passwd")
    assert drift(order)[0][3]["link"] == "/etc/passwd"
    file.unlink()
    file.mkdir()
    assert drift(order)[0][3]["type"] == "folder"


def test_absence_is_a_state(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "unwanted"
    recorded(order, ("file", str(file)))
    assert drift(order) == []
    file.touch()
    assert drift(order)[0][2] is None


def test_a_tree_counts_everything_below_but_compiled_python(order: Order, tmp_path: Path) -> None:
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "file").write_text("one")
    recorded(order, ("tree", str(tmp_path / "tree")))
    (tmp_path / "tree" / "__pycache__").mkdir()
    (tmp_path / "tree" / "__pycache__" / "file.pyc").write_text("compiled")
    assert drift(order) == []
    (tmp_path / "tree" / "deep" / "more").touch()
    assert drift(order)[0][3]["files"] == 2


def test_an_edit_within_a_tree_shows_even_at_the_same_size(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "tree" / "file"
    file.parent.mkdir()
    file.write_text("one")
    os.utime(file, (1, 1))
    recorded(order, ("tree", str(file.parent)))
    assert drift(order) == []
    file.write_text("two")
    assert drift(order)


def test_packages_by_their_version(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["nginx ii  1.22\nhaproxy rc  2.6\n"]
    monkeypatch.setattr(remote_look, "run", lambda *words: (0, answers[-1]))
    recorded(order, ("package", "nginx"), ("package", "haproxy"))
    assert drift(order) == []
    answers.append("nginx ii  1.23\nhaproxy ii  2.6\n")
    assert drift(order) == [
        ["package", "haproxy", None, {"version": "2.6"}],
        ["package", "nginx", {"version": "1.22"}, {"version": "1.23"}],
    ]


def test_units_by_whether_they_run_and_are_enabled(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(one: str, other: str) -> None:
        text = "\n\n".join(
            f"Id={name}\nLoadState=loaded\nActiveState={state}\nUnitFileState=enabled"
            for name, state in (("a.service", one), ("b.service", other))
        )
        monkeypatch.setattr(remote_look, "run", lambda *words: (0, text))

    say("active", "active")
    recorded(order, ("unit", "a.service"), ("unit", "b.service"))
    say("reloading", "failed")
    ((_, name, was, now),) = drift(order)
    assert (name, was["active"], now["active"]) == ("b.service", "active", "failed")


def test_mounts(order: Order) -> None:
    recorded(order, ("mount", "/"), ("mount", "/no/such/mount"))
    assert drift(order) == []


def test_a_probe_by_its_exit_code_and_output(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("1")
    recorded(order, ("probe", f"cat {file}"))
    assert drift(order) == []
    file.write_text("2")
    assert drift(order)[0][1] == f"cat {file}"
    file.unlink()
    assert drift(order)[0][3]["exit"] == 1


def test_a_step_that_began_has_no_entry_until_it_ended(order: Order) -> None:
    recorded(order)
    order("record", run="r2", begin=["role", "other"])
    answer = order("look")
    assert answer["entries"] == {}
    assert {step: about["run"] for step, about in answer["open"].items()} == {"role": "r2", "other": "r2"}
    recorded(order)
    answer = order("look")
    assert set(answer["entries"]) == {"role"}
    assert set(answer["open"]) == {"other"}


@pytest.mark.parametrize("text", ["", "{", '{"schema": 0, "entries": {"role": 1}}'])
def test_a_damaged_or_foreign_ledger_counts_as_none(order: Order, text: str) -> None:
    Path(remote_look.LEDGER).parent.mkdir()
    Path(remote_look.LEDGER).write_text(text)
    assert order("look")["entries"] == {}
    recorded(order)
    assert set(order("look")["entries"]) == {"role"}


def test_a_probe_that_hangs_ends(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_look, "SECONDS", 0.2)
    recorded(order, ("probe", "sleep 30"))
    assert drift(order) == []


def again(order: Order, *items: tuple[str, str], inputs: str = "1", accept: bool = False) -> None:
    """The step begins and ends once more."""
    order("record", run="r2", begin=["role"])
    order("record", run="r2", entries={"role": {"inputs": {"a": inputs}, "items": items}}, accept=accept)


def test_what_a_second_run_did_not_bring_back_stays_a_difference(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("right")
    item = ("file", str(file))
    recorded(order, item)
    file.write_text("wrong")
    again(order, item)
    again(order, item)
    assert [found[:2] for found in drift(order)] == [list(item)]
    file.write_text("right")
    assert drift(order) == []


def test_other_inputs_or_somebody_s_word_make_new_states_right(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "file"
    item = ("file", str(file))
    for text, more in (("one", {}), ("two", {"inputs": "2"}), ("three", {"inputs": "2", "accept": True})):
        file.write_text(text)
        again(order, item, **more)
        assert drift(order) == []


def test_an_interrupted_run_forgets_nothing_of_what_was_right(order: Order, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("right")
    recorded(order, ("file", str(file)))
    order("record", run="killed", begin=["role"])
    file.write_text("wrong")
    again(order, ("file", str(file)))
    assert drift(order)


def test_trees_and_followed_files_may_be_others_after_a_run(order: Order, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    items = (("tree", str(tmp_path / "tree")), ("followed", str(tmp_path / "tree" / "file")))
    recorded(order, *items)
    (tmp_path / "tree" / "file").write_text("built anew")
    assert len(drift(order)) == 2
    again(order, *items)
    assert drift(order) == []


def test_memberships(order: Order) -> None:
    recorded(order, ("member", "root:no-such-group"), ("member", "nobody:root"))
    assert drift(order) == []


def test_links_that_are_asked_for(order: Order, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/somewhere/else")
    asked = [str(tmp_path / "link"), str(tmp_path / "none")]
    assert order("look", links=asked)["links"] == {asked[0]: "/somewhere/else", asked[1]: ""}
