"""The shared storage's mount: never hung on, cleared when dead, proven by the application's own number."""

from __future__ import annotations

import errno
import importlib.util
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "shared_mount", paths.project() / "library" / "shared_mount.py"
)
assert specification
assert specification.loader
shared_mount = importlib.util.module_from_spec(specification)
specification.loader.exec_module(shared_mount)

SOURCE = "storage:/registry"
root = pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")


def parameters(path: Path, **more: Any) -> dict[str, Any]:
    usual = {
        "path": str(path),
        "source": SOURCE,
        "minimum_gb": 0,
        "folders": ["photos"],
        "uid": 990,
        "gid": 990,
    }
    return {**usual, "mode": "2750", "seconds": 5, **more}


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that the mount table shows as mounted from SOURCE, and that other accounts can reach."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(shared_mount, "mounted", lambda _path: [SOURCE])
        yield Path(name)


def test_the_mount_table_is_read_bottom_to_top() -> None:
    table = (
        "22 1 8:1 / / rw - ext4 /dev/vda rw\n"
        "626 22 0:161 / /srv/registry/shared rw,nosuid - fuse.glusterfs storage:/registry rw,user_id=0\n"
        "627 626 0:162 / /srv/registry/shared rw shared:3 - tmpfs tmpfs rw\n"
        "628 22 0:163 / /srv/with\\040space rw - nfs4 a:/b rw\n"
    )
    assert shared_mount.sources("/srv/registry/shared", table) == [SOURCE, "tmpfs"]
    assert shared_mount.sources("/srv/with space", table) == ["a:/b"]
    assert shared_mount.sources("/srv/registry", table) == []


def test_a_hanging_mount_is_left_at_the_deadline() -> None:
    begin = time.monotonic()
    assert shared_mount.in_child(lambda: time.sleep(60), 0.3) is None
    assert time.monotonic() - begin < 5


def test_an_error_in_the_child_comes_back_with_its_number() -> None:
    answer = shared_mount.in_child(lambda: Path("/no/such/path").stat(), 5)
    assert answer["errno"] == errno.ENOENT
    assert "/no/such/path" in answer["text"]


@root
def test_folders_are_made_owned_and_proven(mount: Path) -> None:
    answer = shared_mount.ready(parameters(mount), check_mode=False)
    found = (mount / "photos").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (990, 990, 0o2750)
    assert list((mount / "photos").iterdir()) == []
    assert answer["actions"] == [f"make {mount}/photos", f"set owner and mode of {mount}/photos"]
    assert shared_mount.ready(parameters(mount), check_mode=False)["actions"] == []


@root
def test_check_mode_names_what_is_missing_and_makes_nothing(mount: Path) -> None:
    assert shared_mount.ready(parameters(mount), check_mode=True)["actions"] == [f"make {mount}/photos"]
    assert list(mount.iterdir()) == []


@root
def test_what_a_killed_trial_left_does_not_disturb_the_next(mount: Path) -> None:
    shared_mount.ready(parameters(mount), check_mode=False)
    left = mount / "photos" / f".trial-{os.uname().nodename}"
    left.write_text("half")
    os.chown(left, 990, 990)
    shared_mount.ready(parameters(mount), check_mode=False)
    assert not left.exists()


@root
def test_a_folder_that_the_account_cant_write_is_named_with_its_mend(
    mount: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (mount / "photos").mkdir(mode=0o755)  # of root, and the server lets nobody change that

    def squashed(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(shared_mount.os, "chown", squashed)
    with pytest.raises(
        shared_mount.MountError, match=r"990:990 can't write → .*install -d -o 990 -g 990 -m 2750 photos"
    ):
        shared_mount.ready(parameters(mount), check_mode=False)


def test_a_storage_that_is_too_small_is_named_with_both_sizes(mount: Path) -> None:
    with pytest.raises(
        shared_mount.MountError, match=r"has [0-9.]+ GB, needed are 99999999 or more → enlarge"
    ):
        shared_mount.ready(parameters(mount, minimum_gb=99999999), check_mode=False)
    assert list(mount.iterdir()) == []


def test_a_foreign_mount_is_not_proven(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_mount, "mounted", lambda _path: [SOURCE, "tmpfs"])
    with pytest.raises(shared_mount.MountError, match=r"tmpfs is mounted at .*, not storage:/registry →"):
        shared_mount.ready(parameters(mount), check_mode=False)
    assert shared_mount.ready(parameters(mount), check_mode=True)["actions"]


@pytest.mark.parametrize(
    ("number", "mend"),
    [(errno.EROFS, "export it for writing"), (errno.ENOSPC, "free space"), (errno.EIO, "run again")],
)
def test_every_error_names_its_mend(mount: Path, number: int, mend: str) -> None:
    text = shared_mount.explain({"errno": number, "text": "what the kernel said"}, parameters(mount))
    assert "what the kernel said" in text
    assert mend in text.partition("→")[2]


class Table:
    """A mount table whose layers `umount` takes off one by one."""

    def __init__(self, layers: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.layers = layers
        monkeypatch.setattr(shared_mount, "mounted", lambda _path: list(self.layers))
        monkeypatch.setattr(shared_mount.subprocess, "run", self.unmount)

    def unmount(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        assert command[:2] == ["umount", "--lazy"]
        self.layers.pop()
        return subprocess.CompletedProcess(command, 0, "", "")


def test_a_live_mount_is_left_alone(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table([SOURCE], monkeypatch)
    assert shared_mount.clear(parameters(mount), check_mode=False) == []
    assert table.layers == [SOURCE]


def test_a_foreign_layer_is_taken_off_down_to_ours(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table([SOURCE, "tmpfs", "other:/export"], monkeypatch)
    assert len(shared_mount.clear(parameters(mount), check_mode=False)) == 2
    assert table.layers == [SOURCE]


@pytest.mark.parametrize(
    "answer", [None, {"errno": errno.ENOTCONN, "text": "Transport endpoint is not connected"}]
)
def test_a_dead_mount_is_cleared(mount: Path, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    table = Table([SOURCE], monkeypatch)
    monkeypatch.setattr(shared_mount, "in_child", lambda *_: answer)
    assert len(shared_mount.clear(parameters(mount), check_mode=True)) == 1
    assert table.layers == [SOURCE]
    assert len(shared_mount.clear(parameters(mount), check_mode=False)) == 1
    assert table.layers == []


def test_a_mount_that_only_denies_root_is_not_dead(mount: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table([SOURCE], monkeypatch)
    monkeypatch.setattr(shared_mount, "in_child", lambda *_: {"errno": errno.EACCES, "text": "denied"})
    assert shared_mount.clear(parameters(mount), check_mode=False) == []
    assert table.layers == [SOURCE]
