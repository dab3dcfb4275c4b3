#!/usr/bin/python
"""Ansible module: build the application's release on a host out of the verified bundle."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: release_build
short_description: Build the application's release on a host out of the verified bundle
description:
  - Fetches the bundle's manifest, verifies its signature, and takes from it the hashes of all it fetches.
  - Builds a virtual environment with the bundle's uv (wheels only, every one with its hash, no other index),
    collects the static files and lets the application load once. All of this runs as the service's user;
    afterwards the folder belongs to root.
  - The folder is named O(version) plus eight digits of the requirements' SHA-256, see decision 5.
  - A folder without the marker, which is written last, was left by a killed run and is built again. So is one
    that is no longer what the marker says (a file was changed, added or removed by hand).
  - One run at a time: another one's end is waited for, at most five minutes.
  - The link C(current) isn't touched. Old releases beyond O(keep) are removed, the current one never.
options:
  bundle_url:
    description: Address of the served bundle, without a slash at the end.
    type: str
    required: true
  public_key:
    description: File with the bundle's armoured OpenPGP public key.
    type: path
    required: true
  version:
    description: Release that the site asks for.
    type: str
    required: true
  root:
    description: Folder that holds C(releases/) and C(current).
    type: path
    default: /opt/registry
  environment_file:
    description: The application's settings, C(KEY='value') lines.
    type: path
    default: /etc/registry/registry.env
  user:
    description: The service's user, as whom everything is built.
    type: str
    default: registry
  keep:
    description: Number of releases to keep, the current one included.
    type: int
    default: 5
author: [xjops]
"""
EXAMPLES = r"""
- name: Build the release
  release_build:
    bundle_url: http://10.58.7.5
    public_key: /etc/apt/keyrings/xjops-bundle.asc
    version: 0.1.0
"""

RETURN = r"""
release:
  description: Name of the release, C(<version>+<digest>).
  returned: success
  type: str
path:
  description: Its folder.
  returned: success
  type: str
removed:
  description: Releases that were removed.
  returned: success
  type: list
  elements: str
"""

import base64
import binascii
import contextlib
import fcntl
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

MARKER = ".complete"
MANIFEST = "manifest.json"
REQUIREMENTS = "release/requirements.txt"
RELEASE = "release/release.json"
UV = "tools/uv"
PYTHON = "/usr/bin/python3"  # the system's: its security updates reach every release
STEP_SECONDS = 300  # deadline of one step of the build
LOCK_SECONDS = 300.0  # for another run to end


class BuildError(Exception):
    """A release that can't be built; the text says what, where and how to mend it."""


class Bundle:
    """The served bundle: nothing leaves `fetch` whose hash the signed manifest doesn't confirm."""

    def __init__(self, url: str, public_key: str, scratch: Path) -> None:
        self.url = url.rstrip("/")
        # the machine's proxy settings lead out of the data centre; the bundle never does
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        self.scratch = scratch
        self.hashes = self._manifest(public_key)

    def _get(self, name: str) -> Path:
        target = self.scratch / name.replace("/", "_")
        try:
            with self.opener.open(f"{self.url}/{name}", timeout=20) as answer, target.open("wb") as file:
                shutil.copyfileobj(answer, file, 1 << 20)
        except (OSError, urllib.error.URLError) as error:
            raise BuildError(
                f"{self.url}/{name} can't be fetched ({error}): is the repository host up? "
                "→ ansible-playbook … --tags package_repository"
            ) from None
        return target

    def _manifest(self, public_key: str) -> dict[str, str]:
        manifest, signature = self._get(MANIFEST), self._get(f"{MANIFEST}.asc")
        keyring = self.scratch / "keyring.gpg"
        keyring.write_bytes(dearmoured(public_key))
        result = run(["gpgv", "--keyring", str(keyring), str(signature), str(manifest)], 30)
        if result.returncode:
            raise BuildError(
                f"the manifest of {self.url} isn't signed by the key in {public_key}: "
                f"{last_lines(result, 1)} → xjops bundle verify, then serve the verified bundle again"
            )
        try:
            files = json.loads(manifest.read_bytes())["files"]
            return {str(name): str(entry["sha256"]) for name, entry in files.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BuildError(f"{self.url}/{MANIFEST} is not a bundle's manifest ({error!r})") from None

    def sha256(self, name: str) -> str:
        """The hash that the signed manifest gives for `name`."""
        try:
            return self.hashes[name]
        except KeyError:
            raise BuildError(f"the bundle at {self.url} has no {name} → xjops bundle build") from None

    def fetch(self, name: str) -> Path:
        """The verified file, in the scratch folder."""
        expected, path = self.sha256(name), self._get(name)
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        if digest.hexdigest() != expected:
            raise BuildError(
                f"{self.url}/{name} was changed: its SHA-256 begins {digest.hexdigest()[:12]}, "
                f"the signed manifest says {expected[:12]} → xjops bundle verify"
            )
        return path


def run(command: list[str], seconds: int, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command with a deadline; output is captured, failure is the caller's matter."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
            **options,
        )
    except FileNotFoundError:
        raise BuildError(f"{command[0]} is not installed on this host") from None
    except subprocess.TimeoutExpired:
        raise BuildError(f"{' '.join(command[:3])} did not end within {seconds} s") from None


def last_lines(result: subprocess.CompletedProcess[str], count: int) -> str:
    lines = (result.stderr.strip() or result.stdout.strip()).splitlines()
    return "\n".join(lines[-count:])


def dearmoured(path: str) -> bytes:
    """The binary form of an armoured public key (RFC 9580, section 6): gpgv reads no other."""
    try:
        lines = Path(path).read_text(encoding="ascii").strip().splitlines()
        body = lines[lines.index("", lines.index("-----BEGIN PGP PUBLIC KEY BLOCK-----")) + 1 : -1]
        return base64.b64decode("".join(line for line in body if not line.startswith("=")), validate=True)
    except (OSError, ValueError, IndexError, binascii.Error) as error:
        raise BuildError(f"{path} holds no armoured OpenPGP public key ({error})") from None


def environment(path: str) -> dict[str, str]:
    """The settings of a file of `KEY='value'` lines."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise BuildError(f"the application's settings can't be read: {error}") from None
    pairs = (line.partition("=") for line in text.splitlines() if line and not line.startswith("#"))
    return {key: value.removeprefix("'").removesuffix("'") for key, _, value in pairs}


class Builder:
    """One release in its folder, built as the service's user."""

    def __init__(self, params: dict[str, Any], bundle: Bundle) -> None:
        self.params = params
        self.bundle = bundle
        digest = bundle.sha256(REQUIREMENTS)
        self.name = f"{params['version']}+{digest[:8]}"
        self.releases = Path(params["root"]) / "releases"
        self.folder = self.releases / self.name

    @property
    def complete(self) -> bool:
        """The marker is there, and everything below the folder as it was when that was written."""
        try:
            return (self.folder / MARKER).read_text(encoding="utf-8").split()[-1] == fingerprint(self.folder)
        except (OSError, IndexError):
            return False

    def check_version(self) -> None:
        """Refuse a bundle that holds another release than the site asks for."""
        try:
            held = json.loads(self.bundle.fetch(RELEASE).read_bytes())["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise BuildError(f"{self.bundle.url}/{RELEASE} is not readable ({error!r})") from None
        if held != self.params["version"]:
            raise BuildError(
                f"the bundle at {self.bundle.url} holds release {held}, the site asks for "
                f"{self.params['version']} → build that bundle, or set registry.version in site.yml"
            )

    def _step(self, what: str, command: list[str], extra: dict[str, str]) -> None:
        account = pwd.getpwnam(self.params["user"])
        result = run(
            command,
            STEP_SECONDS,
            user=account.pw_uid,
            group=account.pw_gid,
            extra_groups=[],
            cwd=str(self.folder),
            umask=0o022,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.folder), **extra},
        )
        if result.returncode:
            raise BuildError(f"release {self.name}: {what} failed:\n{last_lines(result, 15)}")

    def _install(self, uv: str, requirements: str) -> None:
        cache = self.folder / ".uv-cache"  # on the same file system: files are linked, not copied
        calm = {"UV_NO_CONFIG": "1", "UV_PYTHON_DOWNLOADS": "never", "UV_CACHE_DIR": str(cache)}
        python = str(self.folder / "bin/python")
        self._step(
            "making the virtual environment",
            [uv, "venv", "-q", "--no-project", "--allow-existing", "-p", PYTHON, str(self.folder)],
            calm,
        )
        self._step(
            "installing the wheels",
            [
                *(uv, "pip", "sync", "-q", "-p", python, "--require-hashes", "--only-binary", ":all:"),
                *("--no-index", "--find-links", f"{self.bundle.url}/wheels/", requirements),
            ],
            calm,
        )
        shutil.rmtree(cache, ignore_errors=True)

    def _prepare(self) -> None:
        """Collect the static files and load everything once, which also leaves compiled Python behind."""
        static = self.folder / "static"
        settings = {**environment(self.params["environment_file"]), "REGISTRY_STATIC_ROOT": str(static)}
        program = str(self.folder / "bin/registry")
        self._step("collecting static files", [program, "collectstatic", "--noinput", "-v0"], settings)
        self._step("the application's self-check", [program, "check"], settings)
        gunicorn = [str(self.folder / "bin/gunicorn"), "--check-config", "registry.wsgi"]
        self._step("loading the application", gunicorn, settings)

    def build(self) -> None:
        """Build the folder and mark it complete. Whatever a killed run left there goes first."""
        (self.folder / MARKER).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.releases.mkdir(parents=True, exist_ok=True)
        account = pwd.getpwnam(self.params["user"])
        self.folder.mkdir(mode=0o755)
        os.chown(self.folder, account.pw_uid, account.pw_gid)
        uv, requirements = self.bundle.fetch(UV), self.bundle.fetch(REQUIREMENTS)
        uv.chmod(0o755)
        requirements.chmod(0o644)
        self._install(str(uv), str(requirements))
        self._prepare()
        # the settings that belong to the release and not to the host: they switch with the link
        settings = f"REGISTRY_RELEASE='{self.name}'\nREGISTRY_STATIC_ROOT='{self.folder / 'static'}'\n"
        (self.folder / "release.env").write_text(settings, encoding="utf-8")
        give_to_root(self.folder)
        marker = f"{self.name} from {self.bundle.url}: {fingerprint(self.folder)}\n"
        (self.folder / MARKER).write_text(marker, encoding="utf-8")

    def outdated(self) -> list[Path]:
        """Folders to remove: half-made ones and the oldest beyond `keep`; never the current one."""
        current = (Path(self.params["root"]) / "current").resolve()
        kept = {self.folder, current}
        others = [each for each in self.releases.glob("*") if each not in kept]
        complete = [each for each in others if (each / MARKER).is_file()]
        complete.sort(key=lambda each: (each / MARKER).stat().st_mtime, reverse=True)
        room = max(0, self.params["keep"] - len([each for each in kept if each.parent == self.releases]))
        return sorted(set(others) - set(complete[:room]))


def fingerprint(folder: Path) -> str:
    """A hash over what `stat` says of everything below the folder, but for the marker and compiled Python."""
    digest = hashlib.sha256()
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(set(files) - {MARKER}):
            path = Path(place, name)
            about = path.lstat()
            target = str(path.readlink()) if path.is_symlink() else ""
            owner = (about.st_uid, about.st_gid)
            known = (
                str(path.relative_to(folder)),
                about.st_size,
                about.st_mode,
                *owner,
                about.st_mtime_ns,
                target,
            )
            digest.update(repr(known).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def give_to_root(folder: Path) -> None:
    """The running application must not be able to change its own code."""
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            path = Path(place, name)
            os.chown(path, 0, 0, follow_symlinks=False)
            mode = path.lstat().st_mode
            if not path.is_symlink() and mode & 0o022:  # uv leaves a lock that everybody may write
                path.chmod(mode & 0o7755)


def wait_for_lock(descriptor: int, root: Path) -> None:
    """Take the lock. What a killed run started on this host goes on for a while: its end is waited for."""
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise BuildError(
                    f"another run has been building a release in {root} for over {LOCK_SECONDS:g} s "
                    "→ wait for it, or end it (ps -ef)"
                ) from None
        time.sleep(0.5)


@contextlib.contextmanager
def workplace(root: Path) -> Iterator[Path]:
    """A scratch folder below `root`, one run at a time; what a killed run left is removed.

    It isn't below /tmp, which hardened hosts mount without leave to execute.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / ".lock").open("w") as lock:
        wait_for_lock(lock.fileno(), root)
        for leftover in root.glob(".scratch-*"):
            shutil.rmtree(leftover)
        with tempfile.TemporaryDirectory(prefix=".scratch-", dir=root) as scratch:
            Path(scratch).chmod(0o711)  # the service's user runs uv and reads the requirements from here
            yield Path(scratch)


def look(params: dict[str, Any], scratch: Path) -> tuple[Builder, bool]:
    """The release that the bundle and the site ask for, and whether it must be built."""
    bundle = Bundle(params["bundle_url"], params["public_key"], scratch)
    builder = Builder(params, bundle)
    if builder.complete:
        return builder, False
    builder.check_version()
    return builder, True


def converge(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, then build what is missing and remove what is outdated."""
    if check_mode:
        with tempfile.TemporaryDirectory(prefix="xjops-release-") as scratch:
            builder, missing = look(params, Path(scratch))
        outdated = builder.outdated()
    else:
        with workplace(Path(params["root"])) as scratch:
            builder, missing = look(params, scratch)
            if missing:
                builder.build()
            outdated = builder.outdated()
            for folder in outdated:
                shutil.rmtree(folder)
    return {
        "changed": missing or bool(outdated),
        "release": builder.name,
        "path": str(builder.folder),
        "removed": [folder.name for folder in outdated],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "bundle_url": {"type": "str", "required": True},
            "public_key": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "root": {"type": "path", "default": "/opt/registry"},
            "environment_file": {"type": "path", "default": "/etc/registry/registry.env"},
            "user": {"type": "str", "default": "registry"},
            "keep": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    os.umask(0o022)  # everybody may read the program, whatever the login's umask is
    try:
        result = converge(module.params, module.check_mode)
    except BuildError as error:
        module.fail_json(msg=str(error))
    except KeyError as error:
        module.fail_json(msg=f"the service's user is missing: {error}")
    except OSError as error:
        module.fail_json(msg=f"the release can't be built: {error}")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
