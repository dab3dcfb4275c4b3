"""Wheels and release: pinned by hash, and installable with no index at all."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.xjops.bundle.conftest import write_wheel
from xjops.bundle import release, wheels
from xjops.bundle.inputs import Sources
from xjops.bundle.verification import sha256_of
from xjops.core.errors import ConfigurationError, XjopsError


def test_every_pinned_wheel_is_brought(sources: Sources, tmp_path: Path) -> None:
    pinned = wheels.parse(sources.app_requirements)
    assert [(item.name, item.version) for item in pinned] == [("counter", "2.0")]
    found = wheels.collect(pinned, tmp_path / "wheels")
    assert found == {"counter": tmp_path / "wheels/counter-2.0-py3-none-any.whl"}


def test_cached_wheels_need_no_index(sources: Sources, index: Path, tmp_path: Path) -> None:
    pinned = wheels.parse(sources.app_requirements)
    first = wheels.collect(pinned, tmp_path / "wheels")
    for path in index.iterdir():
        path.unlink()
    assert wheels.collect(pinned, tmp_path / "wheels") == first


def test_wheel_with_another_hash_is_refused(sources: Sources, index: Path, tmp_path: Path) -> None:
    write_wheel(index, "counter", "2.0", {"counter_more.py": b"tampered"})
    with pytest.raises(XjopsError, match="pip"):
        wheels.collect(wheels.parse(sources.app_requirements), tmp_path / "wheels")


@pytest.mark.parametrize("line", ["django", "django==5.2", "django>=5 --hash=sha256:00"])
def test_requirement_without_pin_or_hash_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "app.txt").write_text(f"# comment\n{line}\n")
    with pytest.raises(ConfigurationError, match=r"At 'django.*' \(app\.txt\): not pinned with a hash"):
        wheels.parse(tmp_path / "app.txt")


def test_same_sources_give_the_same_wheel(sources: Sources, tmp_path: Path) -> None:
    first = sha256_of(release.build_wheel(sources.app, tmp_path / "one"))
    assert sha256_of(release.build_wheel(sources.app, tmp_path / "two")) == first


def test_assets_are_built_first(sources: Sources, tmp_path: Path) -> None:
    (sources.app / "assets").mkdir()
    (sources.app / "assets/build").write_text("open('shop/made.css', 'w').write('made')\n")
    wheel = release.build_wheel(sources.app, tmp_path / "out")
    listed = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", wheel], check=True, capture_output=True, text=True, timeout=30
    )
    assert "shop/made.css" in listed.stdout


def test_failing_assets_stop_the_build(sources: Sources, tmp_path: Path) -> None:
    (sources.app / "assets").mkdir()
    (sources.app / "assets/build").write_text("import sys; sys.exit('no node here')\n")
    with pytest.raises(XjopsError, match="no node here"):
        release.build_wheel(sources.app, tmp_path / "out")


def test_release_installs_offline_with_every_hash(sources: Sources, tmp_path: Path) -> None:
    """As hosts do it: uv, no index, hashes required; a changed wheel is refused."""
    folder = tmp_path / "wheels"
    wheels.collect(wheels.parse(sources.app_requirements), folder)
    built = release.build_wheel(sources.app, tmp_path / "out")
    wheel = built.rename(folder / built.name)
    release.describe(tmp_path / "release", wheel, sources.app_requirements, "1.2.3")
    said = json.loads((tmp_path / "release/release.json").read_text())
    assert said == {"version": "1.2.3", "wheel": wheel.name, "sha256": sha256_of(wheel)}

    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, tmp_path / "venv"], check=True, timeout=60)
    install = [
        *[uv, "pip", "sync", "-q", "--no-cache", "--require-hashes", "--no-index", "--find-links", folder],
        *["--python", tmp_path / "venv/bin/python", tmp_path / "release/requirements.txt"],
    ]
    subprocess.run(install, check=True, timeout=60)
    code = "import shop, counter; print(shop.NAME, counter.VALUE)"
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-c", code], check=True, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "shop 1\n"

    (sources.app / "shop/__init__.py").write_text("NAME = 'other'\n")
    release.build_wheel(sources.app, tmp_path / "out").replace(wheel)
    refused = subprocess.run(
        [*install[:3], "--reinstall", *install[3:]], check=False, capture_output=True, text=True, timeout=60
    )
    assert refused.returncode != 0
    assert "hash" in refused.stderr.lower()


def test_uv_is_taken_out_of_its_wheel(sources: Sources, tmp_path: Path) -> None:
    requirement = release.uv_requirement(sources.control_requirements)
    wheel = wheels.collect([requirement], tmp_path / "wheels")["uv"]
    release.extract_uv(wheel, tmp_path / "tools/uv")
    assert (tmp_path / "tools/uv").stat().st_mode & 0o111
    done = subprocess.run([tmp_path / "tools/uv"], check=True, capture_output=True, timeout=10)
    assert done.stdout == b"uv of the tests\n"


def test_version_is_the_application_s(sources: Sources) -> None:
    assert release.version_of(sources.app) == "1.2.3"
    (sources.app / "pyproject.toml").write_text("[project]\nname='x'\n")
    with pytest.raises(ConfigurationError, match=r"At 'project\.version'"):
        release.version_of(sources.app)
