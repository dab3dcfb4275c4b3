"""What every role must have, whatever it does."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

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
