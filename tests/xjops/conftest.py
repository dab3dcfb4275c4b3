"""What many tests want: a copy of the lab's inventory that has no vault, and a state folder of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.xjops.f5site import authority, device, endpoint, f5_site  # noqa: F401 - fixtures
from tests.xjops.running_haproxy import running  # noqa: F401 - fixture
from tests.xjops.vcsim import simulated, vcenter_site  # noqa: F401 - fixtures
from xjops.core import paths
from xjops.site import Site


@pytest.fixture
def lab_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The site `lab` as it is in the checkout, without what `xjops lab up` adds."""
    inventories = tmp_path / "inventories"
    unwanted = shutil.ignore_patterns("vault.yml", "files")
    shutil.copytree(paths.project() / "inventories" / "lab", inventories / "lab", ignore=unwanted)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(inventories))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    return Site.load("lab")
