"""The border to Ansible: an inventory read by Ansible's own loader, handed on as plain values with places.

Nothing behind this module sees Ansible's types. Its tagged values (ansible-core 2.19) become plain ones,
and the origin in each tag becomes a `Place`, so that a value is blamed on the file that Ansible took it from.
Variable files are combined in Ansible's order (all, groups, host); a test compares with Ansible's own result.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, reduce
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.site import files
from xjops.site.problems import Loc, Place, Places, Problem, spell

PASSWORD_VARIABLE = "XJOPS_VAULT_PASSWORD_FILE"  # noqa: S105 - the name of a variable, no password


@dataclass(frozen=True)
class RawHost:
    """A host as the inventory has it: variables from files only, none of Ansible's own."""

    name: str
    groups: tuple[str, ...]
    values: dict[str, Any]
    places: Places


@dataclass
class Raw:
    """An inventory read: plain values, their places, and what was wrong with the files."""

    values: dict[str, Any] = field(default_factory=dict)
    places: Places = field(default_factory=lambda: Places(Place(Path())))
    groups: tuple[str, ...] = ()
    hosts: tuple[RawHost, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def password_file(site: str) -> Path:
    """Where the vault password of `site` is: the variable's file, else the one in the site's state folder."""
    named = os.environ.get(PASSWORD_VARIABLE)
    return Path(named).expanduser().absolute() if named else paths.state(site) / "vault-password"


def read(folder: Path) -> Raw:
    """Read the inventory in `folder`; what can't be read is named in `problems`."""
    from ansible.errors import AnsibleError
    from ansible.parsing.dataloader import DataLoader

    raw = Raw(places=Places(Place(folder / "hosts.yml")))
    loader = DataLoader()
    loader.set_basedir(str(folder))
    vault = unlock(loader, folder, raw.problems)
    if raw.problems:
        return raw
    border = Border(vault)
    try:
        # What Ansible would warn of here is a `Problem` already, with its line.
        with contextlib.redirect_stderr(io.StringIO()):
            _combine(raw, border, loader, folder)
    except AnsibleError as error:
        text = " ".join(str(error).split())
        raw.problems.append(Problem("hosts.yml", raw.places.whole, text, "see inventories/example"))
    raw.problems += border.problems
    return raw


def read_file(path: Path) -> tuple[Any, Places]:
    """One YAML file by Ansible's loader: plain value and places.

    The caller has looked for bad YAML before (`files.yaml_problems`).
    """
    from ansible.parsing.dataloader import DataLoader

    with contextlib.redirect_stderr(io.StringIO()):
        return Border(None).plain(DataLoader().load_from_file(str(path), unsafe=True), Place(path))


def unlock(loader: Any, folder: Path, problems: list[Problem]) -> Any:
    """Give `loader` the vault password if a file needs one, and try it on every vaulted file.

    Returns the `VaultLib` for vaulted values in files that are not vaulted as a whole; None without a vault.
    """
    from ansible.errors import AnsibleError
    from ansible.parsing.vault import VaultLib, get_file_vault_secret

    found = files.variable_files(folder)
    vaulted = [path for path in found if files.encrypted(path)]
    inline = [path for path in found if b"!vault" in path.read_bytes()]
    if not vaulted and not inline:
        return None
    password = password_file(folder.name)
    mend = f"put it there or set {PASSWORD_VARIABLE} (in a lab: remove the vault, then xjops lab up)"
    try:
        secret = get_file_vault_secret(filename=str(password), loader=loader)
        secret.load()
    except (AnsibleError, OSError) as error:
        said = " ".join(str(error).split()).removesuffix(": None").rstrip(".")
        reason = said if password.exists() else f"there is no {password}"
        what = f"is vaulted, and its password can't be read: {reason}"
        problems += [Problem("vault", Place(path), what, mend) for path in (*vaulted, *inline)]
        return None
    loader.set_vault_secrets([("default", secret)])
    for path in vaulted:
        try:
            loader.get_text_file_contents(str(path))
        except AnsibleError:
            what = f"the vault password in {password} is wrong"
            problems.append(Problem("vault", Place(path), what, mend))
            continue
        try:
            loader.load_from_file(str(path), unsafe=True, trusted_as_template=True)
        except AnsibleError:
            problems.append(Problem("vault", Place(path), "is no YAML inside", f"ansible-vault edit {path}"))
    return VaultLib([("default", secret)])


def _combine(raw: Raw, border: Border, loader: Any, folder: Path) -> None:
    from ansible.inventory.data import InventoryData
    from ansible.inventory.helpers import get_group_vars, sort_groups
    from ansible.plugins.loader import inventory_loader, vars_loader
    from ansible.utils.vars import combine_vars

    source = folder / "hosts.yml"
    inventory = InventoryData()
    inventory_loader.get("yaml").parse(inventory, loader, str(source))
    inventory.reconcile_inventory()
    plugin = vars_loader.get("host_group_vars")

    def from_files(*entities: Any) -> Any:
        # Uncached: a vault made after an earlier load must be seen.
        return plugin.get_vars(loader, str(folder), list(entities), cache=False)

    def combined(*parts: Any) -> Any:
        return reduce(combine_vars, parts, {})

    everyone = inventory.groups["all"]
    shared = combined(everyone.vars, from_files(everyone))
    raw.values, raw.places = border.plain(shared, Place(folder / "group_vars" / "all" / "site.yml"))
    raw.groups = tuple(str(name) for name in inventory.groups)
    hosts = []
    for host in inventory.hosts.values():
        groups = sort_groups([group for group in host.get_groups() if group.name != "all"])
        own = {
            key: value for key, value in host.vars.items() if key not in ("inventory_file", "inventory_dir")
        }
        # Ansible's order: what hosts.yml says of all and of groups, files of all, files of groups, the host.
        variables = combined(
            everyone.vars,
            get_group_vars(groups),
            from_files(everyone),
            from_files(*groups),
            own,
            from_files(host),
        )
        mine = {key: value for key, value in variables.items() if shared.get(key) is not value}
        values, places = border.plain(mine, Place(source))
        values, places = raw.values | values, Places(places.whole, {**raw.places.places, **places.places})
        hosts.append(RawHost(str(host.name), tuple(str(group.name) for group in groups), values, places))
    raw.hosts = tuple(hosts)


class Border:
    """Turns Ansible's tagged values into plain ones and remembers where each stands."""

    def __init__(self, vault: Any) -> None:
        self.vault = vault
        self.problems: list[Problem] = []

    def plain(self, value: Any, whole: Place) -> tuple[Any, Places]:
        """`value` without Ansible's tags, and the place of each part; `whole` where no tag says."""
        found: dict[Loc, Place] = {}
        places = Places(whole, found)
        return self._plain(value, (), places, found), places

    def _plain(self, value: Any, loc: Loc, places: Places, found: dict[Loc, Place]) -> Any:
        from ansible.module_utils._internal._datatag import AnsibleTagHelper
        from ansible.parsing.vault import EncryptedString

        native = AnsibleTagHelper.as_native_type
        if isinstance(value, (Mapping, list, tuple)):
            parts = value.items() if isinstance(value, Mapping) else [(None, item) for item in value]
            result: list[tuple[Any, Any]] = []
            for index, (key, item) in enumerate(parts):
                name = index if key is None else native(key)
                inner = (*loc, name)
                place = _origin(item, key)
                if place:
                    found[inner] = place
                result.append((name, self._plain(item, inner, places, found)))
            return dict(result) if isinstance(value, Mapping) else [item for _, item in result]
        if isinstance(value, EncryptedString):
            return self._reveal(value, loc, places)
        return native(value)

    def _reveal(self, value: Any, loc: Loc, places: Places) -> str:
        from ansible.errors import AnsibleError
        from ansible.parsing.vault import VaultHelper

        try:
            return str(self.vault.decrypt(VaultHelper.get_ciphertext(value, with_tags=False)).decode())
        except (AnsibleError, UnicodeDecodeError):
            what, mend = "the vault password is wrong", f"set {PASSWORD_VARIABLE}"
            self.problems.append(Problem(spell(loc), places.at(loc), what, mend))
            return ""


def _origin(value: Any, key: Any) -> Place | None:
    """The line of the key where it stands in the same file as the value; else the value's own line."""
    from ansible._internal._datatag._tags import Origin

    of_value, of_key = Origin.get_tag(value), Origin.get_tag(key)
    # A combined mapping keeps the key object of the weaker file: the value tells which file counts.
    best = of_key if of_key and (not of_value or of_value.path == of_key.path) else of_value
    return _place(best.path, best.line_num) if best and best.path else None


@cache
def _place(path: str, line: int | None) -> Place:
    return Place(Path(path), line)
