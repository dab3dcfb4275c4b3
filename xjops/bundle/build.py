"""Put a bundle together: packages, wheels, release, signed manifest.

What is fetched stays in the cache, so an interrupted build goes on where it stopped. The bundle is laid
out beside its place and moves there only when its manifest is signed and checked: nothing half-made is
ever taken for complete.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from xjops.bundle import debian, release, repository, wheels
from xjops.bundle.inputs import Sources
from xjops.bundle.refusal import Bundle, verify
from xjops.bundle.signing import Signer, ensure_key, home_of
from xjops.bundle.verification import MANIFEST, SIGNATURE, files_below, sha256_of
from xjops.core import paths
from xjops.core.errors import ConfigurationError, XjopsError
from xjops.core.locking import lock
from xjops.core.progress import Progress, silent
from xjops.site import Site

FORMAT = 1


@dataclass(frozen=True)
class Built:
    """The outcome: the bundle, and whether anything had to be built."""

    bundle: Bundle
    changed: bool


def default_folder() -> Path:
    """Where bundles are built unless told otherwise: `XJOPS_BUNDLE`, else in the cache.

    A second site on the same control node has a key of its own, so it needs a folder of its own as well.
    """
    named = os.environ.get("XJOPS_BUNDLE")
    return Path(named).expanduser().absolute() if named else paths.cache(make=False) / "bundle"


def build(
    site: Site,
    folder: Path,
    *,
    sources: Sources | None = None,
    refresh: bool = False,
    progress: Progress = silent,
) -> Built:
    """Build the bundle of `site` in `folder`, or find that it is complete and nothing changed.

    `refresh` takes the newest packages of the Debian release. Raises `XjopsError` and its kinds.
    """
    sources = sources or Sources.of_project()
    fingerprint = ensure_key(site)
    public_key = site.file(site.bundle.public_key_file)
    with lock(paths.cache() / "bundle.lock", what="build of a bundle", seconds=1800, mend="run it again"):
        inputs = sources.digest(fingerprint)
        standing = _standing(folder, public_key)
        if standing and standing.inputs == inputs and not refresh:
            return Built(standing, changed=False)
        _refuse_foreign(folder)
        staging = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        with Signer(home_of(site), fingerprint) as signer:
            _lay_out(staging, sources, signer, standing, refresh=refresh, progress=progress)
            progress("bundle", "sign")
            _sign(staging, inputs, signer)
        verify(staging, public_key)
        _take_place(staging, folder)
    progress("bundle", "done", str(folder))
    return Built(verify(folder, public_key), changed=True)


def _standing(folder: Path, public_key: Path) -> Bundle | None:
    """The bundle that is there now, if it is complete and untouched."""
    try:
        return verify(folder, public_key)
    except XjopsError:
        return None


def _refuse_foreign(folder: Path) -> None:
    """A folder that is not a bundle is never replaced."""
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).exists():
        raise ConfigurationError(
            f"{folder} is not empty and not a bundle", mend="name another folder with -o"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file", mend="name a folder with -o")


def _lay_out(
    staging: Path,
    sources: Sources,
    signer: Signer,
    standing: Bundle | None,
    *,
    refresh: bool,
    progress: Progress,
) -> None:
    cache = paths.cache()
    version = release.version_of(sources.app)
    wheel = release.build_wheel(sources.app, cache / "app-wheel", progress)
    progress("application", "done", wheel.name)
    pinned = wheels.parse(sources.app_requirements)
    pinned.append(release.uv_requirement(sources.control_requirements))
    found = wheels.collect(pinned, cache / "wheels", progress)
    uv = found.pop("uv")
    progress("wheels", "done", str(len(found)))
    wanted = debian.Wanted.load(sources.packages)
    lines = debian.machine_sources(wanted.release)
    apt = debian.Apt(cache / "apt", cache / "debs", wanted.architecture, lines)
    packages = debian.collect(apt, wanted, progress, refresh=refresh)
    progress("Debian packages", "done", str(len(packages)))
    progress("bundle", "lay out")
    placed = {f"wheels/{path.name}": path for path in (*found.values(), wheel)}
    placed |= {f"apt/{package.file}": cache / "debs" / package.cached for package in packages}
    _place(staging, placed, standing)
    release.extract_uv(uv, staging / "tools" / "uv")
    release.describe(staging / "release", wheel, sources.app_requirements, version)
    progress("bundle", "package index")
    repository.index(staging / "apt", cache / "apt-index.db", wanted.release, wanted.architecture, signer)


def _place(staging: Path, placed: Mapping[str, Path], standing: Bundle | None) -> None:
    """Put files into `staging`: linked from the standing bundle where it has the same, else copied.

    Never linked from the cache: whoever damages a bundle must not damage the cache with it.
    """
    for name, path in placed.items():
        target = staging / name
        target.parent.mkdir(parents=True, exist_ok=True)
        entry = standing.files.get(name) if standing else None
        if standing and entry and entry["sha256"] == sha256_of(path):
            os.link(standing.folder / name, target)
        else:
            shutil.copyfile(path, target)


def _sign(staging: Path, inputs: str, signer: Signer) -> None:
    files = {
        name: {"sha256": sha256_of(path), "size": path.stat().st_size}
        for name, path in sorted(files_below(staging).items())
    }
    created = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = {"version": FORMAT, "created": created, "inputs": inputs, "files": files}
    (staging / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    signer.detach(staging / MANIFEST)


def _take_place(staging: Path, folder: Path) -> None:
    """Move the new files into `folder`, the manifest last, and remove `staging`.

    File by file, for a server may be showing this very folder. Interrupted in between, the manifest
    doesn't fit: the bundle is refused until the next build, which has everything in the cache.
    """
    new = files_below(staging)
    folder.mkdir(exist_ok=True)
    for name, path in files_below(folder).items():
        if name not in new:
            path.unlink()
    for where, _, _ in os.walk(folder, topdown=False):
        if where != str(folder) and not any(Path(where).iterdir()):
            Path(where).rmdir()
    for name in sorted(new, key=lambda name: (name == MANIFEST, name == SIGNATURE, name)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(new[name], folder / name)
    shutil.rmtree(staging)
