"""Read a site with Ansible's own inventory loader and turn it into the typed `Site`."""

from __future__ import annotations

from typing import Any

from xjops.core import paths
from xjops.core.errors import ConfigurationError
from xjops.site.model import Host, Site

SECTIONS = ("site", "network", "vcenter", "database", "storage", "balancer", "bundle", "registry")


def load(name: str) -> Site:
    """The site in `inventories/<name>/`."""
    from ansible.inventory.manager import InventoryManager
    from ansible.parsing.dataloader import DataLoader
    from ansible.vars.manager import VariableManager

    folder = paths.inventories() / name
    if not folder.is_dir():
        raise ConfigurationError(f"no site {name!r} under {folder.parent}", mend="xjops site list")
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(folder / "hosts.yml")])
    variables = VariableManager(loader=loader, inventory=inventory)
    hosts = []
    everything: dict[str, Any] = {}
    for item in inventory.get_hosts():
        values = variables.get_vars(host=item, include_hostvars=False)
        everything = values
        hosts.append(
            Host(
                name=str(item.name),
                groups=tuple(str(group.name) for group in item.get_groups() if group.name != "all"),
                address=values["ansible_host"],
                **{
                    key: values[key]
                    for key in ("public_address", "cpus", "memory_mb", "disk_gb", "os")
                    if key in values
                },
            )
        )
    return Site(
        name=name,
        folder=folder,
        hosts=tuple(hosts),
        **{key: everything[key] for key in SECTIONS},
    )
