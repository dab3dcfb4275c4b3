"""A site where nothing is to be done; tests damage it."""

from __future__ import annotations

import pytest

from xjops.ledger.look import Seen
from xjops.plan.look import Look, Machines
from xjops.site import Site


@pytest.fixture
def well(lab_site: Site) -> Look:
    """A look at the lab's site without a difference."""
    hosts = {host.name: Seen(host.name) for host in lab_site.hosts}
    return Look(lab_site, Machines("11 nothing"), hosts, {}, ())
