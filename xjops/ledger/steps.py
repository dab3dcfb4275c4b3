"""Which steps of the site's playbook concern which host, and what each step depends on; from Ansible's own
objects.

A step is a role as the playbook runs it on a host: its name, and the file of tasks where that isn't `main`
(`registry_release/build`). Nothing is executed: conditions are judged with the variables of the inventory,
never with facts.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.site import inventory

INCLUDE = {"include_role", "ansible.builtin.include_role"}


@dataclass(frozen=True)
class Step:
    """A role of the playbook on one host; `values` are its documented variables as they are for that host."""

    name: str
    role: str
    values: dict[str, Any]


def name_of(role: Any) -> str:
    """The step's name of a role that Ansible loaded or includes."""
    part = (getattr(role, "_from_files", None) or {}).get("tasks")
    name = str(getattr(role, "_role_name", ""))
    return f"{name}/{Path(str(part)).stem}" if part and Path(str(part)).stem != "main" else name


def outermost_role(node: Any) -> Any:
    """The role under whose name a task runs: a role that another one includes counts as part of that."""
    found = None
    while node is not None:
        found = getattr(node, "_role", None) or found
        node = getattr(node, "_parent", None)
    return found


def is_caught(task: Any) -> bool:
    """Whether a failure of the task ends in a `rescue` around it."""
    node = task
    while (parent := getattr(node, "_parent", None)) is not None:
        rescue = getattr(parent, "rescue", None)
        if rescue and node._uuid not in {other._uuid for other in [*rescue, *parent.always]}:
            return True
        node = parent
    return False


class Book:
    """The site's playbook with its inventory, read by Ansible. Raises `ConfigurationError` where it can't."""

    def __init__(self, folder: Path, playbook: Path | None = None) -> None:
        self.folder = folder
        self.playbook = playbook or paths.project() / "playbooks" / "site.yml"

    @cached_property
    def _read(self) -> tuple[Any, Any, Any, list[Any]]:
        from ansible import context
        from ansible.errors import AnsibleError
        from ansible.inventory.manager import InventoryManager
        from ansible.module_utils.common.collections import ImmutableDict
        from ansible.parsing.dataloader import DataLoader
        from ansible.playbook import Playbook
        from ansible.plugins.loader import init_plugin_loader
        from ansible.vars.hostvars import HostVars
        from ansible.vars.manager import VariableManager

        if not context.CLIARGS:
            context.CLIARGS = ImmutableDict(tags=["all"], skip_tags=[], check=False)
            init_plugin_loader()
        _forget_variable_files()
        loader = DataLoader()
        inventory.unlock(loader, self.folder, [])
        loader.set_basedir(str(self.playbook.parent))
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                hosts = InventoryManager(loader, sources=[str(self.folder)])
                variables = VariableManager(loader, hosts)
                HostVars(hosts, variables, loader)  # gives `variables` its hostvars
                book = Playbook.load(str(self.playbook), variable_manager=variables, loader=loader)
        except AnsibleError as error:
            text = " ".join(str(error).split())
            what = f"{self.playbook.name} can't be read: {text}"
            raise ConfigurationError(what, mend="make lint") from None
        return loader, hosts, variables, list(book.get_plays())

    def steps(self) -> dict[str, list[Step]]:
        """Every host's steps, in the order in which the playbook runs them."""
        _, hosts, _, plays = self._read
        found: dict[str, list[Step]] = {str(host.name): [] for host in hosts.get_hosts("all")}
        for play in plays:
            for host in hosts.get_hosts(play.hosts):
                if host.name in found:
                    found[host.name] += self._of_play(play, host)
        return found

    def _of_play(self, play: Any, host: Any) -> Iterator[Step]:
        from ansible.template import Templar

        loader, _, variables, _ = self._read
        values = variables.get_vars(play=play, host=host)
        for role in play.roles:
            yield self._step(role, role, values)
        for block in play.tasks:
            for task in tasks_of(block):
                holds = Templar(loader, values).evaluate_conditional
                if task.action in INCLUDE and all(map(holds, task.when)):
                    yield self._step(task, self._role(play, str(task._role_name)), values)

    def _role(self, play: Any, name: str) -> Any:
        from ansible.playbook.role import Role
        from ansible.playbook.role.include import RoleInclude

        loader, _, variables, _ = self._read
        key = f"role {name}"
        if key not in self.__dict__:
            include = RoleInclude.load(name, play=play, variable_manager=variables, loader=loader)
            self.__dict__[key] = Role.load(include, play=play)
        return self.__dict__[key]

    def _step(self, called: Any, role: Any, values: dict[str, Any]) -> Step:
        from ansible.template import Templar

        loader = self._read[0]
        known = {**role.get_default_vars(), **values}
        templar = Templar(loader, known)
        name = str(role._role_name)
        shown = {key: self._value(templar, key, known[key], name) for key in _options(role) if key in known}
        return Step(name_of(called), name, shown)

    def _value(self, templar: Any, key: str, value: Any, role: str) -> Any:
        from ansible.errors import AnsibleError

        try:
            return _plain(templar.template(value))
        except AnsibleError as error:
            what = f"At '{key}' (role {role}): {' '.join(str(error).split())}"
            where = f"{self.folder}/group_vars/all"
            mend = f"set it in {where} (secrets: ansible-vault edit; in a lab: xjops lab up)"
            raise ConfigurationError(what, mend=mend) from None


def _forget_variable_files() -> None:
    """Ansible remembers for the life of the process which files a folder has; a vault may have come since."""
    from ansible.plugins.loader import vars_loader

    plugin = sys.modules[type(vars_loader.get("host_group_vars")).__module__]
    for memory in (plugin.FOUND, plugin.NAK):
        memory.clear()


def _options(role: Any) -> list[str]:
    """The variables that the role documents, whatever the file of tasks."""
    specs = role._get_role_argspecs() or {}
    return sorted({name for spec in specs.values() for name in spec.get("options", {})})


def tasks_of(block: Any) -> Iterator[Any]:
    for task in [*block.block, *block.rescue, *block.always]:
        if hasattr(task, "block"):
            yield from tasks_of(task)
        else:
            yield task


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str, sort_keys=True))
