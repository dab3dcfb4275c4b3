"""Which steps concern which host, by Ansible's own word, and what each depends on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.ledger import inputs
from xjops.ledger.inputs import Wanted, wanted
from xjops.ledger.steps import Book, Step, is_caught, name_of, outermost_role, tasks_of
from xjops.site import Site

SECRETS = (
    *("vault_database_password", "vault_database_replication_password", "vault_registry_secret_key"),
    *("vault_registry_admin_password",),
)


@pytest.fixture
def site(lab_site: Site, tmp_path: Path) -> Site:
    """The lab with the secrets and files that `xjops lab up` makes."""
    folder = lab_site.folder
    (folder / "group_vars" / "all" / "secrets.yml").write_text(
        "".join(f"{name}: secret-{number}\n" for number, name in enumerate(SECRETS))
    )
    return lab_site


def steps(site: Site, host: str) -> list[Step]:
    return Book(site.folder).steps()[host]


def test_every_host_has_its_steps_in_order(site: Site) -> None:
    found = Book(site.folder).steps()
    names = {host: [step.name for step in steps] for host, steps in found.items()}
    assert names["web2"] == [
        *("base", "registry_release/build", "shared_storage", "registry_release/activate", "registry_web"),
    ]
    assert names["db2"] == ["base", "postgresql"]
    assert names["lb1"] == ["base", "load_balancer", "load_balancer/verify"]
    assert names["repo"] == ["package_repository", "base"]
    assert names["monitor"] == ["base"]
    assert len(names) == 17


def test_a_step_knows_its_documented_variables_as_they_are_for_its_host(site: Site) -> None:
    values = next(step for step in steps(site, "web2") if step.name == "registry_release/build").values
    assert values["registry_release_node"] == "web2"
    assert values["registry_release_keep"] == 5, "a default of the role"
    assert values["registry_release_secret_key"] == "secret-2"
    assert not [name for name in values if not name.startswith("registry_release_")]


def test_a_condition_leaves_a_step_out(site: Site) -> None:
    file = site.folder / "group_vars" / "all" / "site.yml"
    file.write_text(file.read_text().replace("kind: haproxy", "kind: f5"))
    assert [step.name for step in steps(site, "lb1")] == ["base"]


def test_an_unreadable_playbook_is_one_line(site: Site, tmp_path: Path) -> None:
    book = tmp_path / "site.yml"
    book.write_text("- hosts: all\n  roles: [no_such_role]\n")
    with pytest.raises(ConfigurationError, match=r"site.yml can't be read: .*no_such_role"):
        Book(site.folder, book).steps()


def test_a_variable_that_nobody_sets_is_one_line(site: Site) -> None:
    file = site.folder / "group_vars" / "all" / "secrets.yml"
    file.write_text(file.read_text().replace("vault_database_password", "vault_database_pass"))
    with pytest.raises(ConfigurationError) as caught:
        Book(site.folder).steps()
    assert re.fullmatch(r"At '\w+' \(role \w+\): 'vault_database_password' is undefined", caught.value.what)
    assert caught.value.mend.startswith("set it in ")


@pytest.fixture
def of_site(site: Site, tmp_path: Path) -> Any:
    """The inputs of the site as they are now."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    return lambda: wanted(site.name, site.folder, tmp_path / "bundle")


def changed(before: Wanted, after: Wanted, host: str) -> set[tuple[str, str]]:
    """(step, input) of everything that differs on a host."""
    return {
        (step, name)
        for step, known in after.hosts[host].items()
        for name in known.keys() | before.hosts[host][step].keys()
        if known.get(name) != before.hosts[host][step].get(name)
    }


def test_a_changed_variable_is_named_where_it_counts(site: Site, of_site: Any) -> None:
    before = of_site()
    file = site.folder / "group_vars" / "all" / "site.yml"
    file.write_text(file.read_text().replace("timezone: Asia/Shanghai", "timezone: Asia/Urumqi"))
    after = of_site()
    assert ("base", "variable base_timezone") in changed(before, after, "web2")
    assert not [item for item in changed(before, after, "web2") if item[0] == "registry_web"]


def test_a_changed_bundle_concerns_every_step(of_site: Any, tmp_path: Path) -> None:
    before = of_site()
    (tmp_path / "bundle" / "manifest.json").write_text('{"a": 1}')
    after = of_site()
    assert changed(before, after, "monitor") == {("base", "bundle")}


def test_the_content_of_a_file_that_a_variable_names_counts(site: Site, of_site: Any) -> None:
    file = site.folder / "files" / "balancer.pem"
    file.parent.mkdir(exist_ok=True)
    file.write_text("old certificate")
    before = of_site()
    file.write_text("new certificate")
    name = "variable load_balancer_certificate_file"
    assert changed(before, of_site(), "lb1") == {("load_balancer", name), ("load_balancer/verify", name)}


def test_a_role_depends_on_the_modules_that_it_calls(of_site: Any) -> None:
    found = of_site().hosts
    known = {
        step: {name for name in inputs if name.startswith("module ")} for step, inputs in found["lb1"].items()
    }
    assert "module haproxy_members" in known["load_balancer"]
    assert "module host_files" in known["base"]
    assert "module haproxy_members" not in known["base"]


def test_no_value_can_be_read_or_guessed_from_the_inputs(
    site: Site, of_site: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = of_site()
    assert "secret-" not in str(before.hosts)
    assert "secret-" not in (paths.state(site.name) / "ledger-inputs.json").read_text()
    (tmp_path / "password").write_text("another\n")
    monkeypatch.setenv("XJOPS_VAULT_PASSWORD_FILE", str(tmp_path / "password"))
    assert ("registry_release/build", "variable registry_release_secret_key") in changed(
        before, of_site(), "web2"
    )


def test_what_was_worked_out_is_kept_until_a_file_changes(
    site: Site, of_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of_site()
    monkeypatch.setattr(inputs, "Book", None)  # not read again
    assert of_site() == before
    (site.folder / "group_vars" / "all" / "more.yml").write_text("a: 1\n")
    with pytest.raises(TypeError):
        of_site()


class Node:
    """A task, block or include as the names' functions see it."""

    def __init__(self, role: str | None = None, parent: Node | None = None, part: str | None = None) -> None:
        self._parent, self._role_name = parent, role
        self._from_files = {"tasks": part} if part else {}
        self._role = self if role else None


def test_names_of_steps() -> None:
    assert name_of(Node("base")) == "base"
    assert name_of(Node("base", part="main.yml")) == "base"
    assert name_of(Node("registry_release", part="build")) == "registry_release/build"


def test_a_role_within_a_role_counts_as_the_outer_one() -> None:
    outer = Node("package_repository")
    inner = Node("base", parent=Node(parent=outer), part="apt_source")
    assert outermost_role(Node(parent=inner)) is outer
    assert outermost_role(Node()) is None


def test_a_failure_that_a_rescue_catches() -> None:
    """By Ansible's own objects: in the block, nested in it, in the rescue itself, after it."""
    from ansible.parsing.dataloader import DataLoader
    from ansible.playbook.block import Block
    from ansible.playbook.play import Play

    task = {"ansible.builtin.command": "true"}
    inner = {"block": [{**task, "name": "nested"}]}
    data = {"block": [{**task, "name": "in it"}, inner], "rescue": [{**task, "name": "rescue"}]}
    play = Play.load({"hosts": "all"}, loader=DataLoader())
    block = Block.load({"block": [data, {**task, "name": "after"}]}, play=play, loader=DataLoader())
    caught = {task.name: is_caught(task) for task in tasks_of(block.copy())}
    assert caught == {"in it": True, "nested": True, "rescue": False, "after": False}
