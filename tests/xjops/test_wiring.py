"""The wiring between sites and roles: complete, without dead ends, and only in playbooks/group_vars.

Roles read only their own argument_specs variables; playbooks/group_vars maps site keys and vault values to
them. A role that reads another variable could not be judged by its inputs (what changed since its last run?).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from jinja2 import Environment, TemplateSyntaxError, meta

PROJECT = Path(__file__).parents[2]
ROLES = sorted(path.parents[1].name for path in PROJECT.glob("roles/*/meta/argument_specs.yml"))
GROUP_VARS = sorted((PROJECT / "playbooks/group_vars").rglob("*.yml"))

# What Ansible itself provides and a role may read: who the host is, how the run goes, where the role lies.
AMBIENT = {
    "ansible_check_mode",
    "ansible_diff_mode",
    "ansible_failed_result",
    "ansible_failed_task",
    "ansible_managed",
    "ansible_playbook_python",
    "inventory_hostname",
    "role_name",
    "role_path",
    "omit",
    "item",
    "lookup",
    "query",
    "undef",
    "now",
    "range",
    "dict",
    "namespace",
}
# Keywords of tasks and plays whose text is an expression without braces.
BARE = {"when", "failed_when", "changed_when", "until", "that"}
DECLARING = {"register", "set_fact", "vars", "loop_var", "index_var"}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def specs(role: str) -> dict[str, dict[str, Any]]:
    """Every option of a role's entry points, by name."""
    entries = load(PROJECT / "roles" / role / "meta/argument_specs.yml")["argument_specs"].values()
    return {name: option for entry in entries for name, option in (entry.get("options") or {}).items()}


@cache
def wired() -> dict[str, Path]:
    """Every variable of playbooks/group_vars and the file that sets it."""
    return {name: path for path in GROUP_VARS for name in load(path) or {}}


@cache
def grammar() -> Environment:
    """Ansible's Jinja with all its filters and tests."""
    init_plugin_loader()
    return Templar(loader=DataLoader())._engine.environment  # Ansible offers no public way to its grammar


def undeclared(text: str) -> set[str]:
    """Variables that a template reads and doesn't define itself."""
    return meta.find_undeclared_variables(grammar().parse(text))


def strings(node: Any, key: str = "") -> Iterator[str]:
    """Every text of a task file that Ansible renders, bare expressions in braces."""
    if isinstance(node, dict):
        for name, value in node.items():
            yield from strings(name)
            yield from strings(value, str(name))
    elif isinstance(node, list):
        for value in node:
            yield from strings(value, key)
    elif isinstance(node, str):
        yield f"{{{{ {node} }}}}" if key in BARE and "{{" not in node else node


def declared(node: Any) -> set[str]:
    """Names that task files define: registered results, facts, task variables, loop variables."""
    names: set[str] = set()
    if isinstance(node, dict):
        for key, value in node.items():
            plain = str(key).removeprefix("ansible.builtin.")
            if plain in DECLARING:
                names |= set(value) if isinstance(value, dict) else {str(value)}
            names |= declared(value)
    elif isinstance(node, list):
        for value in node:
            names |= declared(value)
    return names


def read_by(role: str) -> dict[str, Path]:
    """Every variable that a role reads and the file that does."""
    folder = PROJECT / "roles" / role
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        part = path.relative_to(folder).parts[0]
        if part in {"tasks", "handlers", "defaults", "vars", "meta"} and path.suffix == ".yml":
            texts = list(strings(load(path)))
        elif part == "templates" and path.is_file():
            texts = [path.read_text(encoding="utf-8")]
        else:
            continue
        for text in texts:
            try:
                found |= dict.fromkeys(undeclared(text), path)
            except TemplateSyntaxError as error:
                raise AssertionError(f"{path}: {error}: {text}") from None
    return found


def own_names(role: str) -> set[str]:
    """What a role may read besides its arguments: what it defines itself."""
    folder = PROJECT / "roles" / role
    names: set[str] = set()
    for path in folder.rglob("*.yml"):
        part = path.relative_to(folder).parts[0]
        if part in {"tasks", "handlers"}:
            names |= declared(load(path))
        elif part == "vars":
            names |= set(load(path) or {})
    return names


def test_there_are_roles_to_look_at() -> None:
    assert {"base", "postgresql", "registry_release", "registry_web", "load_balancer"} <= set(ROLES)
    assert sorted(path.name for path in (PROJECT / "roles").iterdir() if path.is_dir()) == ROLES


@pytest.mark.parametrize("role", ROLES)
def test_required_arguments_are_wired(role: str) -> None:
    required = {name for name, option in specs(role).items() if option.get("required")}
    assert required - set(wired()) == set(), f"wire them in {GROUP_VARS[0].parent}"


def test_wired_variables_are_somebodys_argument() -> None:
    arguments = {name for role in ROLES for name in specs(role)}
    helpers = {name for name in wired() if name.startswith("site_")}
    assert set(wired()) - arguments - helpers == set()
    texts = "\n".join(
        path.read_text(encoding="utf-8") for path in [*GROUP_VARS, PROJECT / "playbooks/site.yml"]
    )
    assert {name for name in helpers if len(re.findall(rf"\b{name}\b", texts)) < 2} == set(), "not used"


@pytest.mark.parametrize("role", ROLES)
def test_arguments_carry_the_roles_name_and_a_description(role: str) -> None:
    for name, option in specs(role).items():
        assert name.startswith(f"{role}_"), name
        assert option.get("description"), name
        assert option.get("type"), name


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_what_the_argument_specs_say(role: str) -> None:
    path = PROJECT / "roles" / role / "defaults/main.yml"
    defaults = (load(path) or {}) if path.exists() else {}
    assert {name: value for name, value in defaults.items() if name not in specs(role)} == {}
    promised = {name: option["default"] for name, option in specs(role).items() if "default" in option}
    assert defaults == promised
    assert not [name for name in defaults if specs(role)[name].get("required")]


@pytest.mark.parametrize("role", ROLES)
def test_every_default_has_a_comment_above_it(role: str) -> None:
    path = PROJECT / "roles" / role / "defaults/main.yml"
    if not path.exists():
        pytest.skip("no defaults")
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").removeprefix("---\n"))
    bare = [
        block for block in blocks if re.search(r"^\w+:", block, re.MULTILINE) and not block.startswith("#")
    ]
    assert bare == []


@pytest.mark.parametrize("role", ROLES)
def test_roles_read_only_their_own_variables(role: str) -> None:
    allowed = set(specs(role)) | own_names(role) | AMBIENT
    foreign = {
        name: str(path.relative_to(PROJECT)) for name, path in read_by(role).items() if name not in allowed
    }
    assert foreign == {}


@pytest.mark.parametrize("role", ROLES)
def test_what_roles_define_carries_their_name(role: str) -> None:
    passed_on = {name for other in ROLES for name in specs(other)}  # arguments of a role that it includes
    prefixes = (f"{role}_", f"__{role}_", "__role_", "ansible_")
    assert {name for name in own_names(role) - passed_on if not name.startswith(prefixes)} == set()


@pytest.mark.parametrize("role", ROLES)
def test_no_file_of_tasks_is_long(role: str) -> None:
    for path in (PROJECT / "roles" / role / "tasks").glob("*.yml"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 150, path


def test_a_role_that_reads_a_site_key_would_be_found() -> None:
    assert undeclared("{{ network.management | join(',') }}") == {"network"}
    assert undeclared("{{ hostvars[x].y }}{% for z in load_balancer_members %}{{ z }}{% endfor %}") == {
        "hostvars",
        "x",
        "load_balancer_members",
    }
    assert [*strings({"when": "storage.kind == 'nfs'"})] == ["when", "{{ storage.kind == 'nfs' }}"]
