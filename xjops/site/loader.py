"""Read a site: its files, Ansible's view of them, the types, and the rules between the values."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.site import explain, files, inventory, keys, rules
from xjops.site.model import Host, Site
from xjops.site.problems import Place, Places, Problem, refuse, similar
from xjops.site.structure import Structure

SITE_FILE = "group_vars/all/site.yml"


def names() -> list[str]:
    """The sites there are: folders under inventories/ with a hosts.yml."""
    return sorted(path.parent.name for path in paths.inventories().glob("*/hosts.yml"))


def folder_of(name: str) -> Path:
    """The folder of a site; `ConfigurationError` when there is none of that name."""
    folder = paths.inventories() / name
    if name not in [path.name for path in paths.inventories().glob("*")] or not folder.is_dir():
        there = "xjops site list" if names() else "set XJOPS_INVENTORIES to the folder that holds your sites"
        mend = similar(name, names()) or there
        raise ConfigurationError(f"no site '{name}' under {paths.inventories()}", mend=mend)
    return folder


@dataclass
class Reading:
    """What was read of a site: the parts that are right so far, and every problem."""

    name: str
    folder: Path
    draft: rules.Draft
    problems: list[Problem]
    secrets: dict[str, SecretStr]
    sections: dict[str, Any]

    def site(self) -> Site:
        """The site; `ConfigurationError` with every problem found."""
        refuse(self.name, self.problems)
        return Site(
            name=self.name,
            folder=self.folder,
            hosts=self.draft.hosts,
            secrets=self.secrets,
            **self.sections,
        )


def load(name: str) -> Site:
    """The site in `inventories/<name>/`; `ConfigurationError` with every problem found."""
    return read(name).site()


def read(name: str) -> Reading:
    """What can be read of a site that may have problems; `ConfigurationError` where nothing can."""
    folder = folder_of(name)
    problems: list[Problem] = []
    structure = _files(folder, problems)
    if structure is None or structure.problems or any(problem.fatal for problem in problems):
        refuse(name, problems)
    assert structure is not None  # noqa: S101 - refused above, for mypy
    raw = inventory.read(folder)
    problems += raw.problems
    if not raw.hosts:
        refuse(name, problems)
    sections: dict[str, Any] = {
        key: _section(key, section, raw, problems) for key, section in keys.SECTIONS.items()
    }
    order = list(structure.hosts)  # as written: Ansible's own order is by depth of groups
    raw.hosts = tuple(sorted(raw.hosts, key=lambda item: order.index(item.name)))
    of_hosts: list[Problem] = []
    found = [_host(item, structure.hosts[item.name], of_hosts) for item in raw.hosts]
    problems += _once(of_hosts)
    draft = _draft(folder, raw, structure, sections, tuple(host for host in found if host))
    problems += rules.check(draft)
    problems += keys.loose(raw)
    secrets = {key: SecretStr(str(value)) for key, value in raw.values.items() if key.startswith(keys.SECRET)}
    return Reading(name, folder, draft, problems, secrets, sections)


def _files(folder: Path, problems: list[Problem]) -> Structure | None:
    source = folder / "hosts.yml"
    problems += files.stray_entries(folder)
    if not source.is_file():
        problems.append(
            Problem("hosts.yml", Place(source), "missing file", "write it as in inventories/example")
        )
        return None
    of_hosts = list(files.yaml_problems(source))
    problems += of_hosts
    for path in files.variable_files(folder):
        problems += [] if files.encrypted(path) else files.yaml_problems(path)
    if any(problem.fatal for problem in of_hosts):
        return None
    structure = Structure(source, *inventory.read_file(source))
    problems += structure.problems
    problems += files.unused_files(folder, ["all", *structure.groups], list(structure.hosts))
    return structure


def _section(
    key: str, section: type[BaseModel], raw: inventory.Raw, problems: list[Problem]
) -> BaseModel | None:
    if raw.values.get(key) is None:
        place = raw.places.at((key,))
        mend = f"write '{key}:' with its keys below it, as in inventories/example"
        problems.append(Problem(key, place, "missing value", mend))
        return None
    value, places = raw.values[key], raw.places.below(key)
    jinja = list(keys.templates(value, places, (key,)))
    part, wrong = (None, []) if jinja else explain.validate(section, value, places, (key,))
    problems += jinja + wrong
    return part


def _host(item: inventory.RawHost, named: Place, problems: list[Problem]) -> Host | None:
    places = Places(named, item.places.places)
    values: dict[str, Any] = {"name": item.name, "groups": item.groups}
    for field, key in keys.HOST_KEYS.items():
        if key not in item.values:
            continue
        jinja = list(keys.templates(item.values[key], places.below(key), (item.name, key)))
        problems += jinja
        if not jinja:
            values[field] = item.values[key]
        elif field == "address":
            return None
    host, wrong = explain.validate(Host, values, places, (item.name,), keys.HOST_KEYS)
    problems += wrong
    return host


def _once(problems: list[Problem]) -> list[Problem]:
    """A mistake in a file of a group is named once, not for every host of the group."""
    kept: dict[object, Problem] = {}
    for problem in problems:
        of_group = "group_vars" in problem.place.file.parts
        key = problem.key.partition(".")[2] if of_group else problem.key
        kept.setdefault((key, problem.place, problem.what), problem)
    return list(kept.values())


def _draft(
    folder: Path, raw: inventory.Raw, structure: Structure, sections: dict[str, Any], hosts: tuple[Host, ...]
) -> rules.Draft:
    used = ("site", "network", "vcenter", "database", "storage", "balancer")
    return rules.Draft(
        places=Places(Place(folder / SITE_FILE), raw.places.places),
        source=folder / "hosts.yml",
        host_places={item.name: item.places for item in raw.hosts},
        groups_of={item.name: item.groups for item in raw.hosts},
        named=structure.hosts,
        hosts=hosts,
        **{key: sections[key] for key in used},
    )
