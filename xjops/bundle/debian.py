"""Debian packages with their whole dependency closure, fetched and verified by apt itself.

apt works in a root of its own (`<cache>/apt`) with an empty package status and Debian's archive keyring,
so the result does not depend on what this machine has installed. Which mirror to ask and how (proxy) is
taken from the machine's own apt configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import yaml

from xjops.bundle.verification import sha256_of
from xjops.core.errors import ConfigurationError, NotRunError, XjopsError
from xjops.core.process import run
from xjops.core.progress import Progress, silent
from xjops.core.waiting import wait_for

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES = ("{}", "{}-updates", "{}-security")
UPDATE_SECONDS = 300
DOWNLOAD_SECONDS = 1800
NETWORK_MEND = "check this machine's apt sources and network (apt-get update), then run it again"
# How this machine reaches a mirror; everything else of its apt configuration is left aside.
CARRIED = re.compile(r"^Acquire::(https?::|Retries|Check-Valid-Until|Check-Date|ForceIPv)")
URI = re.compile(r"^'(?P<uri>[^']+)' (?P<cached>\S+) (?P<size>\d+) SHA256:(?P<sha256>[0-9a-f]{64})$")


@dataclass(frozen=True)
class Wanted:
    """What packages.yml asks for: a Debian release, an architecture, package names by role."""

    release: str
    architecture: str
    roles: Mapping[str, tuple[str, ...]]

    @classmethod
    def load(cls, path: Path) -> Wanted:
        """Read packages.yml; `ConfigurationError` names the key that is wrong."""
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        roles = data.get("roles") if isinstance(data, dict) else None
        if not isinstance(roles, dict) or not roles:
            raise ConfigurationError(
                f"At 'roles' ({path.name}): no package list by role", mend=f"edit {path}"
            )
        for key in ("release", "architecture"):
            if not isinstance(data.get(key), str):
                raise ConfigurationError(f"At '{key}' ({path.name}): missing value", mend=f"edit {path}")
        for role, names in roles.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ConfigurationError(
                    f"At 'roles.{role}' ({path.name}): not a list of package names", mend=f"edit {path}"
                )
        return cls(data["release"], data["architecture"], {role: tuple(roles[role]) for role in roles})


class Package(NamedTuple):
    """One file of the closure: its name in Debian's pool, its name in apt's cache, bytes, SHA-256."""

    file: str
    cached: str
    size: int
    sha256: str


def machine_sources(release: str) -> list[str]:
    """apt source lines for `release` and its updates, at the mirrors that this machine uses."""
    listed = run(
        [
            "apt-get",
            "indextargets",
            "--format",
            "$(REPO_URI) $(RELEASE) $(COMPONENT)",
            "Identifier: Packages",
        ],
        seconds=60,
        mend="xjops builds bundles on Debian 12",
    ).stdout.decode()
    suites = [suite.format(release) for suite in SUITES]
    rows = [line.split(" ") for line in listed.splitlines()]
    lines = [
        f"deb [signed-by={KEYRING}] {row[0]} {row[1]} main"
        for row in rows
        if row[1:] in [[s, "main"] for s in suites]
    ]
    if not lines:
        raise NotRunError(f"this machine's apt has no source for Debian {release}", mend=NETWORK_MEND)
    return list(dict.fromkeys(lines))


class Apt:
    """apt in a root of its own below `folder`; `debs` keeps the downloaded packages."""

    def __init__(self, folder: Path, debs: Path, architecture: str, sources: list[str]) -> None:
        self.folder = folder
        self.debs = debs
        self.architecture = architecture
        self.sources = "".join(f"{line}\n" for line in sources)

    def prepare(self) -> None:
        """Write the root's configuration; look for no network."""
        etc = self.folder / "etc"
        for path in (etc, self.folder / "lists/partial", self.folder / "cache", self.debs / "partial"):
            path.mkdir(parents=True, exist_ok=True)
        (self.folder / "status").write_text("")
        (etc / "sources.list").write_text(self.sources)
        own = {
            "Dir::State::status": self.folder / "status",
            "Dir::State::lists": self.folder / "lists",
            "Dir::State::extended_states": self.folder / "extended_states",
            "Dir::Cache": self.folder / "cache",
            "Dir::Cache::archives": self.debs,
            "Dir::Etc": etc,
            "Dir::Etc::parts": etc / "none",
            "Dir::Etc::trusted": etc / "none",
            "Dir::Etc::trustedparts": etc / "none",
            "APT::Architecture": self.architecture,
            "APT::Architectures": self.architecture,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",  # the cache may be in a home folder that user _apt can't enter
            "Acquire::Languages": "none",
            "Acquire::ForceHash": "SHA256",
            "Acquire::AllowInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
        }
        lines = [f'{key} "{value}";' for key, value in own.items()]
        (self.folder / "apt.conf").write_text("\n".join([*self._carried(), *lines, ""]))

    @staticmethod
    def _carried() -> list[str]:
        dump = run(["apt-config", "dump"], seconds=30).stdout.decode()
        lines = [line for line in dump.splitlines() if CARRIED.match(line)]
        return [*lines, 'Acquire::Retries "3";', 'Acquire::http::Timeout "30";']

    def _apt(self, *words: str, seconds: float) -> str:
        """Run apt-get in this root; an apt of an interrupted build may still hold the lock for a while."""
        result = run(
            ["apt-get", "-qq", *words],
            seconds=seconds,
            check=False,
            environment={"APT_CONFIG": str(self.folder / "apt.conf"), "LC_ALL": "C"},
        )
        if result.returncode:
            lines = result.stderr.decode(errors="replace").splitlines()
            errors = [line[3:] for line in lines if line.startswith("E: ")]
            raise XjopsError(
                f"apt-get {words[0]}: {(errors or lines or ['failed'])[0][:300]}", mend=NETWORK_MEND
            )
        return result.stdout.decode()

    @property
    def has_lists(self) -> bool:
        """Whether package lists for these very sources were fetched before."""
        stamp = self.folder / "fetched"
        return stamp.is_file() and stamp.read_text() == self.sources

    def update(self) -> None:
        """Fetch the package lists; apt checks their signatures."""
        self._patient("update", "-o", "APT::Update::Error-Mode=any", seconds=UPDATE_SECONDS)
        (self.folder / "fetched").write_text(self.sources)

    def _patient(self, *words: str, seconds: float) -> None:
        def attempt() -> bool | None:
            try:
                self._apt(*words, seconds=seconds)
            except XjopsError as error:
                if "Could not get lock" not in error.what and "Unable to lock" not in error.what:
                    raise
                return None
            return True

        wait_for(
            attempt, what="the end of another apt on this cache", seconds=120, mend="run it again", interval=1
        )

    def closure(self, role: str, names: tuple[str, ...]) -> list[Package]:
        """Everything that installing `names` on an empty system takes.

        `ConfigurationError` names the role whose packages don't exist or don't go together.
        """
        nowhere = self.folder / "cache/none"  # apt lists only what its archive folder lacks
        (nowhere / "partial").mkdir(parents=True, exist_ok=True)
        try:
            listed = self._apt(
                "install",
                "--print-uris",
                "--yes",
                "-o",
                f"Dir::Cache::archives={nowhere}",
                *names,
                seconds=120,
            )
        except XjopsError as error:
            raise ConfigurationError(
                f"At 'roles.{role}' (packages.yml): {error.what}",
                mend="correct the package's name, or xjops bundle build --refresh",
            ) from error
        found = []
        for line in listed.splitlines():
            match = URI.match(line)
            if not match:
                raise XjopsError(
                    f"apt-get named a package without its SHA-256: {line[:200]}", mend=NETWORK_MEND
                )
            file = unquote(match["uri"].rsplit("/", 1)[1])
            found.append(Package(file, match["cached"], int(match["size"]), match["sha256"]))
        return found

    def fetch(self, wanted: Wanted, packages: list[Package], progress: Progress = silent) -> None:
        """Download what `self.debs` lacks; a cached file that is not what its hash says is fetched again.

        Raises `XjopsError` naming the package when it can't be had.
        """
        missing = [package for package in packages if not self._cached(package)]
        if not missing:
            return
        total = sum(package.size for package in missing)
        with ThreadPoolExecutor(1) as pool:
            job = pool.submit(self._download, wanted)
            while wait([job], timeout=1).not_done:
                done = sum(self._bytes(package) for package in missing)
                progress("Debian packages", "download", f"{done / 1e6:.0f} of {total / 1e6:.0f} MB")
            job.result()
        for package in missing:
            if not self._cached(package):
                raise XjopsError(f"apt did not deliver {package.file} as its list says", mend=NETWORK_MEND)

    def _download(self, wanted: Wanted) -> None:
        for names in wanted.roles.values():
            self._patient("install", "--download-only", "--yes", *names, seconds=DOWNLOAD_SECONDS)

    def _bytes(self, package: Package) -> int:
        for path in (self.debs / package.cached, self.debs / "partial" / package.cached):
            if path.exists():
                return path.stat().st_size
        return 0

    def _cached(self, package: Package) -> bool:
        path = self.debs / package.cached
        if path.is_file() and path.stat().st_size == package.size and sha256_of(path) == package.sha256:
            return True
        path.unlink(missing_ok=True)
        return False


def collect(apt: Apt, wanted: Wanted, progress: Progress = silent, *, refresh: bool = False) -> list[Package]:
    """The closure of all roles, downloaded into `apt.debs`, sorted by file name.

    Package lists are fetched when there are none yet, on `refresh`, or when the archive no longer has
    what they name (Debian removes superseded security updates).
    """
    apt.prepare()
    if refresh or not apt.has_lists:
        progress("Debian packages", "lists")
        apt.update()
        refresh = True
    try:
        return _collect(apt, wanted, progress)
    except ConfigurationError:
        raise
    except XjopsError:
        if refresh:
            raise
        progress("Debian packages", "lists")
        apt.update()
        return _collect(apt, wanted, progress)


def _collect(apt: Apt, wanted: Wanted, progress: Progress) -> list[Package]:
    progress("Debian packages", "closure")
    packages = sorted(_closures(apt, wanted))
    for file, count in Counter(item.file for item in packages).items():
        if count > 1:
            raise XjopsError(f"two different packages are called {file}", mend=NETWORK_MEND)
    apt.fetch(wanted, packages, progress)
    return packages


def _closures(apt: Apt, wanted: Wanted) -> set[Package]:
    """The closures of all roles; remembered as long as neither the wishes nor Debian's lists change."""
    key = hashlib.sha256(repr((wanted.release, wanted.architecture, sorted(wanted.roles.items()))).encode())
    for path in sorted((apt.folder / "lists").glob("*InRelease")):
        key.update(path.read_bytes())
    memory = apt.folder / "closure.json"
    try:
        known = json.loads(memory.read_text())
        if known["key"] == key.hexdigest():
            return {Package(*item) for item in known["packages"]}
    except (OSError, ValueError, KeyError, TypeError):
        pass  # nothing remembered, or unreadable: ask apt
    found = {item for role, names in wanted.roles.items() if names for item in apt.closure(role, names)}
    memory.write_text(json.dumps({"key": key.hexdigest(), "packages": sorted(found)}))
    return found
