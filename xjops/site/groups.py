"""The groups of an inventory: which there are, and what their hosts do."""

from __future__ import annotations

# Where a machine comes from.
MACHINES = {
    "virtual_machines": "made by `xjops vm apply` on vCenter",
    "physical_machines": "there already",
}

# What a machine does; a host is in one of these at least.
ROLES = {
    "web_servers": "the application behind the balancer (web1: canary, outside it)",
    "packaging_servers": "background work: imports, exports, packages",
    "scheduling_servers": "the application's timed jobs",
    "database_servers": "PostgreSQL, or the two hosts of Oracle RAC",
    "storage_servers": "the shared storage, where it is a host of ours",
    "balancers": "HAProxy, where the balancer is software",
    "monitoring_servers": "Prometheus",
    "repository_servers": "the offline bundle that hosts install from",
}

# Ansible has these in every inventory.
BUILTIN = ("all", "ungrouped")

KNOWN = (*MACHINES, *ROLES, *BUILTIN)
