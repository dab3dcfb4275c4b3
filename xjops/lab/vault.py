"""The lab's vault: random secrets under the names that a site's vault has, encrypted by Ansible's library.

Values that are there stay; names that a later version needs are added.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from xjops.core.errors import ConfigurationError, UsageError
from xjops.lab.keys import write_private
from xjops.site.inventory import password_file

# name → bytes of randomness
NAMES: Mapping[str, int] = {
    "vault_vcenter_password": 18,
    "vault_database_password": 24,
    "vault_database_replication_password": 24,
    "vault_registry_secret_key": 48,
    "vault_registry_admin_password": 9,
}
HEADER = "# The lab's secrets, made by `xjops lab up`. Edit: ansible-vault edit (see ansible.cfg).\n"


def require_lab(folder: Path) -> None:
    """`UsageError` unless the site in `folder` says that it is a lab; read before anything is made for it."""
    file = folder / "group_vars" / "all" / "site.yml"
    if not folder.is_dir():
        raise ConfigurationError(f"no site {folder.name!r} under {folder.parent}", mend="xjops site list")
    try:
        kind = yaml.safe_load(file.read_text())["site"]["kind"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        # the site model says precisely what is wrong with it
        kind = None
    if kind == "production":
        raise UsageError(f"{folder.name} is a production site, not a lab", mend="xjops lab … --site lab")


def ensure_vault(folder: Path) -> bool:
    """The vault password and `group_vars/all/vault.yml` of the lab in `folder`; whether anything was made.

    Raises `ConfigurationError` when a vault is there whose password is not, or is another.
    """
    file, password = folder / "group_vars" / "all" / "vault.yml", password_file(folder.name)
    if not password.is_file():
        if file.is_file():
            raise ConfigurationError(
                f"{file} is there, but not its password ({password})",
                mend="put the password back, or make the lab anew: xjops lab down --purge",
            )
        write_private(password, secrets.token_urlsafe(24).encode() + b"\n")
    vault = _library(password)
    values = _read(vault, file, password) if file.is_file() else {}
    missing = [name for name in NAMES if name not in values]
    if not missing:
        return False
    values.update({name: secrets.token_urlsafe(NAMES[name]) for name in missing})
    text = HEADER + yaml.safe_dump(values, sort_keys=True)
    write_private(file, vault.encrypt(text))
    return True


def _library(password: Path) -> Any:
    from ansible.parsing.vault import VaultLib, VaultSecret

    return VaultLib([("default", VaultSecret(password.read_bytes().strip()))])


def _read(vault: Any, file: Path, password: Path) -> dict[str, Any]:
    from ansible.errors import AnsibleError

    try:
        values = yaml.safe_load(bytes(vault.decrypt(file.read_bytes())))
    except AnsibleError:
        raise ConfigurationError(
            f"{file} can't be decrypted with {password}",
            mend="put the right password back, or make the lab anew: xjops lab down --purge",
        ) from None
    if not isinstance(values, dict):
        raise ConfigurationError(f"{file} holds no mapping", mend="ansible-vault edit it, or remove it")
    return values
