"""The closure and the downloads are apt's own work: tried against a repository on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.xjops.bundle.conftest import Key, sign_mirror, source_lines, write_deb
from xjops.bundle.debian import Apt, Wanted, collect
from xjops.core.errors import ConfigurationError, XjopsError

WANTED = Wanted("bookworm", "amd64", {"base": ("editor",)})


@pytest.fixture
def apt(tmp_path: Path, mirror: Path, key: Key) -> Apt:
    return Apt(tmp_path / "apt", tmp_path / "debs", "amd64", source_lines(mirror, key))


def test_dependencies_come_along(apt: Apt) -> None:
    packages = collect(apt, WANTED)
    assert [package.file for package in packages] == ["editor_1.0_amd64.deb", "library_1.0_amd64.deb"]
    for package in packages:
        assert (apt.debs / package.cached).stat().st_size == package.size


def test_second_run_needs_no_mirror(apt: Apt, mirror: Path) -> None:
    first = collect(apt, WANTED)
    for path in mirror.iterdir():
        path.unlink()
    assert collect(apt, WANTED) == first


def test_damaged_cache_is_fetched_again(apt: Apt) -> None:
    package = collect(apt, WANTED)[0]
    path = apt.debs / package.cached
    good = path.read_bytes()
    path.write_bytes(b"?" * len(good))
    collect(apt, WANTED)
    assert path.read_bytes() == good


def test_package_that_is_not_what_the_list_says_is_refused(apt: Apt, mirror: Path) -> None:
    path = mirror / "library_1.0_amd64.deb"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(XjopsError, match="apt-get install"):
        collect(apt, WANTED)


def test_list_signed_by_another_key_is_refused(apt: Apt, mirror: Path, other_key: Key) -> None:
    sign_mirror(mirror, other_key)
    with pytest.raises(XjopsError, match="apt-get update"):
        collect(apt, WANTED)
    assert not apt.has_lists


def test_unsigned_list_is_refused(apt: Apt, mirror: Path) -> None:
    (mirror / "InRelease").unlink()
    with pytest.raises(XjopsError, match="apt-get update"):
        collect(apt, WANTED)


def test_unknown_package_names_its_role(apt: Apt) -> None:
    with pytest.raises(ConfigurationError, match=r"At 'roles\.web' \(packages\.yml\): .*nosuch"):
        collect(apt, Wanted("bookworm", "amd64", {"base": ("editor",), "web": ("nosuch",)}))


def test_new_package_is_seen_on_refresh(apt: Apt, mirror: Path, key: Key) -> None:
    assert len(collect(apt, WANTED)) == 2
    write_deb(mirror, "viewer", "library")
    sign_mirror(mirror, key)
    wanted = Wanted("bookworm", "amd64", {"base": ("editor", "viewer")})
    with pytest.raises(ConfigurationError, match="--refresh"):
        collect(apt, wanted)
    assert len(collect(apt, wanted, refresh=True)) == 3


def test_superseded_package_makes_it_ask_for_new_lists(apt: Apt, mirror: Path, key: Key) -> None:
    """Debian removes a security update from its pool when the next one comes."""
    for path in apt.debs.glob("*.deb"):
        path.unlink()
    apt.prepare()
    apt.update()
    (mirror / "editor_1.0_amd64.deb").rename(mirror / "editor_1.0+moved_amd64.deb")
    sign_mirror(mirror, key)
    assert "editor_1.0+moved_amd64.deb" in [package.file for package in collect(apt, WANTED)]


def test_machine_configuration_is_left_aside(apt: Apt) -> None:
    apt.prepare()
    text = (apt.folder / "apt.conf").read_text()
    assert "Post-Invoke" not in text
    assert 'Acquire::AllowInsecureRepositories "false"' in text
    assert (apt.folder / "status").read_text() == ""


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("release: bookworm\narchitecture: amd64\n", "roles"),
        ("- one\n", "roles"),
        ("architecture: amd64\nroles: {base: [a]}\n", "release"),
        ("release: bookworm\narchitecture: amd64\nroles: {base: a}\n", "roles.base"),
        ("release: bookworm\narchitecture: amd64\nroles: {base: [1]}\n", "roles.base"),
    ],
)
def test_wrong_list_names_its_key(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "packages.yml").write_text(text)
    with pytest.raises(ConfigurationError, match=f"At '{where}'"):
        Wanted.load(tmp_path / "packages.yml")
