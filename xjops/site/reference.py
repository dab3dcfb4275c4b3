"""The tables of docs/reference/site.md, made from the model; a test keeps them current.

Run `python -m xjops.site.reference` after a change of the model.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from xjops.core import paths
from xjops.site import gap, groups, keys, planned, registers
from xjops.site.explain import model_of
from xjops.site.model import Host

BLOCK = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->\n)", re.S)


def refreshed(page: str) -> str:
    """`page` with every table between markers written anew; KeyError for an unknown marker."""
    tables = {
        "machines": _groups("machine", groups.MACHINES),
        "roles": _groups("role", groups.ROLES),
        "hosts": _table({key: Host.model_fields[field] for field, key in keys.HOST_KEYS.items()}),
        "sections": _sections(),
        "registers": _table(dict(_flat(registers.Register, ""))),
        "findings": _outputs(planned.Finding),
        "items": _outputs(gap.Item),
    }
    written = {name: "\n".join(lines) for name, lines in tables.items()}
    return BLOCK.sub(lambda match: f"{match[1]}\n{written[match[2]]}\n\n{match[3]}", page)


def _groups(kind: str, names: dict[str, str]) -> Iterator[str]:
    yield f"| group | {kind} |\n|---|---|"
    yield from (f"| `{name}` | {text} |" for name, text in names.items())


def _sections() -> Iterator[str]:
    for name, section in keys.SECTIONS.items():
        yield f"### {name}\n\n{(section.__doc__ or '').strip()}\n"
        yield from _table(dict(_flat(section, "")))
        yield ""


def _outputs(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | value | meaning |\n|---|---|---|"
    for key, info in model.model_fields.items():
        yield f"| `{key}` | {_kind(info.annotation)} | {info.description or ''} |"


def _flat(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}", info
        inner = model_of(info.annotation)
        if inner:
            many = "[]" if get_origin(info.annotation) is tuple else ""
            yield from _flat(inner, f"{prefix}{name}{many}.")


def _table(rows: dict[str, FieldInfo]) -> Iterator[str]:
    yield "| key | value | when missing | meaning |\n|---|---|---|---|"
    for key, info in rows.items():
        example = f" Example: `{info.examples[0]}`" if info.examples else ""
        yield f"| `{key}` | {_kind(info.annotation)} | {_default(info)} | {info.description or ''}{example} |"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "refused"
    if info.default in (None, (), ""):
        return "none"
    return f"`{info.default}`"


def _kind(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    if origin in (types.UnionType, Union):
        return _kind(next(part for part in arguments if part is not type(None)))
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in arguments)
    if hasattr(annotation, "__metadata__"):
        return _kind(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "keys"
    names = {
        "str": "text",
        "int": "number",
        "bool": "true or false",
        "IPv4Address": "address",
        "IPv4Network": "subnet",
        "Path": "path",
    }
    return names[annotation.__name__]


def target() -> Path:
    """Where the page stands."""
    return paths.project() / "docs" / "reference" / "site.md"


if __name__ == "__main__":
    target().write_text(refreshed(target().read_text(encoding="utf-8")), encoding="utf-8")
