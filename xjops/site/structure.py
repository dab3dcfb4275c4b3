"""The shape of hosts.yml: groups, children and hosts, before Ansible reads it.

Ansible passes over a misspelt `hots:` with a warning; here it is a `Problem` with its line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xjops.site import groups
from xjops.site.problems import Loc, Place, Places, Problem, similar, spell
from xjops.site.types import HOST_NAME

SECTIONS = ("children", "hosts", "vars")


class Structure:
    """What hosts.yml says of groups and hosts.

    `hosts` has where each host is named first, ranges such as ``web[1:9]`` expanded;
    `problems` what is wrong.
    """

    def __init__(self, file: Path, data: Any, places: Places) -> None:
        self.file = file
        self.places = places
        self.hosts: dict[str, Place] = {}
        self.groups: dict[str, Place] = {}
        self.problems: list[Problem] = list(self._groups(data or {}, ()))
        if not self.hosts and not self.problems:
            self.problems.append(
                Problem(
                    "hosts.yml", Place(file), "has no hosts", "write them as in inventories/example/hosts.yml"
                )
            )

    def _problem(self, loc: Loc, what: str, mend: str) -> Problem:
        return Problem(spell(tuple(map(str, loc))), self.places.at(loc), what, mend)

    def _groups(self, data: Mapping[Any, Any], around: Loc) -> Iterator[Problem]:
        for name, content in data.items():
            loc = (*around, name)
            if not isinstance(name, str):
                yield self._problem(loc, "a group's name is text", "put it in quotes")
                continue
            self.groups.setdefault(name, self.places.at(loc))
            guess = similar(name, groups.KNOWN) if name not in groups.KNOWN else ""
            if guess:
                yield self._problem(loc, "unknown group", guess)
            if content is not None and not isinstance(content, Mapping):
                yield self._problem(loc, "a group is a mapping", "write hosts: or children: below it")
                continue
            yield from self._sections(content or {}, loc)

    def _sections(self, content: Mapping[Any, Any], loc: Loc) -> Iterator[Problem]:
        for key, inner in content.items():
            here = (*loc, key)
            if key not in SECTIONS:
                guess = similar(str(key), SECTIONS) or "a group has hosts:, children: and vars: only"
                yield self._problem(here, "unknown key in a group", guess)
            elif inner is not None and not isinstance(inner, Mapping):
                yield self._problem(here, "is no mapping", "end each name with a colon: 'web1:'")
            elif key == "children":
                yield from self._groups(inner or {}, here)
            elif key == "hosts":
                yield from self._hosts(inner or {}, here)

    def _hosts(self, hosts: Mapping[Any, Any], loc: Loc) -> Iterator[Problem]:
        for name, values in hosts.items():
            here = (*loc, name)
            if not isinstance(name, str):
                yield self._problem(here, "a host's name is text", "put it in quotes")
                continue
            if values is not None and not isinstance(values, Mapping):
                yield self._problem(
                    here, "a host's values are a mapping", "write 'web1: {ansible_host: 192.0.2.11}'"
                )
            for host in expand(name):
                self.hosts.setdefault(host, self.places.at(here))
                if not HOST_NAME.fullmatch(host):
                    yield self._problem(here, f"'{host}' is no host name", "use letters, digits and hyphens")


def expand(name: str) -> list[str]:
    """The hosts that a name in hosts.yml stands for: `web[1:3]` → web1, web2, web3."""
    from ansible.errors import AnsibleError
    from ansible.plugins.inventory import detect_range, expand_hostname_range

    try:
        return [str(host) for host in expand_hostname_range(name)] if detect_range(name) else [name]
    except (AnsibleError, ValueError):
        return [name]
