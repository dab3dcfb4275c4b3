"""File systems frozen and brought back, on folders alone: no container is needed."""

from __future__ import annotations

import itertools
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from xjops.lab import layers
from xjops.lab.layers import LayerError, Rootfs
from xjops.lab.snapshot_database import unclean


@pytest.fixture
def rootfs(tmp_path: Path) -> Rootfs:
    """web1's folder in podman's storage: one file written, root's own mode."""
    folder = tmp_path / "overlay" / "abc"
    (folder / "diff").mkdir(parents=True)
    (folder / "diff" / "etc").mkdir()
    (folder / "diff" / "etc" / "motd").write_text("first")
    (folder / "diff").chmod(0o555)
    return Rootfs("web1", folder)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = layers.store(tmp_path, "labtest")
    folder.mkdir(parents=True)
    return folder


def write(rootfs: Rootfs, text: str) -> None:
    (rootfs.upper / "etc").mkdir(exist_ok=True)
    (rootfs.upper / "etc" / "motd").write_text(text)


def seen(rootfs: Rootfs, store: Path) -> str | None:
    """What the host would read in /etc/motd."""
    file = rootfs.file(store, "etc/motd")
    return None if file is None else file.read_text()


def test_freezing_copies_nothing_and_leaves_an_empty_folder_like_the_old(rootfs: Rootfs, store: Path) -> None:
    inode = (rootfs.upper / "etc" / "motd").stat().st_ino
    rootfs.freeze(store, ["one"])
    assert (store / "one" / "etc" / "motd").stat().st_ino == inode
    assert list(rootfs.upper.iterdir()) == []
    assert rootfs.upper.stat().st_mode & 0o7777 == 0o555
    assert rootfs.chain() == ["one"]
    assert (rootfs.folder / "diff1").readlink() == store / "one"
    assert seen(rootfs, store) == "first"


def test_layers_lie_above_each_other_and_any_can_be_gone_back_to(rootfs: Rootfs, store: Path) -> None:
    rootfs.freeze(store, ["one"])
    write(rootfs, "second")
    rootfs.freeze(store, ["two", "one"])
    write(rootfs, "third")
    assert (rootfs.chain(), seen(rootfs, store)) == (["two", "one"], "third")
    rootfs.reset(store, ["one"])
    assert (rootfs.chain(), seen(rootfs, store)) == (["one"], "first")
    assert not (rootfs.folder / "diff2").is_symlink()
    rootfs.reset(store, ["two", "one"])
    assert (rootfs.chain(), seen(rootfs, store)) == (["two", "one"], "second")


class Killed(BaseException):
    """The end of a run in its middle."""


def kill_at(patch: pytest.MonkeyPatch, step: int) -> None:
    """Have the change number `step` of the file system end the run before it is made."""
    count = itertools.count()
    for name in ("rename", "mkdir", "symlink_to", "unlink", "chmod"):
        honest = getattr(Path, name)

        def change(self: Path, *args: Any, _honest: Any = honest, **more: Any) -> Any:
            if next(count) == step:
                raise Killed
            return _honest(self, *args, **more)

        patch.setattr(Path, name, change)


@pytest.mark.parametrize("step", range(12))
def test_killed_at_any_change_a_second_run_ends_the_same(
    rootfs: Rootfs, store: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    rootfs.freeze(store, ["one"])
    write(rootfs, "second")
    rootfs.freeze(store, ["two", "one"])
    write(rootfs, "third")
    for work in (
        lambda: rootfs.freeze(store, ["three", "two", "one"]),
        lambda: rootfs.reset(store, ["two", "one"]),
    ):
        with monkeypatch.context() as patch, suppress(Killed):
            kill_at(patch, step)
            work()
        work()
        assert rootfs.chain()[-2:] == ["two", "one"]
        assert list(rootfs.upper.iterdir()) == []
        assert rootfs.upper.stat().st_mode & 0o7777 == 0o555
        assert seen(rootfs, store) == ("third" if rootfs.chain()[0] == "three" else "second")
    assert (store / "three" / "etc" / "motd").read_text() == "third"


def test_a_mounted_file_system_is_refused(
    rootfs: Rootfs, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"overlay {rootfs.folder}/merged overlay rw 0 0\n")
    assert rootfs.mounted(mounts)
    mounts.write_text(f"overlay {rootfs.folder}2/merged overlay rw 0 0\n")
    assert not rootfs.mounted(mounts)
    monkeypatch.setattr(Rootfs, "mounted", lambda _: True)
    for work in (rootfs.freeze, rootfs.reset):
        with pytest.raises(LayerError, match="the file system of web1 is still mounted"):
            work(store, ["one"])
    assert (rootfs.upper / "etc" / "motd").is_file()


def test_a_mount_without_its_layers_is_named(rootfs: Rootfs, store: Path, tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    line = f"overlay {rootfs.folder}/merged overlay rw,lowerdir=%s,upperdir={rootfs.folder}/diff 0 0\n"
    mounts.write_text(line % "l/IMAGE")
    rootfs.check_stands(mounts)
    rootfs.freeze(store, ["one"])
    rootfs.freeze(store, ["two", "one"])
    mounts.write_text(line % "l/WEB1/../diff1:l/WEB1/../diff2:l/IMAGE")
    rootfs.check_stands(mounts)
    mounts.write_text(line % "l/IMAGE")
    with pytest.raises(LayerError, match="podman started web1 without the 2 layers of its snapshot"):
        rootfs.check_stands(mounts)


def test_a_folder_of_somebody_elses_is_not_taken_for_a_layer(rootfs: Rootfs) -> None:
    (rootfs.folder / "diff1").mkdir()
    with pytest.raises(LayerError, match="is not the lab's"):
        rootfs.chain()


def test_what_can_not_be_renamed_is_named(
    rootfs: Rootfs, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(LayerError, match=r"can't be renamed to .*: Invalid cross-device link"):
        rootfs.freeze(store, ["one"])


def test_only_layers_that_nothing_stands_on_are_thrown_away(rootfs: Rootfs, store: Path) -> None:
    rootfs.freeze(store, ["one"])
    rootfs.freeze(store, ["two", "one"])
    write(rootfs, "lost")
    rootfs.reset(store, ["one"])
    assert [path.name for path in layers.unused(store, {"one"})] == ["two"]
    layers.throw_away(store, layers.unused(store, {"one"}))
    assert [path.name for path in store.iterdir()] == ["one"]
    assert layers.unused(store.parent / "nothing", set()) == []


CONTROL = "var/lib/postgresql/15/main/global/pg_control"


def control(folder: Path, state: int) -> None:
    file = folder / CONTROL
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack("<QIII", 7, 1300, 202209061, state) + bytes(100))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (1, ""),
        (2, ""),
        (6, "in production"),
        (3, "shutting down"),
        (4, "in crash recovery"),
        (99, "in the unknown state 99"),
    ],
)
def test_the_database_says_itself_whether_it_was_shut_down(
    rootfs: Rootfs, store: Path, state: int, said: str
) -> None:
    rootfs.upper.chmod(0o755)
    control(rootfs.upper, state)
    assert unclean(rootfs, store) == said
    rootfs.freeze(store, ["one"])
    assert unclean(rootfs, store) == said  # in a layer, too
    control(rootfs.upper, 1)
    assert unclean(rootfs, store) == ""  # what lies above counts


def test_no_database_is_no_complaint(rootfs: Rootfs, store: Path) -> None:
    assert unclean(rootfs, store) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts are made by root")
def test_a_deleted_database_is_no_complaint(rootfs: Rootfs, store: Path) -> None:
    rootfs.upper.chmod(0o755)
    control(rootfs.upper, 6)
    rootfs.freeze(store, ["one"])
    whiteout = rootfs.upper / CONTROL
    whiteout.parent.mkdir(parents=True)
    os.mknod(whiteout, 0o020000, os.makedev(0, 0))
    assert unclean(rootfs, store) == ""
