"""A session with the simulator, for tests of provisioning."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xjops.adapters import vcenter
from xjops.site import Site


@pytest.fixture
def session(vcenter_site: Site) -> Iterator[vcenter.VCenter]:
    with vcenter.connect(vcenter_site) as opened:
        yield opened
