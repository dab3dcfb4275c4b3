"""The files of a site's folder, looked at before Ansible reads them.

Ansible passes over much in silence: a misspelt `group_vars/web_server.yml`, a second value for the
same key, a stray file that it takes for an inventory. Here each is a `Problem` with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from xjops.site.problems import Loc, Place, Problem, similar, spell

ENTRIES = ("hosts.yml", "group_vars", "host_vars", "registers", "files")
SUFFIXES = ("", ".yml", ".yaml", ".json")  # what Ansible reads below group_vars/ and host_vars/
DOCUMENTS = (".md", ".txt", ".example")
VAULT = b"$ANSIBLE_VAULT;"
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def variable_files(folder: Path) -> list[Path]:
    """The files below group_vars/ and host_vars/ that Ansible reads, in its order."""
    return sorted(
        path
        for kind in ("group_vars", "host_vars")
        for path in (folder / kind).rglob("*")
        if path.is_file()
        and path.suffix in SUFFIXES
        and not any(part.startswith(".") or part.endswith("~") for part in path.relative_to(folder).parts)
    )


def encrypted(path: Path) -> bool:
    """Whether the whole file is vaulted."""
    with path.open("rb") as file:
        return file.read(len(VAULT)) == VAULT


def stray_entries(folder: Path) -> Iterator[Problem]:
    """Entries of the site's folder that Ansible would read as one more inventory."""
    for path in sorted(folder.iterdir()):
        if path.name in ENTRIES or path.suffix in DOCUMENTS or path.name.startswith("."):
            continue
        guess = similar(path.name, ENTRIES)
        yield Problem(
            path.name,
            Place(path),
            "is no part of a site, and Ansible would read it as an inventory",
            guess or "move it below files/",
        )


def unused_files(folder: Path, groups: list[str], hosts: list[str]) -> Iterator[Problem]:
    """Variable files named after no group or host: Ansible would pass over them in silence."""
    for kind, known in (("group_vars", groups), ("host_vars", hosts)):
        for path in sorted((folder / kind).glob("*")):
            name = path.stem if path.is_file() and path.suffix in SUFFIXES else path.name
            if name in known or path.name.startswith(".") or path.suffix in DOCUMENTS:
                continue
            word = kind.removesuffix("_vars")
            yield Problem(
                f"{kind}/{path.name}",
                Place(path),
                f"there is no {word} '{name}': nothing here counts",
                similar(name, known) or "rename or remove it",
            )


def yaml_problems(path: Path, entries: bool = False) -> Iterator[Problem]:
    """Bad YAML, keys given twice, and a file that is no mapping (with `entries`: no list)."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=LOADER)
    except UnicodeDecodeError as error:
        yield Problem(
            path.name, Place(path), f"is no UTF-8 text ({error.reason})", "save it as UTF-8", fatal=True
        )
        return
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(path, mark.line + 1 if mark else None)
        what = f"is no YAML: {error.problem}"
        yield Problem(path.name, place, what, "mend indentation, colons and quotes", fatal=True)
        return
    except yaml.YAMLError as error:
        what = f"is no YAML: {' '.join(str(error).split())}"
        yield Problem(path.name, Place(path), what, "save it as YAML text", fatal=True)
        return
    if node is None:
        return
    if not isinstance(node, yaml.SequenceNode if entries else yaml.MappingNode):
        place = Place(path, node.start_mark.line + 1)
        what, mend = ("is no mapping of keys", "write it as 'key: value' lines")
        if entries:
            what, mend = ("is no list of entries", "begin every entry with '- '")
        yield Problem(path.name, place, what, mend, fatal=True)
        return
    yield from _twice(path, node, (), ())


def _twice(path: Path, node: yaml.Node, loc: Loc, around: tuple[yaml.Node, ...]) -> Iterator[Problem]:
    if any(node is outer for outer in around):
        place = Place(path, node.start_mark.line + 1)
        yield Problem(spell(loc), place, "an alias contains itself", "write the value out", fatal=True)
        return
    around = (*around, node)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _twice(path, item, (*loc, index), around)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        name = str(key.value)
        if name in seen and name != "<<":
            yield Problem(
                spell((*loc, name)),
                Place(path, line),
                f"given twice (also line {seen[name]})",
                "keep one of them",
            )
        seen.setdefault(name, line)
        yield from _twice(path, value, (*loc, name), around)
