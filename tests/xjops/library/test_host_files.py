"""The module that lays files: looks first, checks all before the first write, applies what changed."""

from __future__ import annotations

import errno
import getpass
import grp
import importlib.util
import os
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "host_files", paths.project() / "library" / "host_files.py"
)
assert specification
assert specification.loader
host_files = importlib.util.module_from_spec(specification)
specification.loader.exec_module(host_files)


@pytest.fixture(autouse=True)
def _pending(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_files, "PENDING", tmp_path / "pending")


def entry(path: Path, content: str | None = "new\n", **more: Any) -> dict[str, Any]:
    group = grp.getgrgid(os.getgid()).gr_name
    usual = {"owner": getpass.getuser(), "group": group, "mode": "0640", "state": "present"}
    none = {"link": None, "validate": None, "apply": None}
    return {"path": str(path), "content": content, **usual, **none, **more}


def run(*files: dict[str, Any], check: bool = False, purge: tuple[str, ...] = ()) -> dict[str, Any]:
    params = {"files": list(files), "purge": list(purge), "seconds": 10}
    return dict(host_files.converge(params, check))


def test_file_is_laid_with_its_parents_then_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "a/b/file"
    first = run(entry(path))
    assert (first["changed"], first["written"]) == (True, [str(path)])
    assert path.read_text() == "new\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert path.parent.stat().st_mode & 0o777 == 0o755
    assert run(entry(path))["changed"] is False
    assert [item.name for item in path.parent.iterdir()] == ["file"]


def test_parent_of_a_private_file_is_private(tmp_path: Path) -> None:
    run(entry(tmp_path / "ssh/authorized_keys", mode="0600"))
    assert (tmp_path / "ssh").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("harm", ["content", "mode", "missing", "link"])
def test_every_difference_is_seen_and_mended(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "file"
    run(entry(path))
    if harm == "content":
        path.write_text("other")
    elif harm == "mode":
        path.chmod(0o644)
    else:
        path.unlink()
    if harm == "link":
        (tmp_path / "target").write_text("new\n")
        path.symlink_to(tmp_path / "target")
    assert run(entry(path), check=True)["changed"] is True
    assert run(entry(path))["written"] == [str(path)]
    assert (path.read_text(), path.is_symlink()) == ("new\n", False)


def test_check_mode_changes_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_text("old\n")
    mark = tmp_path / "applied"
    result = run(
        entry(old, apply=["touch", str(mark)]),
        entry(tmp_path / "new/file", validate=["not-installed-yet", "%s"]),
        check=True,
        purge=(f"{tmp_path}/*",),
    )
    assert result["changed"] is True
    assert result["applied"] == [f"touch {mark}"]
    assert old.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]
    assert (result["diff"][0]["before"], result["diff"][0]["after"]) == ("old\n", "new\n")


def test_nothing_is_written_when_one_file_is_refused(tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    with pytest.raises(host_files.LayError, match=f"{bad} would be wrong: no such word"):
        run(
            entry(good, validate=["grep", "-q", "new", "%s"]),
            entry(bad, validate=["sh", "-c", "echo no such word >&2; exit 1", "%s"]),
        )
    assert not good.exists()
    assert not bad.exists()


def test_apply_runs_once_for_several_files_and_only_after_a_change(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = ["sh", "-c", f"echo run >>{log}"]
    files = [entry(tmp_path / name, apply=command) for name in ("one", "two")]
    assert run(*files)["applied"] == [f"sh -c echo run >>{log}"]
    assert run(*files)["applied"] == []
    assert log.read_text() == "run\n"


def test_failed_apply_puts_the_old_file_back(tmp_path: Path) -> None:
    path, absent = tmp_path / "conf", tmp_path / "fresh"
    command = ["sh", "-c", f"grep -q old {path} || {{ echo bad line 7 >&2; exit 1; }}"]
    run(entry(path, "old\n", apply=command))
    with pytest.raises(host_files.LayError, match=r"conf.* put back: bad line 7"):
        run(entry(path, "broken\n", apply=command), entry(absent, apply=command))
    assert path.read_text() == "old\n"
    assert path.stat().st_mode & 0o7777 == 0o640
    assert not absent.exists()
    assert run(entry(path, "old\n", apply=command))["changed"] is False


def test_run_killed_before_apply_is_completed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, mark = tmp_path / "conf", tmp_path / "mark"
    command = ["touch", str(mark)]

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(host_files, "apply", killed)
        run(entry(path, apply=command))
    assert path.read_text() == "new\n"
    result = run(entry(path, apply=command))
    assert (result["written"], result["applied"]) == ([], [f"touch {mark}"])
    assert mark.exists()
    assert run(entry(path, apply=command))["changed"] is False


def test_purge_leaves_named_files_alone(tmp_path: Path) -> None:
    for name in ("debian.sources", "more.list", "ours.list"):
        (tmp_path / name).write_text("new\n")
    ours = tmp_path / "ours.list"
    result = run(entry(ours), purge=(f"{tmp_path}/*",))
    assert result["written"] == [str(ours), f"{tmp_path}/debian.sources", f"{tmp_path}/more.list"]
    assert [path.name for path in tmp_path.iterdir()] == ["ours.list"]


def test_link_and_absence(tmp_path: Path) -> None:
    link, gone = tmp_path / "localtime", tmp_path / "gone"
    link.write_text("a copy")
    gone.write_text("x")
    wanted = [entry(link, None, link="/usr/share/zoneinfo/UTC"), entry(gone, None, state="absent")]
    assert len(run(*wanted)["written"]) == 2
    assert str(link.readlink()) == "/usr/share/zoneinfo/UTC"
    assert not gone.exists()
    assert run(*wanted)["changed"] is False


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_a_link_belongs_to_whom_it_should(tmp_path: Path) -> None:
    link = tmp_path / "localtime"
    wanted = entry(link, None, link="/usr/share/zoneinfo/UTC")
    run(wanted)
    os.chown(link, 65534, 65534, follow_symlinks=False)
    assert run(wanted)["changed"] is True
    assert (link.lstat().st_uid, link.lstat().st_gid) == (os.getuid(), os.getgid())


def test_file_that_is_a_mount_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's /etc/hosts can't be replaced by a rename."""
    path = tmp_path / "hosts"
    path.write_text("old\n")
    inode = path.stat().st_ino

    def busy(self: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "busy", str(target))

    monkeypatch.setattr(Path, "replace", busy)
    run(entry(path))
    assert (path.read_text(), path.stat().st_ino) == ("new\n", inode)
    assert [item.name for item in tmp_path.iterdir()] == ["hosts"]


def test_unknown_account_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(host_files.LayError, match="nobody-here"):
        run(entry(tmp_path / "file", owner="nobody-here"))
    (tmp_path / "folder").mkdir()
    with pytest.raises(host_files.LayError, match="is a folder"):
        run(entry(tmp_path / "folder"))


def test_result_says_what_to_keep(tmp_path: Path) -> None:
    result = run(entry(tmp_path / "file", ""))
    assert result["files"][0]["sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert result["files"][0]["mode"] == "0640"


def test_slow_command_has_a_deadline(tmp_path: Path) -> None:
    with pytest.raises(host_files.LayError, match="did not end within 1 s"):
        host_files.converge(
            {"files": [entry(tmp_path / "f", apply=["sleep", "30"])], "purge": [], "seconds": 1}, False
        )
