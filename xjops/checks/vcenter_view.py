"""vCenter as the checks see it: the site's virtual machines, or why it could not be asked."""

from __future__ import annotations

from xjops.checks.registry import Machine, VCenterView
from xjops.core.errors import XjopsError
from xjops.site.model import Site


def view(site: Site) -> VCenterView:
    """Ask vCenter once; an error becomes part of the view, because checks go on without it."""
    from xjops.adapters import vcenter

    try:
        with vcenter.connect(site) as session:
            return VCenterView(session.product, {vm.name: _machine(vm) for vm in session.machines()})
    except XjopsError as error:
        return VCenterView(error=error)


def _machine(vm: object) -> Machine:
    raise NotImplementedError
