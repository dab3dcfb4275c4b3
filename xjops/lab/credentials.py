"""Everything secret that the lab makes for itself, once: what is there and good stays as it is.

| where | what |
|---|---|
| `<state>/<site>/ssh/id_ed25519(.pub)` | the engineer's key |
| `<state>/<site>/vault-password`, `inventories/<site>/group_vars/all/vault.yml` | the vault |
| `<state>/<site>/lab/ca.key`, `inventories/<site>/files/lab-ca.pem` | the lab's certificate authority |
| `inventories/<site>/files/balancer.pem` | certificate, chain and key of the balancer |
| `<state>/<site>/lab/vcenter.{pem,key}`, `inventories/<site>/files/vcenter-ca.pem` | the simulated vCenter |
| `<state>/<site>/gnupg/`, `inventories/<site>/files/bundle.asc` | the key that signs bundles |
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from xjops.bundle import signing
from xjops.core import paths
from xjops.core.locking import lock
from xjops.lab import keys
from xjops.lab.certificates import ensure_authority, ensure_certificate
from xjops.lab.vault import ensure_vault, require_lab
from xjops.site import Site


@dataclass(frozen=True)
class Made:
    """The loaded site, and what was made anew in this run."""

    site: Site
    new: tuple[str, ...]


def lab_folder(name: str) -> Path:
    """`<state>/<site>/lab/` (0700): host keys, disks, logs and process ids of the lab."""
    folder = paths.state(name) / "lab"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def ssh_folder(name: str) -> Path:
    """`<state>/<site>/ssh/` (0700): the engineer's key and the hosts' public keys."""
    folder = paths.state(name) / "ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def vcenter_certificate(site: Site) -> tuple[Path, Path]:
    """Certificate (with its authority's) and key of the simulated vCenter."""
    folder = lab_folder(site.name)
    return folder / "vcenter.pem", folder / "vcenter.key"


def ensure(name: str) -> Made:
    """Make what is missing of the lab's secrets; returns the site, loaded with its vault.

    Raises `ConfigurationError` for a site that doesn't load or a vault without its password,
    `UsageError` for a production site.
    """
    folder = paths.inventories() / name
    require_lab(folder)
    with lock(paths.state(name) / "secrets.lock", what="making of secrets", seconds=60, mend="run it again"):
        new = ["vault"] if ensure_vault(folder) else []
        site = Site.load(name)
        key = ssh_folder(name) / "id_ed25519"
        if not key.is_file():
            new.append("SSH key")
        keys.ensure_key(key, f"xjops {name}")
        if not site.file(site.bundle.public_key_file).is_file():
            new.append("bundle key")
        signing.ensure_key(site)
        new += _certificates(site)
    return Made(site, tuple(new))


def _certificates(site: Site) -> list[str]:
    files, folder = site.folder / "files", lab_folder(site.name)
    files.mkdir(exist_ok=True)
    authority_file = site.file(site.balancer.ca_file or Path("files/lab-ca.pem"))
    authority, new_authority = ensure_authority(
        authority_file, folder / "ca.key", f"xjops {site.name} lab authority"
    )
    new = ["certificate authority"] if new_authority else []
    certificate = site.balancer.certificate_file
    if certificate is not None:
        names: list[str | IPv4Address] = [site.balancer.domain] if site.balancer.domain else []
        names += [item for item in (site.balancer.address,) if item is not None]
        file = site.file(certificate)
        if names and ensure_certificate(authority, file, file, names):
            new.append("balancer certificate")
    pem, key = vcenter_certificate(site)
    endpoint = [_name_or_address(site.vcenter.host), "localhost", IPv4Address("127.0.0.1")]
    if ensure_certificate(authority, pem, key, endpoint):
        new.append("vCenter certificate")
    if site.vcenter.ca_file is not None:
        trusted = site.file(site.vcenter.ca_file)
        if not trusted.is_file() or trusted.read_bytes() != authority.pem:
            keys.write_private(trusted, authority.pem, 0o644)
    return new


def _name_or_address(text: str) -> str | IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return text
