"""From the result of a task to the items it left behind on its host.

Only identities are taken from results; states are looked up on the host afterwards, by the program that
looks again later, so both always speak of the same thing. An action that is not known here must say
itself what to watch: a module by returning `ledger`, a task by its variable `<role>_ledger`, both lists
of [kind, name]. A test holds the roles to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

Item = tuple[str, str]
"""Kind (file, followed, tree, package, unit, mount, account, member, group, probe) and name."""

Values = Mapping[str, Any]

# Actions that change nothing on the host, or whose effect another task's items show.
LOOKING = frozenset(
    (
        *(
            "assert",
            "debug",
            "fail",
            "find",
            "meta",
            "set_fact",
            "stat",
            "wait_for",
            "validate_argument_spec",
        ),
        *("include_role", "include_tasks", "import_role", "import_tasks"),
        *("http_answer", "haproxy_members"),
    )
)


def _paths(args: Values, *names: str) -> Iterator[Item]:
    path = next((args[name] for name in names if args.get(name)), None)
    if path:
        yield "file", str(path)


def _apt(args: Values, result: Values) -> Iterator[Item]:
    names = args.get("name") or args.get("package") or args.get("pkg") or []
    for name in [names] if isinstance(names, str) else names:
        yield "package", str(name).partition("=")[0]


def _placed(args: Values, result: Values) -> Iterator[Item]:
    """copy, template: the result knows the file, where the argument may name a folder."""
    known = {key: result[key] for key in ("dest", "path") if key in result}
    yield from _paths({**args, **known}, "dest", "path")


def _file(args: Values, result: Values) -> Iterator[Item]:
    yield from _paths(args, "path", "dest", "name")


def _systemd(args: Values, result: Values) -> Iterator[Item]:
    if args.get("name"):
        name = str(args["name"])
        yield "unit", name if "." in name else f"{name}.service"


def _units(args: Values, result: Values) -> Iterator[Item]:
    """The units, and what they follow: a change of that by another role makes this step due."""
    for name in args.get("names") or []:
        yield "unit", str(name)
    for path in args.get("follows") or []:
        yield "followed", str(path)


def _user(args: Values, result: Values) -> Iterator[Item]:
    """The account, where the task says what it is like, and its memberships."""
    name = str(args["name"])
    groups = args.get("groups") or []
    if any(args.get(key) for key in ("shell", "home", "group", "uid")) or not groups:
        yield "account", name
    for group in groups.split(",") if isinstance(groups, str) else groups:
        yield "member", f"{name}:{group}"


def _files(args: Values, result: Values) -> Iterator[Item]:
    for entry in args.get("files") or []:
        yield "file", str(entry["path"])


def _mount(args: Values, result: Values) -> Iterator[Item]:
    if args.get("state") == "ready":
        yield "mount", str(args["path"])


def _named(kind: str) -> Callable[[Values, Values], Iterator[Item]]:
    def items(args: Values, result: Values) -> Iterator[Item]:
        yield kind, str(args["name"])

    return items


def _release(args: Values, result: Values) -> Iterator[Item]:
    if result.get("path"):
        yield "tree", str(result["path"])


def _copy_of_bundle(args: Values, result: Values) -> Iterator[Item]:
    if args.get("remove_extra"):
        yield "tree", str(args["path"])


WATCHED: Mapping[str, Callable[[Values, Values], Iterable[Item]]] = {
    "apt": _apt,
    "bundle_state": _copy_of_bundle,
    "copy": _placed,
    "file": _file,
    "group": _named("group"),
    "host_files": _files,
    "release_build": _release,
    "shared_mount": _mount,
    "systemd_service": _systemd,
    "template": _placed,
    "unit": _units,
    "user": _user,
}


def short(action: str) -> str:
    """An action's name without its collection."""
    return action.rpartition(".")[2]


def watchable(action: str) -> bool:
    """Whether a task of this action needs no word of its own about what to watch."""
    return short(action) in WATCHED or short(action) in LOOKING


def items_of(action: str, args: Values, result: Values) -> set[Item]:
    """What one task result (or one of a loop's) left behind; `args` where the result has none of its own."""
    if result.get("skipped"):
        return set()
    found = {(str(kind), str(name)) for kind, name in result.get("ledger") or []}
    extract = WATCHED.get(short(action))
    if extract:
        given = (result.get("invocation") or {}).get("module_args") or args
        found.update(extract(given, result))
    return found
