"""What every role must have, whatever it does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from xjops.ledger.watch import short, watchable

ROLES = Path(__file__).parents[2] / "roles"
NAMES = sorted(path.name for path in ROLES.iterdir() if (path / "tasks").is_dir())


def variables(role: Path) -> dict[str, dict[str, object]]:
    """The options of the role's main entry point."""
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())
    return dict(specs["argument_specs"]["main"].get("options") or {})


def test_there_are_roles() -> None:
    assert len(NAMES) >= 10


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_described_and_commented(name: str) -> None:
    role = ROLES / name
    text = (role / "defaults" / "main.yml").read_text()
    defaults = yaml.safe_load(text) or {}
    assert set(defaults) <= set(variables(role)), "a default that argument_specs does not know"
    lines = text.splitlines()
    for key in defaults:
        number = next(n for n, line in enumerate(lines) if line.startswith(f"{key}:"))
        start = max((n for n in range(number) if not lines[n].strip()), default=0)
        assert any(line.startswith("#") for line in lines[start:number]), f"{key} has no comment above it"


@pytest.mark.parametrize("name", NAMES)
def test_variables_carry_the_roles_name_and_a_description(name: str) -> None:
    for key, about in variables(ROLES / name).items():
        assert key.startswith(f"{name}_"), key
        assert about.get("description"), key
        assert about.get("type"), key


@pytest.mark.parametrize("name", NAMES)
def test_a_required_variable_has_no_default(name: str) -> None:
    defaults = yaml.safe_load((ROLES / name / "defaults" / "main.yml").read_text()) or {}
    required = {key for key, about in variables(ROLES / name).items() if about.get("required")}
    assert not required & set(defaults)


@pytest.mark.parametrize("name", NAMES)
def test_task_files_are_short(name: str) -> None:
    for path in (ROLES / name).rglob("tasks/*.yml"):
        assert len(path.read_text().splitlines()) <= 150, path


@pytest.mark.parametrize("name", NAMES)
def test_the_verify_can_fail(name: str) -> None:
    text = (ROLES / name / "molecule" / "default" / "verify.yml").read_text()
    assert any(word in text for word in ("assert", "failed_when", "http_answer", "fail:", "command:", "uri:"))
    assert "ignore_errors" not in text
    assert "failed_when: false" not in text


def tasks(role: Path) -> list[dict[str, object]]:
    """Every task of the role, those within blocks too."""
    found: list[dict[str, object]] = []
    left = [task for path in sorted(role.glob("tasks/*.yml")) for task in yaml.safe_load(path.read_text())]
    while left:
        task = left.pop(0)
        inner = [one for part in ("block", "rescue", "always") for one in task.get(part, [])]
        left += inner
        found += [] if inner else [task]
    return found


def action(task: dict[str, object]) -> str:
    """The module of a task."""
    return next(key for key in task if key not in KEYWORDS and not key.startswith("with_"))


KEYWORDS = {
    *("name", "register", "when", "vars", "loop", "loop_control", "until", "retries", "delay", "become"),
    *(
        "become_user",
        "changed_when",
        "failed_when",
        "no_log",
        "diff",
        "check_mode",
        "delegate_to",
        "run_once",
    ),
    *("environment", "tags", "notify", "ignore_errors"),
}


def says_what_it_leaves(task: dict[str, object]) -> bool:
    """By its module, by itself, or by changing nothing on the host."""
    module = short(action(task))
    source = ROLES.parent / "library" / f"{module}.py"
    return (
        watchable(module)
        or (source.is_file() and "ledger=" in source.read_text())
        or any(name.endswith("_ledger") for name in task.get("vars") or {})
        or task.get("changed_when") is False
        or task.get("delegate_to") == "localhost"
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_task_says_what_it_leaves_behind(name: str) -> None:
    """So that `xjops plan` sees when that differs (docs/decisions/0013-ledger.md)."""
    assert [task["name"] for task in tasks(ROLES / name) if not says_what_it_leaves(task)] == []


@pytest.mark.parametrize("name", NAMES)
def test_a_role_reads_no_variable_that_it_does_not_document(name: str) -> None:
    """What is read undocumented is no part of the step's inputs, and a change of it would go unseen."""
    role = ROLES / name
    parts = ("tasks", "templates", "vars", "defaults")
    files = [path for part in parts for path in (role / part).rglob("*")]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    registered = re.findall(r"register: (\w+)", text)
    own = {*variables(role), *registered, *re.findall(r"^ *(\w+):", text, re.M)}
    words = set(re.findall(rf"\b((?:__)?(?:{'|'.join(NAMES)})_\w+)\b", text))
    assert sorted(word for word in words if word not in own and word not in NAMES) == []
    facts = re.findall(r"\bansible_(?!check_mode|managed|playbook_python|become|connection|python)\w+", text)
    assert facts == []
