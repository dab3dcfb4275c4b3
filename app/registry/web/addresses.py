"""The client's address, taken from the proxies' header only when a trusted proxy set it."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _parse(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def _within(address: Address, networks: list) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def client_address(request: HttpRequest) -> str:
    """The address of the client, "" where unknown.

    gunicorn listens on a UNIX socket: an empty REMOTE_ADDR is nginx on this machine. X-Forwarded-For is
    read from the right, skipping trusted proxies; what a stranger wrote further left is never believed.
    """
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    if peer is not None and not _within(peer, settings.TRUSTED_PROXIES):
        return str(peer)
    for hop in reversed(request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")):
        address = _parse(hop)
        if address is None:
            break
        peer = address
        if not _within(address, settings.TRUSTED_PROXIES):
            break
    return str(peer) if peer is not None else ""


def from_management(request: HttpRequest) -> bool:
    """Whether the client sits in a management network (REGISTRY_MANAGEMENT_NETWORKS)."""
    address = _parse(client_address(request))
    return address is not None and _within(address, settings.MANAGEMENT_NETWORKS)
