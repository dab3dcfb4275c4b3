"""The balancer, whatever its make: who is a member, drain, enable, and whether it maps what the site says.

    with balancer.open_balancer(site) as balancers:
        seen = balancers.look()           # every balancer's members, or why it can't be asked
        balancers.drain(["web2"])         # on all of them, or an error that names where not
        left = balancers.wait_drained(["web2"], seconds=30, progress=progress)
        balancers.enable(["web2"])
        plan = reconcile.make_plan(site, seen)

A site has one driver for each balancer: each host of the group `balancers` (HAProxy), or the BIG-IP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from xjops.balancer.balancers import Balancers, LastMemberError, NoMemberError, PartlyDoneError, Seen

if TYPE_CHECKING:
    from xjops.site.model import Site

__all__ = ["Balancers", "LastMemberError", "NoMemberError", "PartlyDoneError", "Seen", "open_balancer"]


@contextmanager
def open_balancer(site: Site) -> Iterator[Balancers]:
    """The drivers of the site's balancers; connections are opened when first used and closed at the end.

    Raises `NotRunError` when the site has no settings for a driver.
    """
    if site.balancer.kind == "f5":
        from xjops.adapters.f5 import BigIP
        from xjops.adapters.f5_session import Session

        with Session(site) as session:
            yield Balancers(site, (BigIP(site, session),))
        return
    from xjops.adapters.haproxy import HAProxy
    from xjops.adapters.ssh import Fleet

    with Fleet(site) as fleet:
        yield Balancers(site, tuple(HAProxy(site, host, fleet) for host in site.group("balancers")))
