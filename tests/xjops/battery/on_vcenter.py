"""vCenter itself can't be used: password, network, certificate, names. Nothing is changed then."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from ipaddress import IPv4Address

from tests.xjops.battery.case import Case, Harm
from tests.xjops.battery.harms import by_proxy, edited, written
from tests.xjops.battery.proxy import Proxy
from tests.xjops.battery.world import SITE_FILE, VCenterWorld
from tests.xjops.vcsim import PASSWORD, free_port
from xjops.lab import certificates

APPLY = "vm apply --yes"
VAULT = "group_vars/all/vault.yml"
CA = "files/vcenter-ca.pem"
VCENTER = "vCenter 127.0.0.1:<port>"
GONE = f"{VCENTER} is not reachable: "
CHECK = "check vcenter.host and port of inventories/labtest"
EDIT = "ansible-vault edit inventories/labtest/group_vars/all/vault.yml"
PEM = "put the PEM certificate of vCenter's CA there (https://127.0.0.1/certs/download.zip)"
IN_SITE = "(inventories/labtest/group_vars/all/site.yml)"
REFUSED = f"{VCENTER} refuses the password of "
of_site = partial(edited, SITE_FILE)
of_vault = partial(edited, VAULT)


def at_port(number: int) -> Harm:
    """Another port than vCenter's."""
    return lambda world: world.edited(SITE_FILE, f"port: {world.proxy.port}", f"port: {number}")


def nobody_listens(world: VCenterWorld) -> AbstractContextManager[object]:
    """A port of nobody's."""
    return at_port(free_port())(world)


@contextmanager
def deaf(world: VCenterWorld) -> Iterator[None]:
    """A port that takes connections and never says a word, not even TLS's."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        world.hurried(request=1),
        at_port(listener.getsockname()[1])(world),
    ):
        yield


@contextmanager
def another_certificate(world: VCenterWorld) -> Iterator[None]:
    """A certificate that another authority has signed, as after a reinstallation or in an attack."""
    pem, key = world.folder / "other.pem", world.folder / "other.key"
    authority, _ = certificates.ensure_authority(world.folder / "ca.pem", world.folder / "ca.key", "other")
    certificates.ensure_certificate(authority, pem, key, [IPv4Address("127.0.0.1")])
    with Proxy(world.direct.vcenter.port, pem, key).serve() as other, at_port(other.port)(world):
        yield


def case(what: str, harm: Harm, code: int, error: str) -> Case:
    """The eleven machines are asked for; afterwards they stand."""
    return Case(what, harm, APPLY, code, error, after=VCenterWorld.stands)


CASES = (
    case(
        "wrong password",
        of_vault(PASSWORD, "wrong"),
        78,
        f"{REFUSED}xjops@vsphere.local (vault_vcenter_password) → {EDIT}",
    ),
    case(
        "unknown account",
        of_site("xjops@vsphere", "nobody@vsphere"),
        78,
        f"{REFUSED}nobody@vsphere.local (vault_vcenter_password) → {EDIT}",
    ),
    case(
        "no password in the vault",
        of_vault("vault_vcenter_password", "vault_password"),
        78,
        "At 'vault_vcenter_password' (inventories/labtest/group_vars/all/vault.yml): missing value → "
        "ansible-vault edit <site>/group_vars/all/vault.yml",
    ),
    case("nothing listens", nobody_listens, 1, f"{GONE}Connection refused → {CHECK}"),
    case("takes connections, never answers", deaf, 1, f"{GONE}no answer within 1 s → {CHECK}"),
    case(
        "hangs after TLS",
        by_proxy(lambda proxy: proxy.silence("RetrieveServiceContent"), request=1),
        1,
        f"{GONE}no answer within 1 s → {CHECK}",
    ),
    case(
        "hangs at the log-in",
        by_proxy(lambda proxy: proxy.silence("Login"), request=1),
        1,
        f"{GONE}no answer within 1 s → {CHECK}",
    ),
    case(
        "connection cut at the log-in",
        by_proxy(lambda proxy: proxy.lose("Login")),
        1,
        f"{GONE}Remote end closed connection without response → {CHECK}",
    ),
    case(
        "certificate of another authority",
        another_certificate,
        78,
        f"{VCENTER}: its certificate is not vouched for by {CA} (self-signed certificate in certificate "
        f"chain) → {PEM}",
    ),
    case(
        "no CA file",
        written(CA, None),
        78,
        f"At 'vcenter.ca_file' {IN_SITE}: <site>/{CA} gives no certificate (No such file or directory) → "
        f"{PEM}",
    ),
    case(
        "CA file without a certificate",
        written(CA, "hello\n"),
        78,
        f"At 'vcenter.ca_file' {IN_SITE}: <site>/{CA} gives no certificate (no PEM certificate in it) → "
        f"{PEM}",
    ),
    case(
        "too old a vCenter",
        by_proxy(
            lambda proxy: proxy.rewrite("RetrieveServiceContent", b"<apiVersion>9.0", b"<apiVersion>6.7")
        ),
        1,
        f"{VCENTER} speaks API 6.7.0.0; 7.0 or later is needed → upgrade vCenter",
    ),
    case(
        "unknown data center",
        of_site("datacenter: DC0", "datacenter: DC9"),
        78,
        f"At 'vcenter.datacenter' {IN_SITE}: {VCENTER} has no data center 'DC9' → use one of: DC0; or make "
        "it in vCenter",
    ),
    case(
        "unknown cluster",
        of_site("cluster: DC0_C0", "cluster: DC0_C9"),
        78,
        f"At 'vcenter.cluster' {IN_SITE}: data center 'DC0' has no cluster 'DC0_C9' → use one of: DC0_C0; "
        "or make it in vCenter",
    ),
    case(
        "unknown folder",
        of_site("folder: xjops-lab", "folder: registry"),
        78,
        f"At 'vcenter.folder' {IN_SITE}: data center 'DC0' has no VM folder 'registry' → use one of: "
        "xjops-lab; or make it in vCenter",
    ),
    case(
        "unknown datastore",
        of_site("LocalDS_2", "SAN_2"),
        78,
        f"At 'vcenter.datastores[2]' {IN_SITE}: cluster 'DC0_C0' has no datastore 'SAN_2' → use one of: "
        "LocalDS_0, LocalDS_1, LocalDS_2; or make it in vCenter",
    ),
    case(
        "unknown network",
        of_site("network: VM Network", "network: VLAN 7"),
        78,
        f"At 'vcenter.network' {IN_SITE}: cluster 'DC0_C0' has no network 'VLAN 7' → use one of: "
        "DC0_DVPG0, DVS0-DVUplinks-8, VM Network; or make it in vCenter",
    ),
    case(
        "unknown template",
        of_site("template: debian-12", "template: debian-13"),
        78,
        f"At 'vcenter.template' {IN_SITE}: data center 'DC0' has no template 'debian-13' → use one of: "
        "debian-12; or make it in vCenter",
    ),
    case(
        "template that is a machine",
        of_site("template: debian-12", "template: web1"),
        78,
        f"At 'vcenter.template' {IN_SITE}: 'web1' is a virtual machine, not a template → convert it to a "
        "template",
    ),
)
