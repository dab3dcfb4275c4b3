"""A bundle that differs in anything from what was signed is refused, naming the file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.xjops.bundle.conftest import FILES, Key, write_bundle
from xjops.bundle import BundleError, verify
from xjops.bundle.verification import MANIFEST, SIGNATURE, armor, dearmor
from xjops.core.errors import ConfigurationError, ExitCode, NotRunError, XjopsError

DEB = "apt/hello_1.0_amd64.deb"


def test_intact_bundle_is_accepted(bundle: Path, key: Key) -> None:
    found = verify(bundle, key.public)
    assert set(found.files) == set(FILES)
    assert found.size == sum(len(data) for data in FILES.values())


def test_binary_public_key_is_accepted(bundle: Path, key: Key, tmp_path: Path) -> None:
    binary = tmp_path / "key.gpg"
    binary.write_bytes(dearmor(key.public.read_bytes(), "PUBLIC KEY BLOCK"))
    assert verify(bundle, binary).folder == bundle


def _symlink(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    path.unlink()
    path.symlink_to(copy)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("x")


@pytest.mark.parametrize(
    ("harm", "what"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"?"), "SHA-256"),
        (lambda path: path.write_bytes(path.read_bytes() + b"?"), "22 bytes instead of 21"),
        (lambda path: path.unlink(), "missing"),
        (lambda path: os.truncate(path, 0), "0 bytes instead of 21"),
        (_symlink, "not a regular file"),
        (_folder, "missing"),
    ],
    ids=["byte changed", "byte added", "removed", "emptied", "symlink", "folder"],
)
def test_changed_file_is_named(bundle: Path, key: Key, harm: Callable[[Path], None], what: str) -> None:
    harm(bundle / DEB)
    with pytest.raises(BundleError) as caught:
        verify(bundle, key.public)
    problems = {problem.file: problem.what for problem in caught.value.problems}
    assert what in problems[DEB]
    assert caught.value.exit_code == ExitCode.FAIL
    assert caught.value.mend


@pytest.mark.parametrize("name", ["extra.txt", "apt/extra.deb", ".hidden", "manifest.json.bak"])
def test_extra_file_is_named(bundle: Path, key: Key, name: str) -> None:
    (bundle / name).write_text("x")
    with pytest.raises(BundleError, match=f"{name}: extra"):
        verify(bundle, key.public)


def test_linked_folder_is_extra(bundle: Path, key: Key, tmp_path: Path) -> None:
    (bundle / "more").symlink_to(tmp_path)
    with pytest.raises(BundleError, match="more: extra"):
        verify(bundle, key.public)


def test_every_problem_is_told(bundle: Path, key: Key) -> None:
    (bundle / DEB).unlink()
    (bundle / "tools/uv").write_bytes(b"")
    (bundle / "new").write_bytes(b"")
    with pytest.raises(BundleError, match="and 2 more") as caught:
        verify(bundle, key.public)
    assert [problem.file for problem in caught.value.problems] == [DEB, "new", "tools/uv"]


def test_manifest_rewritten_without_the_key_is_refused(bundle: Path, key: Key) -> None:
    text = (bundle / MANIFEST).read_text()
    (bundle / MANIFEST).write_text(text.replace('"size": 15', '"size": 16'))
    with pytest.raises(BundleError, match=r"manifest\.json: it or its signature"):
        verify(bundle, key.public)


def test_bundle_signed_by_another_key_is_refused(tmp_path: Path, key: Key, other_key: Key) -> None:
    write_bundle(tmp_path / "foreign", other_key)
    with pytest.raises(BundleError, match=f"{other_key.fingerprint[-16:]}, which is not the pinned key"):
        verify(tmp_path / "foreign", key.public)


@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE])
def test_half_a_signature_is_refused(bundle: Path, key: Key, name: str) -> None:
    (bundle / name).unlink()
    with pytest.raises(BundleError, match=f"{name}: missing"):
        verify(bundle, key.public)


def test_no_bundle_is_a_named_error(tmp_path: Path, key: Key) -> None:
    with pytest.raises(XjopsError, match=r"no bundle at .*nowhere.*xjops bundle build"):
        verify(tmp_path / "nowhere", key.public)
    (tmp_path / "half/apt").mkdir(parents=True)
    with pytest.raises(XjopsError, match=r"no complete bundle at .*manifest\.json is missing"):
        verify(tmp_path / "half", key.public)


def test_missing_or_wrong_public_key_is_a_configuration_error(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no public key"):
        verify(bundle, tmp_path / "none.asc")
    (tmp_path / "text.asc").write_text("hello")
    with pytest.raises(ConfigurationError, match="no OpenPGP public key"):
        verify(bundle, tmp_path / "text.asc")


def test_without_gpgv_it_is_not_run(bundle: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotRunError, match="gpgv"):
        verify(bundle, key.public)


def test_armor_is_what_gpg_writes(signed: Path) -> None:
    text = (signed / SIGNATURE).read_bytes()
    assert armor(dearmor(text, "SIGNATURE"), "SIGNATURE") == text


def _refused(folder: Path, key: Key, name: str, position: int, flip: int) -> str:
    """Change one byte, verify, put it back; the refusal's text ('' when it was accepted)."""
    path = folder / name
    data = path.read_bytes()
    changed = bytearray(data)
    changed[position] ^= flip
    path.write_bytes(changed)
    try:
        verify(folder, key.public)
    except BundleError as error:
        return str(error)
    finally:
        path.write_bytes(data)
    return ""


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_byte_changed_in_any_file_is_refused_and_named(
    bundle: Path, key: Key, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*FILES, MANIFEST, SIGNATURE]))
    position = data.draw(st.integers(0, (bundle / name).stat().st_size - 1))
    flip = data.draw(st.integers(1, 255))
    assert name in _refused(bundle, key, name, position, flip)


def test_every_byte_of_the_signature_itself_counts(bundle: Path, key: Key) -> None:
    """gpgv alone accepts changes in the unsigned parts; armoured again, they must be refused all the same."""
    binary = dearmor((bundle / SIGNATURE).read_bytes(), "SIGNATURE")
    for position in range(len(binary)):
        changed = bytearray(binary)
        changed[position] ^= 1
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            shutil.copy(bundle / MANIFEST, folder)
            (folder / SIGNATURE).write_bytes(armor(bytes(changed), "SIGNATURE"))
            with pytest.raises(BundleError, match=SIGNATURE):
                verify(folder, key.public)
