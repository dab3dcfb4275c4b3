"""From pydantic's errors to our lines: what is wrong with a value, and how to write it right.

The mends are made from the examples that the model's fields carry.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from xjops.site.problems import Loc, Places, Problem, similar, spell

Model = TypeVar("Model", bound=BaseModel)

WHAT = {
    "string_type": "is no text",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "bool_type": "is not true or false",
    "ip_v4_address": "is no IPv4 address",
    "ip_v4_network": "is no IPv4 subnet with host part zero",
    "tuple_type": "is no list",
    "path_type": "is no path",
    "model_type": "is no mapping of keys",
    "dict_type": "is no mapping of keys",
    "string_pattern_mismatch": "is not of the right form",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "date_type": "is no date",
    "date_parsing": "is no date",
    "date_from_datetime_parsing": "is no date",
}


def validate(
    model: type[Model], data: Any, places: Places, prefix: Loc = (), names: dict[str, str] | None = None
) -> tuple[Model | None, list[Problem]]:
    """`data` as a `model`, and a problem for each mistake.

    `prefix` is spelt before each key; `names` maps fields to the inventory's names for them
    (address → ansible_host). With mistakes, the model is made without the wrong values where
    it can be, so that the rules between values can still be looked at; else it is None.
    """
    try:
        return model.model_validate(data), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    problems = [_problem(model, detail, places, prefix, names or {}) for detail in details]
    if isinstance(data, dict):
        wrong = {detail["loc"][0] for detail in details if detail["loc"]}
        try:
            return model.model_validate(
                {key: value for key, value in data.items() if key not in wrong}
            ), problems
        except ValidationError:
            pass
    return None, problems


def _problem(
    model: type[BaseModel], detail: ErrorDetails, places: Places, prefix: Loc, names: dict[str, str]
) -> Problem:
    loc: Loc = tuple(detail["loc"])
    owner, info = _field(model, loc)
    if loc and loc[0] in names:
        loc = (names[str(loc[0])], *loc[1:])
    key = spell((*prefix, *loc))
    place = places.at(loc)
    kind, value = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        known = [names.get(name, name) for name in owner.model_fields]
        return Problem(
            key, place, "unknown key", similar(str(loc[-1]), known) or f"remove it; known: {', '.join(known)}"
        )
    example = _example(str(loc[-1]), info) if loc else f"{', '.join(model.model_fields)} below it"
    if kind == "missing" or value is None:
        return Problem(key, place, "missing value", f"add {example}")
    if kind in ("too_short", "string_too_short"):
        return Problem(key, place, "is empty", f"write {example}")
    if kind == "string_type" and isinstance(value, (int, float)):
        return Problem(
            key, place, f"{value} is a number, not text", f'put it in quotes: {loc[-1]}: "{value}"'
        )
    what = WHAT.get(kind, detail["msg"])
    if kind == "value_error":
        what = str(detail.get("ctx", {}).get("error", detail["msg"]))
    if kind == "literal_error":
        what = f"is none of {str(detail['ctx']['expected']).replace(chr(39), '')}"
    return Problem(key, place, f"{_shown(value)} {what}", f"write {example}")


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _field(model: type[BaseModel], loc: Loc) -> tuple[type[BaseModel], FieldInfo | None]:
    """The model that `loc` ends in, and the field; the field is None for an unknown key."""
    owner, info = model, None
    inner: type[BaseModel] | None = model
    for part in loc:
        if isinstance(part, int):
            continue
        owner = inner or owner
        info = owner.model_fields.get(part)
        inner = model_of(info.annotation) if info else None
    return owner, info


def model_of(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation names, itself or in a tuple or union; None when it names none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = model_of(part)
        if found:
            return found
    return None


def _example(key: str, info: FieldInfo | None) -> str:
    if info is None:
        return "it as in inventories/example"
    if info.examples:
        return f"it like '{key}: {info.examples[0]}'"
    inner = model_of(info.annotation)
    keys = ", ".join(inner.model_fields) if inner else ""
    return f"'{key}:' with {keys} below it" if keys else "it as in inventories/example"
