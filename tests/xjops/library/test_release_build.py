"""The module that builds a release: what it trusts, what it builds, what it keeps.

The bundle here is small: its `uv` is a shell script that lays the programs a real one would install. The real
one is built by the role's molecule scenario.
"""

from __future__ import annotations

import getpass
import hashlib
import importlib.util
import json
import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from xjops.bundle import signing
from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "release_build", paths.project() / "library" / "release_build.py"
)
assert specification
assert specification.loader
release_build = importlib.util.module_from_spec(specification)
specification.loader.exec_module(release_build)

UV = """#!/bin/sh
set -e
test "$UV_PYTHON_DOWNLOADS" = never
if [ "$1" = venv ]; then
  for last; do :; done
  mkdir -p "$last/bin"
  for name in python gunicorn; do printf '#!/bin/sh\\n' > "$last/bin/$name"; chmod 755 "$last/bin/$name"; done
  touch "$last/.lock" && chmod 666 "$last/.lock"
else
  echo "$@" > "$HOME/installed"
  cat > "$HOME/bin/registry" <<'PROGRAM'
#!/bin/sh
test "$1" != check || test "$REGISTRY_SECRET_KEY" != broken || { echo 'the key is broken' >&2; exit 3; }
test "$1" = collectstatic || exit 0
mkdir -p "$REGISTRY_STATIC_ROOT" && echo "$REGISTRY_NODE" > "$REGISTRY_STATIC_ROOT/node"
PROGRAM
  chmod 755 "$HOME/bin/registry"
fi
"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[signing.Signer, Path]]:
    """A signer and the file with its public key."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)
    signing.gpg(home, "--passphrase", "", "--quick-gen-key", "bundle", "ed25519", "sign", "0")
    fingerprint = signing.fingerprints(signing.gpg(home, "--with-colons", "--list-keys"))[0]
    public = home / "bundle.asc"
    signing.gpg(home, "--armor", "--output", str(public), "--export", fingerprint)
    with signing.Signer(home, fingerprint) as signer:
        yield signer, public


class World:
    """A served bundle and a host's folder."""

    def __init__(self, folder: Path, url: str, keys: tuple[signing.Signer, Path]) -> None:
        self.bundle = folder / "bundle"
        self.root = folder / "opt"
        self.settings = folder / "registry.env"
        self.settings.write_text("# settings\nREGISTRY_NODE='web1'\nREGISTRY_SECRET_KEY='a=b$(c)'\n")
        self.url = url
        self.signer, self.public = keys
        self.release("0.1.0")

    def release(self, version: str, requirements: str = "django==5.2 --hash=sha256:0\n") -> None:
        """Lay and sign a bundle that holds this release."""
        files = {
            "release/release.json": json.dumps({"version": version}),
            "release/requirements.txt": requirements,
            "tools/uv": UV,
        }
        for name, content in files.items():
            (self.bundle / name).parent.mkdir(parents=True, exist_ok=True)
            (self.bundle / name).write_text(content)
        hashes = {name: {"sha256": hashlib.sha256(text.encode()).hexdigest()} for name, text in files.items()}
        (self.bundle / "manifest.json").write_text(json.dumps({"files": hashes}))
        self.signer.detach(self.bundle / "manifest.json")

    def converge(self, check: bool = False, **more: Any) -> dict[str, Any]:
        params = {
            "bundle_url": self.url,
            "public_key": str(self.public),
            "version": "0.1.0",
            "root": str(self.root),
            "environment_file": str(self.settings),
            "user": getpass.getuser(),
            "keep": 3,
        }
        return dict(release_build.converge({**params, **more}, check))

    def releases(self) -> list[str]:
        return sorted(path.name for path in (self.root / "releases").iterdir())


@pytest.fixture
def world(
    tmp_path: Path, keys: tuple[signing.Signer, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    if os.getuid() != 0:  # only root may become somebody else
        monkeypatch.setattr(release_build, "give_to_root", lambda _: None)
        monkeypatch.setattr(release_build.pwd, "getpwnam", lambda _: release_build.pwd.getpwuid(os.getuid()))
        true_run = release_build.run

        def as_myself(command: list[str], seconds: int, **options: Any) -> Any:
            for name in ("user", "group", "extra_groups"):
                options.pop(name, None)
            return true_run(command, seconds, **options)

        monkeypatch.setattr(release_build, "run", as_myself)
    (tmp_path / "bundle").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "bundle")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield World(tmp_path, f"http://127.0.0.1:{server.server_port}", keys)
    server.shutdown()
    server.server_close()


def test_a_release_is_built_once(world: World) -> None:
    digest = hashlib.sha256((world.bundle / "release/requirements.txt").read_bytes()).hexdigest()[:8]
    name = f"0.1.0+{digest}"
    folder = world.root / "releases" / name
    assert world.converge() == {"changed": True, "release": name, "path": str(folder), "removed": []}
    assert (folder / "static/node").read_text() == "web1\n"
    assert (folder / "release.env").read_text() == (
        f"REGISTRY_RELEASE='{name}'\nREGISTRY_STATIC_ROOT='{folder}/static'\n"
    )
    installed = (folder / "installed").read_text()
    for option in (
        "--require-hashes",
        "--no-index",
        "--only-binary :all:",
        f"--find-links {world.url}/wheels/",
    ):
        assert option in installed
    assert not list(world.root.glob(".scratch-*"))
    inode = folder.stat().st_ino
    assert world.converge()["changed"] is False
    assert folder.stat().st_ino == inode


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_nobody_but_root_may_write_to_a_release(world: World) -> None:
    folder = Path(world.converge()["path"])
    found = [path.lstat() for path in [folder, *folder.rglob("*")]]
    assert {(state.st_uid, state.st_gid, state.st_mode & 0o022) for state in found} == {(0, 0, 0)}


def test_check_mode_builds_nothing(world: World) -> None:
    assert world.converge(check=True)["changed"] is True
    assert not world.root.exists()


def test_the_same_version_with_other_wheels_is_another_release(world: World) -> None:
    first = world.converge()
    world.release("0.1.0", "django==5.3 --hash=sha256:1\n")
    second = world.converge()
    assert first["release"] != second["release"]
    assert world.releases() == sorted([first["release"], second["release"]])


def test_what_a_killed_run_left_is_built_again(world: World) -> None:
    folder = Path(world.converge()["path"])
    (folder / ".complete").unlink()
    (folder / "half").touch()
    (world.root / ".scratch-killed").mkdir()
    assert world.converge()["changed"] is True
    assert not (folder / "half").exists()
    assert (folder / ".complete").exists()
    assert not (world.root / ".scratch-killed").exists()


def test_a_release_whose_program_is_gone_is_built_again(world: World) -> None:
    folder = Path(world.converge()["path"])
    (folder / "bin/registry").unlink()
    assert world.converge()["changed"] is True
    assert (folder / "bin/registry").exists()


@pytest.mark.parametrize("damage", ["changed", "added", "removed", "mode"])
def test_a_release_changed_by_hand_is_built_again(world: World, damage: str) -> None:
    folder = Path(world.converge()["path"])
    assert world.converge()["changed"] is False
    before = release_build.fingerprint(folder)
    file = next(
        path for path in sorted((folder / "bin").iterdir()) if path.is_file() and not path.is_symlink()
    )
    if damage == "changed":
        file.write_bytes(file.read_bytes()[::-1])
    elif damage == "added":
        (folder / "more.py").touch()
    elif damage == "removed":
        file.unlink()
    else:
        file.chmod(0o777)
    assert release_build.fingerprint(folder) != before
    assert world.converge()["changed"] is True
    assert world.converge()["changed"] is False
    assert not (folder / "more.py").exists()


def test_the_newest_are_kept_and_the_current_one_always(world: World) -> None:
    for number in range(5):
        old = world.root / "releases" / f"0.0.{number}+old"
        old.mkdir(parents=True)
        (old / ".complete").touch()
        os.utime(old / ".complete", (number, number))
    (world.root / "releases/0.0.9+half").mkdir()
    (world.root / "current").symlink_to(world.root / "releases/0.0.0+old")
    result = world.converge(keep=3)
    assert result["removed"] == ["0.0.1+old", "0.0.2+old", "0.0.3+old", "0.0.9+half"]
    assert world.releases() == ["0.0.0+old", "0.0.4+old", result["release"]]


def test_a_release_that_cannot_start_is_refused(world: World) -> None:
    world.settings.write_text("REGISTRY_SECRET_KEY='broken'\n")
    with pytest.raises(release_build.BuildError, match=r"self-check failed:\nthe key is broken"):
        world.converge()
    assert not list((world.root / "releases").glob("*/.complete"))


def test_two_runs_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_build, "LOCK_SECONDS", 0.1)
    with (
        release_build.workplace(world.root),
        pytest.raises(release_build.BuildError, match="another run has been building"),
    ):
        world.converge()


def test_the_end_of_another_run_is_waited_for(world: World) -> None:
    """A killed playbook's module goes on building on the host."""
    other = release_build.workplace(world.root)
    other.__enter__()
    timer = threading.Timer(0.7, other.__exit__, (None, None, None))
    timer.start()
    assert world.converge()["changed"] is True
    timer.join()


def tampered_manifest(world: World) -> None:
    manifest = world.bundle / "manifest.json"
    manifest.write_text(manifest.read_text().replace("}}}", "}} }"))


def foreign_signature(world: World) -> None:
    (world.bundle / "manifest.json.asc").write_text("no signature")


def tampered_file(world: World) -> None:
    with (world.bundle / "tools/uv").open("a") as file:
        file.write("#\n")


def missing_file(world: World) -> None:
    (world.bundle / "tools/uv").unlink()


def other_version(world: World) -> None:
    world.release("0.2.0")


def no_manifest_at_all(world: World) -> None:
    (world.bundle / "manifest.json").write_text("[]")
    world.signer.detach(world.bundle / "manifest.json")


def no_key(world: World) -> None:
    world.public = world.settings


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (tampered_manifest, "isn't signed by the key in"),
        (foreign_signature, "isn't signed by the key in"),
        (tampered_file, "tools/uv was changed"),
        (missing_file, "tools/uv can't be fetched"),
        (other_version, r"holds release 0\.2\.0, the site asks for 0\.1\.0"),
        (no_manifest_at_all, "is not a bundle's manifest"),
        (no_key, "holds no armoured OpenPGP public key"),
    ],
)
def test_what_is_refused(world: World, damage: Any, words: str) -> None:
    damage(world)
    with pytest.raises(release_build.BuildError, match=words):
        world.converge()
    assert not list(world.root.glob("releases/*/.complete"))


def test_a_bundle_without_the_file(world: World) -> None:
    manifest = world.bundle / "manifest.json"
    held = json.loads(manifest.read_text())
    del held["files"]["tools/uv"]
    manifest.write_text(json.dumps(held))
    world.signer.detach(manifest)
    with pytest.raises(release_build.BuildError, match="has no tools/uv"):
        world.converge()
