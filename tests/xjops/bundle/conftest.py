"""A small bundle and everything that a build needs, made on the spot: no network, no caches of others."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xjops.bundle.inputs import Sources
from xjops.bundle.signing import Signer, fingerprints, gpg, stop_agent
from xjops.bundle.verification import MANIFEST, files_below, sha256_of
from xjops.core import paths
from xjops.site import Site

FILES = {
    "apt/hello_1.0_amd64.deb": b"!<arch>\ndebian-binary",
    "apt/Packages": b"Package: hello\n",
    "wheels/hello-1.0-py3-none-any.whl": b"PK\x03\x04" + bytes(range(60)),
    "release/release.json": b'{"version": "1.0"}\n',
    "tools/uv": b"\x7fELF" + bytes(40),
}


@dataclass(frozen=True)
class Key:
    """An OpenPGP key of the tests: GnuPG home, fingerprint, armoured public key."""

    home: Path
    fingerprint: str
    public: Path


@pytest.fixture(scope="session")
def make_key(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Key]:
    def make(name: str) -> Key:
        home = tmp_path_factory.mktemp(name)
        home.chmod(0o700)
        gpg(home, "--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key",
            f"{name} of the tests", "ed25519", "sign", "never")  # fmt: skip
        fingerprint = fingerprints(gpg(home, "--with-colons", "--list-secret-keys"))[0]
        public = home / "public.asc"
        public.write_text(gpg(home, "--armor", "--export", fingerprint))
        stop_agent(home)
        return Key(home, fingerprint, public)

    return make


@pytest.fixture(scope="session")
def key(make_key: Callable[[str], Key]) -> Key:
    return make_key("key")


@pytest.fixture(scope="session")
def other_key(make_key: Callable[[str], Key]) -> Key:
    return make_key("other")


def write_bundle(folder: Path, key: Key) -> None:
    """A signed bundle of FILES."""
    for name, data in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    files = {
        name: {"sha256": sha256_of(path), "size": path.stat().st_size}
        for name, path in files_below(folder).items()
    }
    manifest = {"version": 1, "created": "2026-01-01T00:00:00+00:00", "inputs": "none", "files": files}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
    with Signer(key.home, key.fingerprint) as signer:
        signer.detach(folder / MANIFEST)


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory, key: Key) -> Path:
    """The bundle as signed; tests copy it and never write to it."""
    folder = tmp_path_factory.mktemp("signed") / "bundle"
    write_bundle(folder, key)
    return folder


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:
    """A copy of the bundle to do harm to."""
    return Path(shutil.copytree(signed, tmp_path / "bundle"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The lab with inventories, state and cache of its own."""
    inventories = tmp_path / "inventories"
    shutil.copytree(paths.project() / "inventories" / "lab", inventories / "lab", ignore=_not_generated)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(inventories))
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XJOPS_CACHE", str(tmp_path / "cache"))
    return Site.load("lab")


def _not_generated(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("files", "vault.yml")]


def write_deb(folder: Path, name: str, depends: str = "") -> Path:
    """A Debian package that has nothing but its name."""
    tree = folder / f"{name}.tree"
    (tree / "DEBIAN").mkdir(parents=True)
    control = f"Package: {name}\nVersion: 1:1.0\nArchitecture: amd64\nMaintainer: t <t@example>\n"
    control += f"Depends: {depends}\n" if depends else ""
    (tree / "DEBIAN/control").write_text(control + "Description: for tests\n")
    target = folder / f"{name}_1.0_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, target],
        check=True,
        capture_output=True,
        timeout=30,
    )
    shutil.rmtree(tree)
    return target


@pytest.fixture
def mirror(tmp_path: Path, key: Key) -> Iterator[Path]:
    """An apt repository: editor needs library; signed by `key`."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    write_deb(folder, "library")
    write_deb(folder, "editor", "library")
    sign_mirror(folder, key)
    yield folder
    stop_agent(key.home)


def sign_mirror(folder: Path, key: Key) -> None:
    for name, what in (("Packages", "packages"), ("Release", "release")):
        found = subprocess.run(
            ["apt-ftparchive", what, "."], cwd=folder, check=True, capture_output=True, timeout=30
        )
        (folder / name).write_bytes(found.stdout)
    with Signer(key.home, key.fingerprint) as signer:
        signer.clear(folder / "Release", folder / "InRelease")


def source_lines(mirror: Path, key: Key) -> list[str]:
    """apt's line for `mirror`; ``copy:`` makes apt fetch as from a network."""
    return [f"deb [signed-by={key.public}] copy:{mirror}/ ./"]


def write_wheel(folder: Path, name: str, version: str, files: dict[str, bytes] | None = None) -> Path:
    """A wheel with one module, installable."""
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}.py": b"VALUE = 1\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(files or {}),
    }
    record = (
        "".join(f"{path},sha256={_urlsafe(data)},{len(data)}\n" for path, data in content.items())
        + f"{info}/RECORD,,\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(target, "w") as archive:
        for path, data in content.items():
            archive.writestr(path, data)
        archive.writestr(f"{info}/RECORD", record)
    return target


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pip finds wheels, and nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def sources(tmp_path: Path, index: Path) -> Sources:
    """A small application, its requirements, its packages."""
    app = tmp_path / "app"
    (app / "shop").mkdir(parents=True)
    (app / "shop/__init__.py").write_text("NAME = 'shop'\n")
    (app / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
        '[project]\nname = "sample-shop"\nversion = "1.2.3"\n'
        'requires-python = ">=3.11"\ndependencies = ["counter"]\n'
        '[tool.hatch.build.targets.wheel]\npackages = ["shop"]\n'
    )
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    program = {"uv-0.0.1.data/scripts/uv": b"#!/bin/sh\necho uv of the tests\n"}
    for listing, wheel in (
        ("app.txt", write_wheel(index, "counter", "2.0")),
        ("control.txt", write_wheel(index, "uv", "0.0.1", program)),
    ):
        name, version = wheel.name.split("-")[:2]
        (requirements / listing).write_text(f"{name}=={version} \\\n    --hash=sha256:{sha256_of(wheel)}\n")
    packages = tmp_path / "packages.yml"
    packages.write_text("release: bookworm\narchitecture: amd64\nroles: {base: [editor], none: []}\n")
    return Sources(packages, requirements, app)
