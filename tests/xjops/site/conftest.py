"""Sites to make mistakes in: copies of inventories/example in a folder of the test's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from xjops.core import paths

PROJECT = Path(__file__).parents[3]


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a site `mistaken`, a copy of the example, in a project without roles."""
    inventories = tmp_path / "inventories"
    shutil.copytree(PROJECT / "inventories" / "example", inventories / "mistaken")
    monkeypatch.setenv("XJOPS_PROJECT", str(tmp_path))
    monkeypatch.setenv("XJOPS_INVENTORIES", str(inventories))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("XJOPS_VAULT_PASSWORD_FILE", raising=False)
    assert paths.inventories() == inventories
    return inventories / "mistaken"
