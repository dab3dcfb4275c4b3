"""The worlds that the battery is run in."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.xjops.battery.proxy import Proxy
from tests.xjops.battery.world import VCenterWorld, World
from tests.xjops.bundle.conftest import key, make_key, other_key, signed  # noqa: F401 - fixtures
from xjops.core import paths
from xjops.site import Site


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> World:
    """The lab's site without what `xjops lab up` adds; its hosts and vCenter aren't there."""
    site = tmp_path / "inventories" / "lab"
    unwanted = shutil.ignore_patterns("vault.yml", "files")
    shutil.copytree(paths.project() / "inventories" / "lab", site, ignore=unwanted)
    return World(site, tmp_path, monkeypatch, request.getfixturevalue)


@pytest.fixture
def vcenter_world(
    simulated: Site, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[VCenterWorld]:
    """A site whose vCenter is the session's simulator, asked through a proxy; its mends are a real site's."""
    site = tmp_path / "inventories" / simulated.name
    shutil.copytree(simulated.folder, site)
    lab = simulated.folder.parents[1] / "state" / simulated.name / "lab"
    with Proxy(simulated.vcenter.port, lab / "vcenter.pem", lab / "vcenter.key").serve() as proxy:
        file = site / "group_vars" / "all" / "site.yml"
        text = file.read_text().replace(f"port: {simulated.vcenter.port}", f"port: {proxy.port}")
        file.write_text(text.replace("kind: lab", "kind: production"))
        yield VCenterWorld(simulated, proxy, site, tmp_path, monkeypatch, request.getfixturevalue)
