"""Facts for pure tests: a wanted machine and the same machine as vCenter would show it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

from xjops.adapters.vcenter_model import Machine, Power, Size, Stage
from xjops.adapters.vcenter_specs import Identity
from xjops.provision.model import Wanted
from xjops.site import Host


def wanted(**settings: Any) -> Wanted:
    """web2 of the site lab: 4 CPUs, 8 GB, 50 GB."""
    address = IPv4Address("10.58.7.12")
    host = Host(name="web2", groups=("virtual_machines", "web_servers"), address=address)
    identity = Identity(
        "web2",
        "lab.internal",
        address,
        IPv4Network("10.58.7.0/24"),
        IPv4Address("10.58.7.1"),
        (),
        "Asia/Shanghai",
    )
    values: dict[str, Any] = {
        "host": host,
        "role": "web_servers",
        "size": Size(4, 8192, 50),
        "identity": identity,
        "site": "lab",
    }
    return Wanted(**(values | settings))


def machine(**settings: Any) -> Machine:
    """web2 exactly as planned: it runs, has its address, marks and size."""
    values: dict[str, Any] = {
        "id": "vm-2",
        "name": "web2",
        "path": "DC0/vm/xjops-lab/web2",
        "power": Power.ON,
        "size": Size(4, 8192, 50),
        "networks": ("VM Network",),
        "datastore": "LocalDS_0",
        "addresses": ("10.58.7.12",),
        "annotation": "xjops: site=lab role=web_servers",
        "site": "lab",
        "role": "web_servers",
        "stage": Stage.READY,
    }
    return Machine(**(values | settings))
