"""Where things are, and what asking for it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from xjops.bundle.build import default_folder
from xjops.core import paths


def test_naming_the_bundle_makes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look only reads it, perhaps where nothing may be written."""
    monkeypatch.setenv("XJOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XJOPS_BUNDLE", raising=False)
    assert default_folder() == tmp_path / "cache" / "bundle"
    assert not (tmp_path / "cache").exists()
    assert paths.cache().is_dir()
