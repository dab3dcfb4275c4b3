"""Loading: the sites of the repository, Ansible's own view of them, plain types, and the vault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.vars.manager import VariableManager

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.site import Site, inventory, loader

SITES = ("example", "lab", "shaanxi")
PLAIN = (str, int, float, bool, type(None), dict, list)


@pytest.fixture(autouse=True)
def _sites(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The repository's sites without what `xjops lab up` adds to the lab in this checkout."""
    inventories = tmp_path_factory.mktemp("sites")
    for name in SITES:
        unwanted = shutil.ignore_patterns("vault.yml", "files")
        shutil.copytree(paths.project() / "inventories" / name, inventories / name, ignore=unwanted)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(inventories))


@pytest.mark.parametrize("name", SITES)
def test_the_sites_of_the_repository_load(name: str) -> None:
    site = Site.load(name)
    assert site.name == name
    assert site.secrets == {}
    assert {host.name for host in site.group("web_servers")} >= set(site.balancer.members)


@pytest.mark.parametrize("name", ["lab", "shaanxi"])
def test_a_province_has_eleven_machines_and_hosts_in_written_order(name: str) -> None:
    site = Site.load(name)
    eleven = [*(f"web{number}" for number in range(1, 10)), "packaging", "scheduling"]
    assert [host.name for host in site.virtual_machines] == eleven
    assert [host.name for host in site.hosts][:11] == eleven
    assert site.balancer.members == tuple(f"web{number}" for number in range(2, 10))


@pytest.mark.parametrize("name", SITES)
def test_values_are_those_of_ansible(name: str) -> None:
    folder = paths.inventories() / name
    loader_ = DataLoader()
    loader_.set_basedir(str(folder))
    manager = InventoryManager(loader=loader_, sources=[str(folder / "hosts.yml")])
    variables = VariableManager(loader=loader_, inventory=manager)
    raw = inventory.read(folder)
    assert {host.name for host in raw.hosts} == {host.name for host in manager.get_hosts()}
    for host in raw.hosts:
        theirs = variables.get_vars(host=manager.get_host(host.name), include_hostvars=False)
        assert host.values == {key: theirs[key] for key in host.values}
        magic = set(theirs) - set(host.values)
        assert all(key.startswith(("ansible_", "inventory_")) or key in MAGIC for key in magic), magic
        assert set(host.groups) == {group.name for group in manager.get_host(host.name).get_groups()} - {
            "all"
        }


MAGIC = {"group_names", "groups", "omit", "playbook_dir"}


def test_a_weaker_file_yields_to_a_stronger_one_and_the_place_follows(example: Path) -> None:
    (example / "host_vars").mkdir()
    (example / "host_vars" / "web2.yml").write_text("---\n# more\ndisk_gb: 80\n")
    site = Site.load("mistaken")
    assert (site.host("web2").disk_gb, site.host("web3").disk_gb) == (80, 50)
    (example / "host_vars" / "web2.yml").write_text("---\n# more\ndisk_gb: none\n")
    with pytest.raises(
        ConfigurationError, match=r"'web2\.disk_gb' \(inventories/mistaken/host_vars/web2\.yml:3\)"
    ):
        Site.load("mistaken")


@pytest.mark.parametrize("name", SITES)
def test_no_type_of_ansible_crosses_the_border(name: str) -> None:
    raw = inventory.read(paths.inventories() / name)
    for values in (raw.values, *(host.values for host in raw.hosts)):
        for value in _every(values):
            assert type(value) in PLAIN


def _every(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Mapping):
        yield from (part for item in (*value.keys(), *value.values()) for part in _every(item))
    elif isinstance(value, list):
        yield from (part for item in value for part in _every(item))


@pytest.mark.parametrize("name", ["", ".", "..", "../lab", "nowhere", "/tmp"])
def test_what_is_no_site_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no site"):
        Site.load(name)


def test_a_misspelt_site_is_guessed() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'shaanxi'"):
        Site.load("shanxi")


def test_names_are_the_folders_with_hosts(example: Path) -> None:
    (example.parent / "empty").mkdir()
    assert loader.names() == ["mistaken"]


# The vault

SECRETS = "vault_vcenter_password: s3cret\nvault_database_password: '{{ not a template }}'\n"


def vault(site: Path, password: str, text: str = SECRETS) -> Path:
    """A vaulted file in the site, and the right password in its state folder."""
    file = site / "group_vars" / "all" / "vault.yml"
    file.write_bytes(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text.encode()))
    return file


def put_password(site: Path, password: str) -> Path:
    file = paths.state(site.name) / "vault-password"
    file.write_text(f"{password}\n")
    return file


def test_secrets_come_from_the_vault_and_are_never_shown(example: Path) -> None:
    vault(example, "open sesame")
    put_password(example, "open sesame")
    site = Site.load("mistaken")
    assert site.secret("vault_vcenter_password") == "s3cret"
    assert site.secret("vault_database_password") == "{{ not a template }}"
    assert "s3cret" not in repr(site) + str(site.model_dump(mode="json"))


def test_a_vault_made_after_a_first_load_is_seen(example: Path) -> None:
    assert Site.load("mistaken").secrets == {}
    vault(example, "open sesame")
    put_password(example, "open sesame")
    assert set(Site.load("mistaken").secrets) == {"vault_vcenter_password", "vault_database_password"}


def test_a_secret_that_the_vault_lacks(example: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"'vault_vcenter_password' .*missing value → ansible-vault edit"
    ):
        Site.load("mistaken").secret("vault_vcenter_password")


def test_the_variable_names_another_password_file(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault(example, "open sesame")
    put_password(example, "wrong")
    script = tmp_path / "ask"
    script.write_text("#!/bin/sh\necho open sesame\n")
    script.chmod(0o700)
    monkeypatch.setenv("XJOPS_VAULT_PASSWORD_FILE", str(script))
    assert Site.load("mistaken").secret("vault_vcenter_password") == "s3cret"


@pytest.mark.parametrize(("given", "seen"), [("open sesame", "s3cret"), ("wrong", None)])
def test_a_single_vaulted_value(example: Path, given: str, seen: str | None) -> None:
    text = VaultLib([("default", VaultSecret(b"open sesame"))]).encrypt(b"s3cret").decode()
    lines = "".join(f"  {line}\n" for line in text.splitlines())
    (example / "group_vars" / "all" / "more.yml").write_text(f"vault_extra: !vault |\n{lines}")
    put_password(example, given)
    if seen:
        assert Site.load("mistaken").secret("vault_extra") == seen
    else:
        with pytest.raises(
            ConfigurationError, match=r"'vault_extra' \(.*more\.yml:1\): the vault password is wrong"
        ):
            Site.load("mistaken")
