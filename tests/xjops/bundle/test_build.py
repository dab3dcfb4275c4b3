"""Builds: complete or not there; nothing to do costs nothing; interrupted, they go on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.xjops.bundle.conftest import Key, source_lines
from xjops.bundle import BundleError, debian, verify
from xjops.bundle import build as building
from xjops.bundle.build import Built, build
from xjops.bundle.inputs import Sources
from xjops.bundle.verification import MANIFEST
from xjops.core import paths
from xjops.core.errors import ConfigurationError, XjopsError
from xjops.site import Site

Build = Callable[..., Built]


@pytest.fixture
def run(
    site: Site,
    sources: Sources,
    index: Path,
    mirror: Path,
    key: Key,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Build:
    monkeypatch.setattr(debian, "machine_sources", lambda release: source_lines(mirror, key))
    # Downloads by pip have tests of their own (test_release.py) and take seconds.
    shutil.copytree(index, paths.cache() / "wheels")

    def call(folder: Path = tmp_path / "bundle", **more: object) -> Built:
        return build(site, folder, sources=sources, **more)  # type: ignore[arg-type]

    return call


def test_bundle_has_every_part_and_is_verified(run: Build, site: Site) -> None:
    built = run()
    assert built.changed
    assert set(built.bundle.files) == {
        "apt/InRelease", "apt/Packages", "apt/Packages.gz", "apt/Release",
        "apt/editor_1.0_amd64.deb", "apt/library_1.0_amd64.deb",
        "release/release.json", "release/requirements.txt", "tools/uv",
        "wheels/counter-2.0-py3-none-any.whl", "wheels/sample_shop-1.2.3-py3-none-any.whl",
    }  # fmt: skip
    assert verify(built.bundle.folder, site.file(site.bundle.public_key_file)) == built.bundle


def test_hosts_can_use_its_apt_part(run: Build, site: Site, tmp_path: Path) -> None:
    """apt itself takes the bundle as its only source, by the pinned key, and nothing by another key."""
    folder = run().bundle.folder
    pinned = site.file(site.bundle.public_key_file)
    wanted = debian.Wanted("bookworm", "amd64", {"base": ("editor",)})
    line = f"deb [signed-by={pinned}] copy:{folder}/apt ./"
    host = debian.Apt(tmp_path / "host", tmp_path / "host-debs", "amd64", [line])
    assert [package.file for package in debian.collect(host, wanted)] == [
        "editor_1.0_amd64.deb",
        "library_1.0_amd64.deb",
    ]


def test_nothing_changed_builds_nothing(run: Build) -> None:
    first = run()
    before = (first.bundle.folder / MANIFEST).stat()
    second = run()
    after = (second.bundle.folder / MANIFEST).stat()
    assert not second.changed
    assert second.bundle == first.bundle
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_changed_application_makes_a_new_release_and_keeps_packages(run: Build, sources: Sources) -> None:
    first = run()
    deb = first.bundle.folder / "apt/editor_1.0_amd64.deb"
    inode = deb.stat().st_ino
    (sources.app / "shop/__init__.py").write_text("NAME = 'new'\n")
    second = run()
    assert second.changed
    wheel = "wheels/sample_shop-1.2.3-py3-none-any.whl"
    assert second.bundle.files[wheel] != first.bundle.files[wheel]
    assert deb.stat().st_ino == inode


@pytest.mark.parametrize("name", ["apt/editor_1.0_amd64.deb", "tools/uv", MANIFEST])
def test_tampered_bundle_is_built_again(run: Build, name: str) -> None:
    first = run()
    path = first.bundle.folder / name
    good = path.read_bytes()
    path.write_bytes(b"?" + good[1:])
    second = run()
    assert second.changed
    assert {
        key: value["sha256"] for key, value in second.bundle.files.items() if key.endswith(("deb", "whl"))
    } == {key: value["sha256"] for key, value in first.bundle.files.items() if key.endswith(("deb", "whl"))}


def test_interrupted_at_any_step_it_is_never_half_there(run: Build, tmp_path: Path) -> None:
    """Stop at the first step, at the second, … until a build goes through."""
    folder = tmp_path / "bundle"
    steps = 0
    while True:
        left = steps

        def stop(subject: str, stage: str, detail: str = "") -> None:
            nonlocal left
            left -= 1
            if left < 0 and (subject, stage) != ("bundle", "done"):
                raise KeyboardInterrupt

        try:
            built = run(progress=stop)
        except KeyboardInterrupt:
            assert not folder.exists()
            steps += 1
            continue
        break
    assert steps >= 4
    assert built.changed


def test_interrupted_rebuild_keeps_the_old_bundle(run: Build, sources: Sources, site: Site) -> None:
    old = run().bundle
    (sources.app / "shop/__init__.py").write_text("NAME = 'new'\n")

    def stop(subject: str, stage: str, detail: str = "") -> None:
        if stage == "sign":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(progress=stop)
    assert verify(old.folder, site.file(site.bundle.public_key_file)) == old
    assert run().changed


def test_interrupted_while_taking_its_place_it_is_refused_then_built(
    run: Build, sources: Sources, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run().bundle.folder
    (sources.app / "shop/__init__.py").write_text("NAME = 'new'\n")
    move, left = shutil.move, 9

    def stop(source: Path, target: Path) -> None:
        nonlocal left
        left -= 1
        if not left:
            raise KeyboardInterrupt
        move(source, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "move", stop)
        run()
    with pytest.raises(BundleError, match=r": changed.* more"):
        verify(folder, site.file(site.bundle.public_key_file))
    assert run().changed
    assert not folder.with_name("bundle.partial").exists()


def test_new_bundle_takes_the_place_of_a_spoilt_one(run: Build, tmp_path: Path) -> None:
    """Whatever became of the old folder; its inode stays, for a server may be showing it."""
    folder = run().bundle.folder
    inode = folder.stat().st_ino
    shutil.rmtree(folder / "wheels")
    (folder / "wheels").symlink_to(tmp_path)
    (folder / "tools/uv").unlink()
    (folder / "tools/uv/deep/er").mkdir(parents=True)
    (folder / "tools/uv/deep/file").write_text("x")
    (folder / "extra").write_text("x")
    assert run().changed
    assert folder.stat().st_ino == inode


def test_failed_build_keeps_the_old_bundle(run: Build, sources: Sources, site: Site) -> None:
    old = run().bundle
    sources.packages.write_text("release: bookworm\narchitecture: amd64\nroles: {base: [nosuch]}\n")
    with pytest.raises(ConfigurationError, match=r"roles\.base"):
        run()
    assert verify(old.folder, site.file(site.bundle.public_key_file)) == old


def test_folder_of_something_else_is_not_replaced(run: Build, tmp_path: Path) -> None:
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter1").write_text("years of work")
    with pytest.raises(ConfigurationError, match="not empty and not a bundle"):
        run(folder)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigurationError, match="is a file"):
        run(tmp_path / "file")
    assert (folder / "chapter1").read_text() == "years of work"


def test_bundle_and_cache_share_no_file(run: Build) -> None:
    folder = run().bundle.folder
    cached = {path.stat().st_ino for path in paths.cache().rglob("*") if path.is_file()}
    assert not cached & {path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_that_does_not_verify_never_takes_its_place(
    run: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sign = building._sign

    def sign_then_damage(staging: Path, inputs: str, signer: object) -> None:
        sign(staging, inputs, signer)  # type: ignore[arg-type]
        (staging / "tools/uv").write_bytes(b"?")

    monkeypatch.setattr(building, "_sign", sign_then_damage)
    with pytest.raises(XjopsError, match="tools/uv: changed"):
        run()
    assert not (tmp_path / "bundle").exists()


def test_inputs_follow_every_source(sources: Sources) -> None:
    seen = {sources.digest("key")}
    seen.add(sources.digest("another key"))
    for path in (sources.packages, sources.app_requirements, sources.control_requirements):
        path.write_text(path.read_text() + "\n# more\n")
        seen.add(sources.digest("key"))
    (sources.app / "shop/new.py").write_text("")
    seen.add(sources.digest("key"))
    assert len(seen) == 6
    (sources.app / "shop/__pycache__").mkdir()
    (sources.app / "shop/__pycache__/new.pyc").write_text("x")
    assert sources.digest("key") in seen
