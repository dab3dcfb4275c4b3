"""``xjops bundle``: exit codes and words that scripts and people rely on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.xjops.bundle.conftest import Key, key, make_key, signed  # noqa: F401
from xjops.cli.main import main


@pytest.fixture
def bundle(signed: Path, tmp_path: Path) -> Path:  # noqa: F811
    return Path(shutil.copytree(signed, tmp_path / "bundle"))


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as caught:
        main(["bundle", *map(str, words)])
    said = capsys.readouterr()
    return int(caught.value.code or 0), said.out, said.err


def test_verify_accepts(bundle: Path, key: Key, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    code, out, err = call(capsys, "verify", bundle, "--public-key", key.public)
    assert (code, err) == (0, "")
    assert "5 files as signed" in out


def test_verify_names_every_problem(
    bundle: Path,
    key: Key,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
) -> None:
    (bundle / "tools/uv").unlink()
    (bundle / "apt/evil.deb").write_text("x")
    code, out, err = call(capsys, "verify", bundle, "--public-key", key.public)
    assert (code, out) == (1, "")
    lines = err.splitlines()
    assert len(lines) == 2
    assert f"{bundle}/apt/evil.deb: extra" in lines[0]
    assert f"{bundle}/tools/uv: missing → xjops bundle build" in lines[1]


def test_verify_json(bundle: Path, key: Key, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    code, out, _ = call(capsys, "verify", bundle, "--public-key", key.public, "--format", "json")
    said = json.loads(out)
    assert (code, said["status"], said["files"], said["problems"]) == (0, "pass", 5, [])
    (bundle / "tools/uv").write_bytes(b"")
    code, out, _ = call(capsys, "verify", bundle, "--public-key", key.public, "--format", "json")
    said = json.loads(out)
    assert (code, said["status"], said["problems"][0]["file"]) == (1, "fail", "tools/uv")


def test_build_for_an_unknown_site(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "build", "--site", "atlantis")
    assert code == 78
    assert "atlantis" in err
