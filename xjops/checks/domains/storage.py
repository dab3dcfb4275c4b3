"""The shared storage (seed 000: 4T or more, on every web server and on packaging; seed 001, item 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xjops.checks.registry import Context, check
from xjops.checks.result import Result, Status
from xjops.site.model import Host

NETWORK_TYPES = {"nfs": {"nfs", "nfs4"}, "glusterfs": {"fuse.glusterfs"}}


@check("storage.mounted")
def mounted(context: Context, *, groups: list[str], size_gb: int) -> Iterator[Result]:
    """On every host of the groups: mounted from the network, large enough, and a written file reads back."""
    hosts = [host for group in groups for host in context.site.group(group)]
    if not hosts:
        yield Result("storage.mounted", ", ".join(groups), Status.FAIL, "no host in these groups")
    for host in hosts:
        yield _mounted(context, host, size_gb)


def _mounted(context: Context, host: Host, size_gb: int) -> Result:
    name, storage = "storage.mounted", context.site.storage
    facts = context.facts[host.name]
    if facts.error is not None:
        return Result(name, host.name, Status.NOT_RUN, "host could not be asked", str(facts.error))
    seen: dict[str, Any] = next(
        (entry for entry in facts.values["mounts"] if entry["path"] == storage.mount_point),
        {"error": "not looked at"},
    )
    value, status, message = _judge(seen, NETWORK_TYPES[storage.kind], size_gb)
    source = f"/proc/mounts, statvfs, write and read back in {storage.mount_point}"
    return Result(name, host.name, status, value, message, context.evidence(host, source, seen))


def _judge(seen: dict[str, Any], types: set[str], size_gb: int) -> tuple[str, Status, str]:
    if "error" in seen:
        return seen["error"], Status.FAIL, "xjops apply (role shared_storage)"
    value = f"{seen['source']} ({seen['type']}), {seen['size_gb']:g}G"
    if seen["type"] not in types:
        return value, Status.FAIL, f"a network file system is required: {', '.join(sorted(types))}"
    if seen["size_gb"] < size_gb:
        return value, Status.FAIL, f"{size_gb}G or more required"
    if not seen["writable"]:
        return value, Status.FAIL, "a written file does not read back"
    return value, Status.PASS, ""
