"""What all tests with hosts share: a copy of the lab with its own site name, state and bundle."""

from __future__ import annotations

from pathlib import Path

import pytest

from xjops.core import paths
from xjops.lab.copy import TEST_SITE, copy_site

FOLDER = Path("~/.local/state/xjops-test").expanduser()


def surround(patch: pytest.MonkeyPatch, folder: Path = FOLDER) -> None:
    """Point xjops at the test lab in `folder`: nothing of the user's is touched but what all share."""
    patch.setenv("XJOPS_INVENTORIES", str(folder / "inventories"))
    patch.setenv("XJOPS_STATE", str(folder / "state"))
    patch.setenv("XJOPS_SITE", TEST_SITE)
    patch.setenv("XJOPS_BUNDLE", str(paths.cache() / "test" / "bundle"))
    patch.delenv("XJOPS_VAULT_PASSWORD_FILE", raising=False)
    copy_site(paths.project() / "inventories" / "lab", folder / "inventories" / TEST_SITE)
