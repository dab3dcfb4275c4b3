"""The module that hosts verify a bundle with: the same rules as ``xjops bundle verify``."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.xjops.bundle.conftest import Key, key, make_key, other_key, signed, write_bundle  # noqa: F401
from xjops.bundle.verification import MANIFEST, SIGNATURE
from xjops.core import paths

ROLE = paths.project() / "roles" / "package_repository"
# As Ansible runs it: module_utils of the role under ansible.module_utils, arguments on standard input.
RUN = """
import importlib.util, runpy, sys
path = {utility!r}
spec = importlib.util.spec_from_file_location("ansible.module_utils.bundle_verification", path)
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
runpy.run_path({module!r}, run_name="__main__")
"""


def run(check: bool = False, **arguments: Any) -> dict[str, Any]:
    code = RUN.format(
        utility=str(ROLE / "module_utils" / "bundle_verification.py"),
        module=str(paths.project() / "library" / "bundle_state.py"),
    )
    said = io.StringIO()
    json.dump({"ANSIBLE_MODULE_ARGS": {**arguments, "_ansible_check_mode": check}}, said)
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=said.getvalue(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return dict(json.loads(done.stdout))


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:  # noqa: F811
    return Path(shutil.copytree(signed, tmp_path / "bundle"))


def test_intact_bundle(bundle: Path, key: Key) -> None:  # noqa: F811
    found = run(path=str(bundle), public_key=str(key.public))
    assert (found["changed"], found["bring"], found["extra"]) == (False, [], [])


def test_harmed_bundle_fails_naming_files(bundle: Path, key: Key) -> None:  # noqa: F811
    (bundle / "tools/uv").unlink()
    (bundle / "apt/evil.deb").write_text("x")
    found = run(path=str(bundle), public_key=str(key.public))
    assert found["failed"]
    assert "apt/evil.deb: extra" in found["msg"]
    assert (found["bring"], found["extra"]) == (["tools/uv"], ["apt/evil.deb"])


def test_extra_files_are_removed_only_when_asked_and_not_in_check_mode(bundle: Path, key: Key) -> None:  # noqa: F811
    evil = bundle / "apt/evil.deb"
    evil.write_text("x")
    asked = {"path": str(bundle), "public_key": str(key.public), "remove_extra": True}
    assert run(check=True, **asked)["changed"]
    assert evil.exists()
    assert run(**asked)["changed"]
    assert not evil.exists()
    assert not run(**asked)["changed"]


def test_foreign_and_missing_bundles_fail(tmp_path: Path, key: Key, other_key: Key) -> None:  # noqa: F811
    write_bundle(tmp_path / "foreign", other_key)
    found = run(path=str(tmp_path / "foreign"), public_key=str(key.public), remove_extra=True)
    assert found["failed"]
    assert "not the pinned key" in found["msg"]
    found = run(path=str(tmp_path / "nowhere"), public_key=str(key.public))
    assert found["failed"]
    assert "manifest.json: missing" in found["msg"]
    found = run(path=str(tmp_path / "foreign"), public_key=str(tmp_path / "none.asc"))
    assert found["failed"]
    assert "none.asc is missing" in found["msg"]


def test_what_an_empty_host_lacks(bundle: Path, tmp_path: Path) -> None:
    text = (bundle / MANIFEST).read_text()
    found = run(path=str(tmp_path / "nothing"), manifest=text)
    assert sorted(found["bring"]) == sorted([*json.loads(text)["files"], MANIFEST, SIGNATURE])
    assert found["bring"][-2:] == [MANIFEST, SIGNATURE]
    assert found["changed"]


def test_what_a_host_with_an_older_bundle_lacks(bundle: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(bundle, old)
    (old / "apt/Packages").write_text("Package: older\n")
    (old / "apt/gone.deb").write_text("x")
    (old / MANIFEST).write_text("{}")
    found = run(path=str(old), manifest=(bundle / MANIFEST).read_text())
    assert found["bring"] == ["apt/Packages", MANIFEST, SIGNATURE]
    assert found["extra"] == ["apt/gone.deb"]
    same = run(path=str(bundle), manifest=(bundle / MANIFEST).read_text())
    assert not same["changed"]
