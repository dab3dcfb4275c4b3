"""inventories/example is documentation and schema at once: every key occurs there, with a word on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from xjops.site import groups, keys, planned, registers
from xjops.site.explain import model_of
from xjops.site.model import Site

EXAMPLE = Path(__file__).parents[3] / "inventories" / "example"


def schema(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every key of a model, as dotted paths; lists are passed through."""
    for name, info in model.model_fields.items():
        yield f"{prefix}{name}"
        inner = model_of(info.annotation)
        if inner:
            yield from schema(inner, f"{prefix}{name}.")


def written(value: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"{prefix}{key}"
            yield from written(item, f"{prefix}{key}.")
    elif isinstance(value, list):
        for item in value:
            yield from written(item, prefix)


def test_every_key_of_the_site_occurs() -> None:
    expected = {key for name, model in keys.SECTIONS.items() for key in (name, *schema(model, f"{name}."))}
    assert expected == set(written(yaml.safe_load((EXAMPLE / "group_vars/all/site.yml").read_text())))


def test_every_key_of_a_host_occurs_and_is_explained() -> None:
    files = [path for path in EXAMPLE.rglob("*.yml") if "registers" not in path.parts]
    found = {key.rpartition(".")[2] for path in files for key in written(yaml.safe_load(path.read_text()))}
    assert set(keys.HOST_KEYS.values()) <= found
    head = (EXAMPLE / "hosts.yml").read_text().partition("all:")[0]
    assert all(f"#   {key} " in head for key in keys.HOST_KEYS.values())


def test_every_group_occurs() -> None:
    text = (EXAMPLE / "hosts.yml").read_text()
    assert all(f"{name}:" in text for name in (*groups.MACHINES, *groups.ROLES))


def test_every_key_of_a_register_occurs() -> None:
    found = {
        key
        for name in ("existing", "required")
        for key in written(yaml.safe_load((EXAMPLE / "registers" / f"{name}.yml").read_text()))
    }
    assert found == set(schema(registers.Register, ""))


@pytest.mark.parametrize("name", ["group_vars/all/site.yml", "registers/required.yml"])
def test_every_block_has_a_comment(name: str) -> None:
    """Each top-level key, and each key below it, has a comment right above or in its block above."""
    text = (EXAMPLE / name).read_text()
    for block in text.split("\n\n"):
        assert "#" in block, block


def test_every_field_has_a_description_and_the_example_a_plan_that_meets_it() -> None:
    for model in (*keys.SECTIONS.values(), registers.Register):
        for key in schema(model, ""):
            owner: type[BaseModel] | None = model
            for part in key.split("."):
                assert owner is not None
                info = owner.model_fields[part]
                owner = model_of(info.annotation)
            assert info.description, key
    site = Site.load("example")
    found = planned.findings(
        site, registers.read(site.folder, "required"), registers.read(site.folder, "existing")
    )
    assert not [finding for finding in found if finding.status == "fail"]
