"""The typed site: what `inventories/<site>/` says, validated, as plain frozen types.

Field names are the keys of `group_vars/all/site.yml`; units stand in the names (`_mb`, `_gb`).
Every field carries its description and an example: docs/reference/site.md and the mends of
`xjops site check` are made from them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from xjops.site.types import (
    Address,
    Count,
    Domain,
    Export,
    HostName,
    Mount,
    Port,
    Region,
    Subnet,
    Text,
    Url,
    Zone,
)


class Strict(BaseModel):
    """Frozen; unknown keys are refused. Validators are built when first used: a command needs few of them."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Identity(Strict):
    """Who this site is."""

    title: Text = Field(description="The province's name as people read it.", examples=["示例省"])
    kind: Literal["lab", "production"] = Field(
        description="`lab`: containers on one machine (`xjops lab up`); `production`: a real province.",
        examples=["production"],
    )
    region: Region = Field(
        description="Six-digit region code (GB/T 2260) of the province, in quotes.", examples=['"610000"']
    )
    timezone: Zone = Field(
        default="Asia/Shanghai", description="Time zone of hosts and timers.", examples=["Asia/Shanghai"]
    )


class Segment(Strict):
    """One address range."""

    subnet: Subnet = Field(description="The range, host part zero.", examples=["192.0.2.0/24"])
    gateway: Address = Field(description="The way out of the range, inside it.", examples=["192.0.2.1"])


class Network(Strict):
    """Address plan: the internal and the public side."""

    internal: Segment = Field(description="Where the hosts talk to each other.")
    public: Segment = Field(description="Where the public addresses come from.")
    public_addresses: tuple[Address, ...] = Field(
        default=(), description="The public addresses assigned to this site.", examples=["[203.0.113.10]"]
    )
    management: tuple[Subnet, ...] = Field(
        default=(),
        description="From where SSH and the detail of /healthz are allowed.",
        examples=["[192.0.2.250/32]"],
    )
    dns_servers: tuple[Address, ...] = Field(
        default=(),
        description="Name servers of the hosts; empty: names come from /etc/hosts.",
        examples=["[192.0.2.2]"],
    )
    ntp_servers: tuple[Address, ...] = Field(
        default=(), description="Time servers of the hosts; empty: none is set.", examples=["[192.0.2.3]"]
    )


class VCenter(Strict):
    """Where the virtual machines are made."""

    host: HostName = Field(description="Name or address of vCenter.", examples=["vcenter.xueji.example"])
    port: Port = Field(default=443, description="Its HTTPS port.", examples=["443"])
    username: Text = Field(
        description="Account that may clone, change and power on; its password is `vault_vcenter_password`.",
        examples=["xjops@vsphere.local"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA of vCenter's certificate, below the site's folder; none: the system's CAs.",
        examples=["files/vcenter-ca.pem"],
    )
    datacenter: Text = Field(description="Datacenter.", examples=["DC1"])
    cluster: Text = Field(description="Cluster that the machines run on.", examples=["Cluster1"])
    folder: Text = Field(description="Folder of the machines; made when missing.", examples=["xueji"])
    template: Text = Field(
        description="Template that they are cloned from (Debian 12).", examples=["debian-12"]
    )
    network: Text = Field(description="Port group of the internal network.", examples=["VM Network"])
    datastores: tuple[Text, ...] = Field(
        min_length=1,
        description="Datastores that the machines are spread over.",
        examples=["[datastore1, datastore2]"],
    )


class Database(Strict):
    """PostgreSQL in the lab and small sites, Oracle RAC in production."""

    kind: Literal["postgresql", "oracle"] = Field(
        description="`postgresql`, or `oracle`: two physical machines as RAC.", examples=["oracle"]
    )
    name: Text = Field(description="Name of the database.", examples=["registry"])
    port: Port = Field(description="Port of the listener.", examples=["1521"])
    scan: Domain | None = Field(
        default=None, description="RAC: the SCAN name that clients use.", examples=["scan.xueji.example"]
    )
    scan_addresses: tuple[Address, ...] = Field(
        default=(),
        description="RAC: the SCAN's addresses, three as a rule.",
        examples=["[192.0.2.37, 192.0.2.38, 192.0.2.39]"],
    )
    virtual_addresses: tuple[Address, ...] = Field(
        default=(),
        description="RAC: one virtual address for each database server.",
        examples=["[192.0.2.33, 192.0.2.34]"],
    )
    service: Text | None = Field(
        default=None, description="RAC: the service that the application connects to.", examples=["registry"]
    )


class Storage(Strict):
    """The shared storage, mounted on every web server and on packaging."""

    kind: Literal["nfs", "glusterfs"] = Field(
        description="`nfs` in production, `glusterfs` in the lab.", examples=["nfs"]
    )
    export: Export = Field(
        description="What is mounted: host or address, colon, path.", examples=["192.0.2.41:/vol/registry"]
    )
    mount_point: Mount = Field(
        description="Where it is mounted, absolute.", examples=["/srv/registry/shared"]
    )
    size_gb: Count = Field(description="Its size in GB (1 TB = 1024).", examples=["4096"])


class Balancer(Strict):
    """The load balancer: web2 to web9 behind one public address and domain."""

    kind: Literal["haproxy", "f5"] = Field(
        description="`haproxy`: software on the hosts of `balancers`; `f5`: a BIG-IP.", examples=["f5"]
    )
    management_address: Address | None = Field(
        default=None, description="f5: where its iControl REST answers.", examples=["192.0.2.51"]
    )
    management_port: Port = Field(default=443, description="f5: its HTTPS port there.", examples=["443"])
    management_ca_file: Path | None = Field(
        default=None,
        description="f5: CA of its management certificate, below the site's folder; none: the system's CAs.",
        examples=["files/f5-ca.pem"],
    )
    management_certificate_file: Path | None = Field(
        default=None,
        description="f5: instead of a CA, that very certificate (pinned; its name is not looked at).",
        examples=["files/f5.pem"],
    )
    username: Text | None = Field(
        default=None,
        description="f5: account of the driver, role Manager; its password is `vault_balancer_password`. "
        "None: no driver, members are mapped by hand.",
        examples=["xjops"],
    )
    partition: Text = Field(
        default="Common", description="f5: where pool and virtual server are.", examples=["Common"]
    )
    pool: Text | None = Field(
        default=None, description="f5: the pool, this site's alone.", examples=["xueji_web"]
    )
    virtual_server: Text | None = Field(
        default=None,
        description="f5: the virtual server that must send to the pool; none: not looked at.",
        examples=["xueji_https"],
    )
    address: Address | None = Field(
        default=None,
        description="Public address; null while none is assigned (`xjops site check` reminds).",
        examples=["203.0.113.10"],
    )
    domain: Domain | None = Field(
        default=None, description="Public domain; null while none is assigned.", examples=["xueji.example"]
    )
    certificate_file: Path | None = Field(
        default=None,
        description="haproxy: key and certificate chain for the domain (PEM), below the site's folder.",
        examples=["files/balancer.pem"],
    )
    ca_file: Path | None = Field(
        default=None,
        description="CA of the domain's certificate, for our own checks; none: the system's CAs.",
        examples=["files/lab-ca.pem"],
    )
    members: tuple[Text, ...] = Field(
        min_length=1,
        description="The web servers behind it; web1 is the canary and stays outside.",
        examples=["[web2, web3]"],
    )


class Bundle(Strict):
    """Where hosts install from; the public key is pinned here, never shipped inside."""

    url: Url = Field(description="The repository host, as the hosts reach it.", examples=["http://192.0.2.5"])
    public_key_file: Path = Field(
        description="OpenPGP public key that signs the bundle, below the site's folder.",
        examples=["files/bundle.asc"],
    )


class Registry(Strict):
    """The release of the registry application that this site runs."""

    version: Text = Field(description="Version, in quotes.", examples=['"0.1.0"'])


class Host(Strict):
    """One machine of the site; sizes are None for physical machines that state none.

    The inventory's names of `address`, `user` and `port` are Ansible's: `ansible_host`, `ansible_user`,
    `ansible_port`.
    """

    name: str
    groups: tuple[str, ...]
    address: Address = Field(description="Internal address.", examples=["192.0.2.11"])
    public_address: Address | None = Field(
        default=None,
        description="Its public address, one of `network.public_addresses`.",
        examples=["203.0.113.10"],
    )
    user: Text = Field(default="xjops", description="Account for SSH.", examples=["xjops"])
    port: Port = Field(default=22, description="SSH port.", examples=["22"])
    os: Literal["linux", "windows"] = Field(
        default="linux", description="Operating system; xjops itself manages Linux.", examples=["linux"]
    )
    cpus: Count | None = Field(
        default=None, description="Cores; needed for virtual machines.", examples=["4"]
    )
    memory_mb: Count | None = Field(
        default=None,
        description="Memory in MB (16 GB = 16384); needed for virtual machines.",
        examples=["8192"],
    )
    disk_gb: Count | None = Field(
        default=None, description="Local disk in GB; needed for virtual machines.", examples=["50"]
    )


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
                f"At '{name}' (inventories/{self.name}/group_vars/all/vault.yml): missing value",
                mend="xjops lab up"
                if self.site.kind == "lab"
                else f"ansible-vault edit {self.folder}/group_vars/all/vault.yml",
            )
        return self.secrets[name].get_secret_value()
