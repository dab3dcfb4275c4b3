"""The lab's networks: no way out, and nothing addressed to the lab ever leaves the machine.

Podman takes a bridge away when no container runs on it; then the lab's addresses would follow the default
route out of the machine. An `unreachable` route of the worst metric stands behind every lab subnet and is
put there before the first packet. It stays when the lab is down.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv4Network

from xjops.core.errors import ConfigurationError
from xjops.core.process import run
from xjops.lab.podman import labels, podman

METRIC = 429496729
RULE = "58"  # preference of the rule that bars a subnet for a moment


def guard(subnets: Iterable[IPv4Network]) -> None:
    """Put the unreachable routes in place; call it before anything that may send a packet to the lab."""
    for subnet in subnets:
        if not subnet.is_private or subnet.prefixlen < 16:
            raise ConfigurationError(
                f"{subnet} is no private network of at most 65536 addresses",
                mend="give the lab a subnet of its own below network.internal and network.public",
            )
        run(["ip", "route", "replace", "unreachable", str(subnet), "metric", str(METRIC)], seconds=10)


def ensure(name: str, subnet: IPv4Network, gateway: object, owner: Mapping[str, str]) -> None:
    """An internal podman network of that subnet; `ConfigurationError` when `name` has another subnet."""
    guard([subnet])
    have = podman("network", "inspect", "--format", "{{range .Subnets}}{{.Subnet}}{{end}}", name, check=False)
    if have and have != str(subnet):
        raise ConfigurationError(
            f"podman network {name} has the subnet {have}, the site says {subnet}",
            mend="xjops lab down --purge, then xjops lab up",
        )
    if have:
        _unbar(subnet)
        return
    with _barred(subnet):
        podman(
            "network", "create", "--internal", "--disable-dns",
            "--subnet", str(subnet), "--gateway", str(gateway), *labels(owner), name,
            mend=f"another network may use {subnet}: podman network ls",
        )  # fmt: skip


@contextmanager
def _barred(subnet: IPv4Network) -> Iterator[None]:
    """Podman refuses a subnet that has a route, even ours: bar it by a rule while the route is away."""
    run(
        ["ip", "rule", "add", "to", str(subnet), "pref", RULE, "type", "unreachable"], seconds=10, check=False
    )
    try:
        run(
            ["ip", "route", "del", "unreachable", str(subnet), "metric", str(METRIC)], seconds=10, check=False
        )
        yield
    finally:
        guard([subnet])
        _unbar(subnet)


def _unbar(subnet: IPv4Network) -> None:
    """Take the rule away, also one that a killed run left."""
    run(["ip", "rule", "del", "to", str(subnet), "pref", RULE], seconds=10, check=False)


def remove(names: Iterable[str]) -> None:
    """Remove networks that no container uses any more; the unreachable routes stay."""
    for name in names:
        podman("network", "rm", name, check=False)
