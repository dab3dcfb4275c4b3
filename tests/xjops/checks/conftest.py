"""A context of the lab in which everything is well; tests change what they are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from xjops.adapters.vcenter_model import Machine, Power, Size
from xjops.checks.probe import Facts
from xjops.checks.registry import Context, VCenterView
from xjops.site import Host, Site

NOW = "2026-11-22T10:00:00+00:00"


def healthy(site: Site, host: Host) -> dict[str, Any]:
    """What the probe says of a host on which all is well."""
    values: dict[str, Any] = {
        "hostname": host.name,
        "system": "Linux",
        "kernel": "6.1.0",
        "os": {"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)"},
        "uptime_seconds": 7200.0,
        "virtual": "none",
        "failed_units": [],
        "mounts": [],
        "names": {site.balancer.domain: str(site.balancer.address)},
    }
    if {"web_servers", "packaging_servers"} & set(host.groups):
        mount = {"path": site.storage.mount_point, "source": "storage:/registry", "type": "fuse.glusterfs"}
        values["mounts"] = [mount | {"size_gb": 4199.5, "free_gb": 4199.0, "writable": True}]
    if "database_servers" in host.groups:
        primary = host.name == "db1"
        values["database"] = {
            "version": "15.18",
            "standby": not primary,
            "checksums": "on",
            "streaming": int(primary),
            "receiver": int(not primary),
        }
    if "balancers" in host.groups:
        values["balancer"] = {
            "members": [
                {
                    "backend": "registry",
                    "member": name,
                    "address": f"{site.host(name).address}:80",
                    "status": "UP",
                }
                for name in site.balancer.members
            ]
        }
    return values


def all_well(site: Site) -> Context:
    """What a look at a healthy site gives."""
    facts = {host.name: Facts(host.name, NOW, healthy(site, host)) for host in site.hosts}
    machines = {
        host.name: Machine(
            id=host.name,
            name=host.name,
            path=f"DC0/vm/{host.name}",
            power=Power.ON,
            size=Size(host.cpus or 0, host.memory_mb or 0, host.disk_gb or 0),
        )
        for host in site.virtual_machines
    }
    return Context(site, facts, VCenterView("VMware vCenter Server 8.0", machines), NOW)


@pytest.fixture
def context(lab_site: Site) -> Context:
    return all_well(lab_site)


@pytest.fixture
def changed(context: Context) -> Callable[..., Context]:
    """`changed("web2", mounts=[])`: the context with a host's values changed."""

    def change(host: str, **values: Any) -> Context:
        facts = context.facts[host]
        new = replace(facts, values={**facts.values, **values})
        return replace(context, facts={**context.facts, host: new})

    return change
