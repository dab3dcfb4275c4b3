"""The ministry's checklists as data: each item with its original text and the checks that prove it."""

from __future__ import annotations

import inspect
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from xjops.checks.registry import CHECKS, known_checks
from xjops.core.errors import ConfigurationError


class Call(BaseModel):
    """One check with its parameters."""

    model_config = ConfigDict(extra="allow", frozen=True)

    check: str

    @property
    def parameters(self) -> dict[str, Any]:
        """The keyword arguments of the check."""
        return dict(self.model_extra or {})


class Item(BaseModel):
    """One line of the checklist. `attest` says what a person must vouch for, where no program can see it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    text: str
    note: str = ""
    checks: tuple[Call, ...] = ()
    attest: str = ""


class Profile(BaseModel):
    """A checklist: `seed` names the document it was taken from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    title: str
    source: str
    seed: str
    items: tuple[Item, ...]


def folder() -> Path:
    """Where the profiles are."""
    return Path(str(files("xjops.checks").joinpath("profiles")))


def names() -> list[str]:
    """The profiles there are."""
    return sorted(path.stem for path in folder().glob("*.yml"))


def load(name: str) -> Profile:
    """The profile called `name`.

    Raises `ConfigurationError` for an unknown profile, an unknown check or a check's wrong parameter.
    """
    path = folder() / f"{name}.yml"
    if name not in names():
        raise ConfigurationError(
            f"no checklist profile {name!r}", mend=f"choose one of: {', '.join(names())}"
        )
    try:
        profile = Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigurationError(
            f"At '{where}' ({path.name}): {first['msg']}", mend="mend the profile"
        ) from None
    known_checks()
    for item in profile.items:
        _validate(path, item)
    return profile


def asked(name: str, check: str) -> dict[str, Any]:
    """The parameters with which the profile `name` asks for `check`; KeyError when it doesn't."""
    for item in load(name).items:
        for call in item.checks:
            if call.check == check:
                return call.parameters
    raise KeyError(check)


def _validate(path: Path, item: Item) -> None:
    if not item.checks and not item.attest:
        raise ConfigurationError(f"At '{item.id}' ({path.name}): neither checks nor attest", mend="add one")
    for call in item.checks:
        function = CHECKS.get(call.check)
        if function is None:
            raise ConfigurationError(
                f"At '{item.id}' ({path.name}): unknown check {call.check!r}",
                mend=f"one of: {', '.join(sorted(CHECKS))}",
            )
        try:
            inspect.signature(function).bind(None, **call.parameters)
        except TypeError as error:
            raise ConfigurationError(
                f"At '{item.id}' ({path.name}): {call.check}: {error}", mend="see the check's parameters"
            ) from None
