"""The site's hosts as containers: names, networks, mounts, host keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from xjops.core.errors import ConfigurationError
from xjops.lab import guest, keys
from xjops.lab.credentials import lab_folder, ssh_folder
from xjops.lab.guest import Guest
from xjops.lab.podman import Container, containers
from xjops.site import Host, Site
from xjops.site.model import Segment

PHYSICAL, VIRTUAL = "physical", "virtual"
BRICK = "/srv/brick"  # where the storage host has its disk
STORAGE_GROUP = "storage_servers"
MOUNTING_GROUPS = frozenset({STORAGE_GROUP, "web_servers", "packaging_servers"})
KINDS = frozenset({"physical_machines", "virtual_machines"})


def container_name(site: str, host: str) -> str:
    """The container of a host; a second lab has another site name."""
    return f"xj-{site}-{host}"


def networks(site: Site) -> dict[str, Segment]:
    """The site's podman networks by name: internal first."""
    return {
        f"xj-{site.name}-internal": site.network.internal,
        f"xj-{site.name}-public": site.network.public,
    }


def physical_hosts(site: Site) -> tuple[Host, ...]:
    """What the lab starts itself; the others are machines of vCenter."""
    virtual = {host.name for host in site.virtual_machines}
    return tuple(host for host in site.hosts if host.name not in virtual)


def role(host: Host) -> str:
    """What a host is for: its most particular group, without `_servers`."""
    groups = [group for group in host.groups if group not in KINDS]
    return groups[-1].removesuffix("_servers") if groups else "-"


def lab_containers(site: str) -> dict[str, Container]:
    """The site's containers by host name."""
    return {item.labels["xjops.host"]: item for item in containers(site=site).values()}


def host_key(site: str, host: str) -> str:
    """The public line of a host's own SSH key; made when there is none."""
    return keys.ensure_key(lab_folder(site) / "hostkeys" / host / "ssh_host_ed25519_key", host)


def write_known_hosts(site: Site, hosts: Collection[Host]) -> Path:
    """Put `hosts`, by name and address, into `<state>/<site>/ssh/known_hosts`; other hosts' lines stay."""
    file = ssh_folder(site.name) / "known_hosts"
    ours = {
        host.name: keys.known_hosts_line([host.name, str(host.address)], host_key(site.name, host.name))
        for host in hosts
    }
    replaced = {*ours, *(str(host.address) for host in hosts)}
    old = file.read_text().splitlines() if file.is_file() else []
    others = [line for line in old if replaced.isdisjoint(line.partition(" ")[0].split(","))]
    keys.write_known_hosts(file, [*ours.values(), *others])
    return file


def guest_of(site: Site, host: Host, kind: str, *, address: IPv4Address, brick: Path | None = None) -> Guest:
    """The container of `host` at `address`; `brick` is the disk that a storage host gets at /srv/brick."""
    internal, public = networks(site)
    addresses = {internal: address}
    if host.public_address is not None:
        addresses[public] = host.public_address
    key_file = lab_folder(site.name) / "hostkeys" / host.name / "ssh_host_ed25519_key"
    public_key = host_key(site.name, host.name)
    authorized = (ssh_folder(site.name) / "id_ed25519.pub").read_text().strip()
    return Guest(
        name=host.name,
        container=container_name(site.name, host.name),
        addresses=addresses,
        labels={"site": site.name, "host": host.name, "kind": kind, "address": str(address)},
        volumes=[f"{brick}:{BRICK}"] if brick is not None else [],
        devices=guest.fuse() if MOUNTING_GROUPS.intersection(host.groups) else [],
        files=[
            *guest.ssh_files(key_file.read_bytes(), public_key, authorized),
            guest.hosts_file(host.name, address),
        ],
    )


def words(site: Site, item: Guest, image: str) -> list[str]:
    """The words after ``podman run --detach --name NAME``; writes the guest's first-start files."""
    seed = lab_folder(site.name) / "hostkeys" / item.name / "seed.tar"
    return guest.run_words(item, image, guest.write_seed(seed, item.files))


def check_addresses(hosts: Iterable[Host], have: Mapping[str, Container]) -> None:
    """Containers keep their address for life: say so when the inventory has given a host another one."""
    problems = [
        f"{host.name} was made with the address {was}, the site says {host.address} "
        f"→ xjops lab up --recreate {host.name} (what is on it is lost)"
        for host in hosts
        if host.name in have and (was := have[host.name].labels.get("xjops.address")) != str(host.address)
    ]
    if problems:
        raise ConfigurationError("", problems=tuple(problems))
