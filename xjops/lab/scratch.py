"""Throw-away hosts for the roles' own tests (molecule): fresh containers of the lab's base image.

A set has a name, a block of eight addresses in 10.58.27.0/24, its own SSH key and host keys in
`<state>/scratch/<name>/`, and, when a bundle is there, a package repository that serves it.
Which blocks are taken is podman's knowledge (labels), so sets made at the same time never clash.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import ConfigurationError, UsageError
from xjops.lab import guest, image, keys, network
from xjops.lab.guest import File, Guest
from xjops.lab.podman import containers, podman, remove, start, wait_ssh

NETWORK = "xj-scratch"
SUBNET = IPv4Network("10.58.27.0/24")
GATEWAY = SUBNET[1]
FIRST, BLOCK = 8, 8  # blocks of eight addresses from 10.58.27.8 on
BLOCKS = (SUBNET.num_addresses - FIRST) // BLOCK - 1  # the last would hold the broadcast address
REPOSITORY = "repo"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,30}")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Instance:
    """How to reach one scratch host; the field names are those of molecule's instance configuration."""

    instance: str
    address: str
    user: str
    port: int
    identity_file: str


@dataclass(frozen=True)
class ScratchSet:
    """A set that is up. `bundle` (the folder that is served) and `repository_url` are empty without one."""

    name: str
    known_hosts: str
    bundle: str
    repository_url: str
    public_key_file: str
    instances: tuple[Instance, ...]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)

    def write(self, folder: Path) -> None:
        """Lay down in `folder` what molecule and its playbooks look for there."""
        instances = [asdict(item) for item in self.instances]
        for name, data in (("instance_config.yml", instances), ("scratch.json", self.as_dict())):
            keys.write_private(folder / name, json.dumps(data, indent=2).encode())  # JSON is YAML
        keys.write_private(folder / "known_hosts", Path(self.known_hosts).read_bytes())


@contextmanager
def _lock() -> Iterator[None]:
    """One allocation at a time, however many test runs and state folders there are."""
    with Path("/run/lock/xjops-scratch.lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _check(name: str, hosts: Sequence[str]) -> None:
    for word in (name, *hosts):
        if not NAME.fullmatch(word):
            raise UsageError(
                f"{word!r} is no scratch name", mend="lower-case letters, digits and hyphens, at most 31"
            )
    if not hosts or len(hosts) > BLOCK - 1 or len(set(hosts)) != len(hosts) or REPOSITORY in hosts:
        raise UsageError(
            f"scratch set {name!r} needs 1 to {BLOCK - 1} different hosts, none called {REPOSITORY!r}",
            mend="xjops lab scratch create NAME --host a --host b",
        )


def _block(name: str) -> int:
    """The block of set `name`, a free one when it has none yet."""
    taken = {
        item.labels["xjops.block"]: item.labels["xjops.set"] for item in containers(kind="scratch").values()
    }
    for block, owner in taken.items():
        if owner == name:
            return int(block)
    for number in range(BLOCKS):
        if str(number) not in taken:
            return number
    raise ConfigurationError(
        f"all {BLOCKS} blocks of {SUBNET} are taken", mend="xjops lab scratch destroy --all"
    )


def address(block: int, position: int) -> IPv4Address:
    """The address of a host; position 0 is the set's repository."""
    return SUBNET[FIRST + block * BLOCK + position]


def _apt_files(url: str, public_key: Path) -> list[File]:
    source = f"deb [signed-by=/etc/apt/keyrings/xjops-bundle.asc] {url}/apt ./\n"
    return [
        File("etc/apt/keyrings/xjops-bundle.asc", public_key.read_bytes()),
        File("etc/apt/sources.list.d/xjops-bundle.list", source.encode()),
    ]


@dataclass(frozen=True)
class _Plan:
    """What a set is made of: its folder of keys, its block, its repository's URL ("" without a bundle)."""

    name: str
    folder: Path
    block: int
    image: str
    public_key: Path
    url: str

    def labels(self, host: str) -> dict[str, str]:
        return {"kind": "scratch", "set": self.name, "block": str(self.block), "host": host}


def _repository(plan: _Plan, bundle: Path) -> Guest:
    """The set's package repository: the base image running Python's web server over the bundle."""
    return Guest(
        name=REPOSITORY,
        container=f"{NETWORK}-{plan.name}-{REPOSITORY}",
        addresses={NETWORK: address(plan.block, 0)},
        labels=plan.labels(REPOSITORY),
        volumes=[f"{bundle}:/srv/bundle:ro"],
        command=["python3", "-m", "http.server", "--directory", "/srv/bundle", "80"],
    )


def _host(plan: _Plan, host: str, at: IPv4Address, authorized_key: str) -> tuple[Guest, str]:
    """A scratch host and its line of known_hosts."""
    key = plan.folder / "hosts" / host / "ssh_host_ed25519_key"
    public = keys.ensure_key(key, host)
    files = [*guest.ssh_files(key.read_bytes(), public, authorized_key), guest.hosts_file(host, at)]
    made = Guest(
        name=host,
        container=f"{NETWORK}-{plan.name}-{host}",
        addresses={NETWORK: at},
        labels=plan.labels(host),
        devices=guest.fuse(),
        files=[*files, *(_apt_files(plan.url, plan.public_key) if plan.url else [])],
    )
    return made, keys.known_hosts_line([str(at)], public)


def create(name: str, hosts: Sequence[str], *, bundle: Path, public_key: Path, say: Say) -> ScratchSet:
    """Bring a set up (again) and return how to reach it; running hosts stay as they are.

    `bundle` is served to the hosts when it holds an `apt` folder, and `public_key` is what they trust; a
    bundle's list of packages is read. Raises `XjopsError` when a host can't be brought up.
    """
    _check(name, hosts)
    image_name = image.ensure(say)
    folder = paths.state("scratch") / name
    authorized = keys.ensure_key(folder / "id_ed25519", f"xjops scratch {name}")
    with_bundle = (bundle / "apt").is_dir() and public_key.is_file()
    if not with_bundle:
        say(
            f"no bundle in {bundle}: apt has no source in these hosts → xjops lab secrets; xjops bundle build"
        )
    with _lock():
        network.ensure(NETWORK, SUBNET, GATEWAY, {"kind": "scratch"})
        block = _block(name)
        url = f"http://{address(block, 0)}" if with_bundle else ""
        plan = _Plan(name, folder, block, image_name, public_key, url)
        made = [_host(plan, host, address(block, number), authorized) for number, host in enumerate(hosts, 1)]
        keys.write_known_hosts(folder / "known_hosts", [line for _, line in made])
        guests = [*([_repository(plan, bundle)] if url else []), *(item for item, _ in made)]
        # the first container takes the block, so that the lock may go before the rest starts
        _start(guests[0], image_name, folder)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(partial(_start, image_name=image_name, folder=folder), guests[1:]))
        read_list = bool(url) and (bundle / "apt" / "InRelease").is_file()
        list(pool.map(partial(_ready, read_list=read_list), (item for item, _ in made)))
    key = str(folder / "id_ed25519")
    return ScratchSet(
        name=name,
        known_hosts=str(folder / "known_hosts"),
        bundle=str(bundle) if url else "",
        repository_url=url,
        public_key_file=str(public_key) if url else "",
        instances=tuple(
            Instance(item.name, str(item.addresses[NETWORK]), guest.USER, 22, key) for item, _ in made
        ),
    )


def _start(item: Guest, image_name: str, folder: Path) -> None:
    seed = guest.write_seed(folder / "hosts" / item.name / "seed.tar", item.files)
    start(item.container, guest.run_words(item, image_name, seed))


def _ready(item: Guest, *, read_list: bool) -> None:
    """Wait until the host has booted; then its apt reads the list of packages, as the base role would."""
    wait_ssh(item.container, item.addresses[NETWORK])
    if read_list:
        podman("exec", item.container, "apt-get", "update", "--quiet", seconds=120)


def sets() -> dict[str, list[str]]:
    """The hosts of every set that has containers, by set."""
    found: dict[str, list[str]] = {}
    for item in containers(kind="scratch").values():
        found.setdefault(item.labels["xjops.set"], []).append(item.labels["xjops.host"])
    return found


def destroy(name: str) -> None:
    """Remove a set: its containers and its keys. Nothing happens when there is none."""
    _check(name, ["any"])
    with _lock():
        remove(list(containers(kind="scratch", set=name)))
        folder = paths.state("scratch") / name
        if folder.is_dir():
            shutil.rmtree(folder)
        if not containers(kind="scratch"):
            podman("network", "rm", NETWORK, check=False)
