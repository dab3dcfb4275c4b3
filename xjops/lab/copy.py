"""A second lab: the same inventory in another folder, with addresses and ports of its own.

The tests use it, so that they never touch the user's lab: same hosts, groups and settings, other subnets.
Secrets and files that a lab makes for itself are not copied.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from xjops.core.errors import ConfigurationError

# What `xjops lab up` makes for itself.
OWN = ("vault.yml", "files")
TEST_SITE = "labtest"
TEST_SUBNETS = {
    IPv4Network("10.58.7.0/24"): IPv4Network("10.58.17.0/24"),
    IPv4Network("10.58.107.0/24"): IPv4Network("10.58.117.0/24"),
}
TEST_PORTS = {18989: 18990}


def copy_site(
    source: Path,
    target: Path,
    subnets: Mapping[IPv4Network, IPv4Network] = TEST_SUBNETS,
    ports: Mapping[int, int] = TEST_PORTS,
) -> Path:
    """Copy the inventory `source` to `target`, moving every address of `subnets` and the `port:` numbers.

    Files are written only when they differ, files that `source` has no more are removed; the vault and
    certificates that a lab made in `target` stay. Subnets must be /24. Returns `target`.
    """
    for old, new in subnets.items():
        if old.prefixlen != 24 or new.prefixlen != 24:
            raise ConfigurationError(f"{old} → {new}: only /24 networks can be moved", mend="use a /24")
    wanted = {
        file.relative_to(source): _moved(file.read_text(), subnets, ports)
        for file in sorted(source.rglob("*"))
        if file.is_file() and not _own(file.relative_to(source))
    }
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(target.rglob("*")):
        name = file.relative_to(target)
        if file.is_file() and not _own(name) and name not in wanted:
            file.unlink()
    for name, text in wanted.items():
        file = target / name
        if not file.is_file() or file.read_text() != text:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    password = source.parent / "vault-password"
    if password.is_file():
        shutil.copy2(password, target.parent / password.name)
    return target


def _own(name: Path) -> bool:
    return any(part in OWN for part in name.parts)


def _moved(text: str, subnets: Mapping[IPv4Network, IPv4Network], ports: Mapping[int, int]) -> str:
    for old, new in subnets.items():
        before, after = (str(net.network_address).rpartition(".")[0] + "." for net in (old, new))
        text = re.sub(rf"(?<![\d.]){re.escape(before)}(?=\d)", after, text)
    for was, is_now in ports.items():
        text = re.sub(rf"(\bport: ){was}\b", rf"\g<1>{is_now}", text)
    return text
