"""The typed site: what `inventories/<site>/` says, validated, as plain frozen types.

Field names are the keys of `group_vars/all/site.yml`; units stand in the names (`_mb`, `_gb`).
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, SecretStr


class Strict(BaseModel):
    """Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Identity(Strict):
    """Who this site is."""

    title: str
    kind: Literal["lab", "production"]
    region: str
    timezone: str = "Asia/Shanghai"


class Segment(Strict):
    """One address range."""

    subnet: IPv4Network
    gateway: IPv4Address


class Network(Strict):
    """Address plan: the internal and the public side."""

    internal: Segment
    public: Segment
    public_addresses: tuple[IPv4Address, ...] = ()
    management: tuple[IPv4Network, ...] = ()
    dns_servers: tuple[IPv4Address, ...] = ()
    ntp_servers: tuple[IPv4Address, ...] = ()


class VCenter(Strict):
    """Where the virtual machines are made."""

    host: str
    port: int = 443
    username: str
    ca_file: Path | None = None
    datacenter: str
    cluster: str
    folder: str
    template: str
    network: str
    datastores: tuple[str, ...]


class Database(Strict):
    """PostgreSQL in the lab and small sites, Oracle RAC in production."""

    kind: Literal["postgresql", "oracle"]
    name: str
    port: int
    scan: str | None = None
    scan_addresses: tuple[IPv4Address, ...] = ()
    virtual_addresses: tuple[IPv4Address, ...] = ()
    service: str | None = None


class Storage(Strict):
    """The shared storage, mounted on every web server and on packaging."""

    kind: Literal["nfs", "glusterfs"]
    export: str
    mount_point: str
    size_gb: int


class Balancer(Strict):
    """The load balancer: web2 to web9 behind one public address and domain."""

    kind: Literal["haproxy", "f5"]
    address: IPv4Address | None = None
    domain: str | None = None
    certificate_file: Path | None = None
    ca_file: Path | None = None
    members: tuple[str, ...]


class Bundle(Strict):
    """Where hosts install from; the public key is pinned here, never shipped inside."""

    url: str
    public_key_file: Path


class Registry(Strict):
    """The release of the registry application that this site runs."""

    version: str


class Host(Strict):
    """One machine of the site; sizes are None for physical machines that state none."""

    name: str
    groups: tuple[str, ...]
    address: IPv4Address
    public_address: IPv4Address | None = None
    user: str = "xjops"
    port: int = 22
    os: str = "linux"
    cpus: int | None = None
    memory_mb: int | None = None
    disk_gb: int | None = None


class Site(Strict):
    """A whole site. `folder` is absolute; relative files in the site are relative to it."""

    name: str
    folder: Path
    site: Identity
    network: Network
    vcenter: VCenter
    database: Database
    storage: Storage
    balancer: Balancer
    bundle: Bundle
    registry: Registry
    hosts: tuple[Host, ...]
    # Vaulted values by name (`vault_vcenter_password`, …); empty when the site's vault is not made yet.
    secrets: dict[str, SecretStr] = {}

    @classmethod
    def load(cls, name: str) -> Site:
        """Load `inventories/<name>/` by Ansible's own loader.

        Raises `ConfigurationError` with every problem found, one line each.
        """
        from xjops.site.loader import load

        return load(name)

    def group(self, name: str) -> tuple[Host, ...]:
        """The hosts of a group, in inventory order; empty for an unknown group."""
        return tuple(host for host in self.hosts if name in host.groups)

    def host(self, name: str) -> Host:
        """The host called `name`; KeyError when there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    @property
    def virtual_machines(self) -> tuple[Host, ...]:
        """The hosts that vCenter makes."""
        return self.group("virtual_machines")

    def file(self, path: Path) -> Path:
        """A file named in the site, absolute."""
        return path if path.is_absolute() else self.folder / path

    def secret(self, name: str) -> str:
        """A vaulted value in clear; `ConfigurationError` when the vault has none of that name."""
        from xjops.core.errors import ConfigurationError

        if name not in self.secrets:
            raise ConfigurationError(
                f"At '{name}' ({self.folder.name}/group_vars/all/vault.yml): missing value",
                mend="xjops lab up"
                if self.site.kind == "lab"
                else f"ansible-vault edit {self.folder}/group_vars/all/vault.yml",
            )
        return self.secrets[name].get_secret_value()
