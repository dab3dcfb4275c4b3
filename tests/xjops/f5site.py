"""A site like Shaanxi's whose BIG-IP is the endpoint of `tests.xjops.icontrol`, with web2 to web9 mapped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.xjops.icontrol import PASSWORD, BigIPDevice, serving
from xjops.core import paths
from xjops.lab import certificates
from xjops.site import Site

SITE_FILE = "group_vars/all/site.yml"


@dataclass
class Authority:
    """Where the endpoint's certificate, its key and the authority that signed it are."""

    ca: Path
    certificate: Path
    key: Path


@dataclass
class Endpoint:
    """Where the BIG-IP answers."""

    port: int
    device: BigIPDevice = field(repr=False)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("f5")
    made = Authority(folder / "ca.pem", folder / "f5.pem", folder / "f5.key")
    signer, _ = certificates.ensure_authority(made.ca, folder / "ca.key", "test")
    certificates.ensure_certificate(signer, made.certificate, made.key, [IPv4Address("127.0.0.1")])
    return made


@pytest.fixture
def device() -> BigIPDevice:
    """As it should be: the pool with web2 to web9, all up and idle, and the virtual server."""
    made = BigIPDevice()
    for number in range(2, 10):
        made.add(f"web{number}", f"192.0.2.{10 + number}")
    return made


@pytest.fixture
def endpoint(device: BigIPDevice, authority: Authority) -> Iterator[Endpoint]:
    with serving(device, authority.certificate, authority.key) as port:
        yield Endpoint(port, device)


@pytest.fixture
def f5_site(
    endpoint: Endpoint, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Site:
    """The site; its folder is `shaanxi` below `tmp_path/inventories`."""
    folder = tmp_path / "inventories" / "shaanxi"
    shutil.copytree(
        paths.project() / "inventories" / "shaanxi", folder, ignore=shutil.ignore_patterns("vault.yml")
    )
    monkeypatch.setenv("XJOPS_INVENTORIES", str(folder.parent))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XJOPS_SITE", "shaanxi")
    (folder / "files").mkdir(exist_ok=True)
    shutil.copy(authority.ca, folder / "files" / "f5-ca.pem")
    change(
        folder,
        "management_address: 192.0.2.51",
        f"management_port: {endpoint.port}\n  management_address: 127.0.0.1",
    )
    # plain: only a test
    (folder / "group_vars/all/vault.yml").write_text(f"vault_balancer_password: {PASSWORD}\n")
    return Site.load("shaanxi")


def change(folder: Path, old: str, new: str) -> Site:
    """The site with one place of its file changed."""
    file = folder / SITE_FILE
    text = file.read_text()
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new))
    return Site.load(folder.name)
