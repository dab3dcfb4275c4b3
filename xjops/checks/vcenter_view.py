"""vCenter as the checks see it: the site's own virtual machines, or why it could not be asked."""

from __future__ import annotations

from xjops.checks.registry import VCenterView
from xjops.core.errors import XjopsError
from xjops.site.model import Site


def view(site: Site) -> VCenterView:
    """Ask vCenter once; an error becomes part of the view, because the other checks go on without it."""
    from xjops.adapters import vcenter

    try:
        with vcenter.connect(site) as session:
            ours = {machine.name: machine for machine in session.machines() if machine.site == site.name}
            return VCenterView(session.product, ours)
    except XjopsError as error:
        return VCenterView(error=error)
