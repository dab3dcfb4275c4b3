"""The data directory: whole or not there, and never made anew over data."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "postgresql_data", paths.project() / "library" / "postgresql_data.py"
)
assert specification
assert specification.loader
postgresql_data = importlib.util.module_from_spec(specification)
specification.loader.exec_module(postgresql_data)

DataError = postgresql_data.DataError


def cluster(path: Path, version: str = "15", *, standby: bool = False) -> Path:
    """A folder that looks like a cluster's."""
    (path / "global").mkdir(parents=True)
    (path / "global" / "pg_control").write_bytes(b"control")
    (path / "PG_VERSION").write_text(f"{version}\n")
    if standby:
        (path / "standby.signal").touch()
    return path


class Postgres:
    """Stands for initdb, pg_basebackup and psql, run as the account postgres."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *, fails: str = "", slot: str = "physical|0/1|1\n"
    ) -> None:
        self.fails, self.slot = fails, slot
        self.commands: list[list[str]] = []
        monkeypatch.setattr(postgresql_data, "as_postgres", self.run)
        monkeypatch.setattr(postgresql_data.shutil, "chown", lambda *_: None)
        monkeypatch.setattr(postgresql_data.os, "sync", lambda: None)

    def run(self, command: list[str], _lock: int | None, _seconds: float) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        name = Path(command[0]).name
        if name == self.fails:
            target = next(Path(word.partition("=")[2]) for word in command if word.startswith("--pgdata="))
            (target / "half").mkdir(parents=True)
            return subprocess.CompletedProcess(
                command, 1, "", "creating directory\nno space left on device\n"
            )
        if name == "psql":
            return subprocess.CompletedProcess(command, 0, self.slot, "")
        target = next(Path(word.partition("=")[2]) for word in command if word.startswith("--pgdata="))
        assert not target.exists(), "the remains of a killed run must be gone"
        cluster(target)
        return subprocess.CompletedProcess(command, 0, "", "")


def wanted(path: Path, state: str = "primary", **more: Any) -> dict[str, Any]:
    return {
        "path": str(path / "main"),
        "binaries": "/usr/lib/postgresql/15/bin",
        "version": "15",
        "state": state,
        "port": 5432,
        "others": [],
        "collation": "C",
        "character_type": "C.UTF-8",
        "connection": "host=192.0.2.31 user=replicator",
        "slot": "db2",
        "primary_seconds": 0,
        "copy_seconds": 60,
        **more,
    }


def test_nothing_and_an_empty_folder_may_be_made(tmp_path: Path) -> None:
    assert postgresql_data.inspect(tmp_path / "absent", "15", "primary") is False
    assert postgresql_data.inspect(tmp_path, "15", "primary") is False


@pytest.mark.parametrize(("state", "standby"), [("primary", False), ("standby", True)])
def test_a_whole_cluster_of_the_right_kind_is_kept(tmp_path: Path, state: str, standby: bool) -> None:
    assert postgresql_data.inspect(cluster(tmp_path / "main", standby=standby), "15", state) is True


@pytest.mark.parametrize(
    ("state", "standby", "word"), [("primary", True, "promotes"), ("standby", False, "demotes")]
)
def test_a_cluster_of_the_other_kind_is_refused(tmp_path: Path, state: str, standby: bool, word: str) -> None:
    with pytest.raises(DataError, match=f"the role never {word} → name the real primary"):
        postgresql_data.inspect(cluster(tmp_path / "main", standby=standby), "15", state)


def test_another_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds PostgreSQL 13, wanted is 15; it is not touched →"):
        postgresql_data.inspect(cluster(tmp_path / "main", "13"), "15", "primary")


@pytest.mark.parametrize("name", ["precious", "PG_VERSION"])
def test_other_files_are_refused_and_kept(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("15")
    with pytest.raises(DataError, match="holds files but no PostgreSQL cluster"):
        postgresql_data.make({**wanted(tmp_path), "path": str(tmp_path)})
    assert (tmp_path / name).read_text() == "15"


def test_a_primary_is_made_with_checksums_and_appears_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = Postgres(monkeypatch)
    (tmp_path / "main.making" / "half").mkdir(parents=True)
    assert postgresql_data.make(wanted(tmp_path)) == "initdb with checksums"
    assert {"--data-checksums", "--lc-collate=C", "--lc-ctype=C.UTF-8"} <= set(postgres.commands[0])
    assert (tmp_path / "main" / "PG_VERSION").is_file()
    assert not (tmp_path / "main.making").exists()


def test_a_failed_creation_leaves_the_place_empty_for_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Postgres(monkeypatch, fails="initdb")
    with pytest.raises(DataError, match=r"initdb failed \(1\): no space left on device →"):
        postgresql_data.make(wanted(tmp_path))
    assert not (tmp_path / "main").exists()
    Postgres(monkeypatch)
    postgresql_data.make(wanted(tmp_path))
    assert (tmp_path / "main" / "PG_VERSION").is_file()


def test_no_empty_primary_is_made_beside_a_member_that_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = Postgres(monkeypatch)
    with socket.create_server(("127.0.0.1", 0)) as server:
        parameters = wanted(tmp_path, others=["127.0.0.1"], port=server.getsockname()[1])
        with pytest.raises(DataError, match=r"127.0.0.1 serves a cluster; no empty primary is made"):
            postgresql_data.make(parameters)
    assert postgres.commands == []
    assert not (tmp_path / "main").exists()


def test_a_standby_copies_the_primary_through_its_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres = Postgres(monkeypatch)
    postgresql_data.make(wanted(tmp_path, "standby"))
    assert Path(postgres.commands[-1][0]).name == "pg_basebackup"
    assert "--slot=db2" in postgres.commands[-1]
    assert (tmp_path / "main" / "standby.signal").is_file()
    assert postgresql_data.inspect(tmp_path / "main", "15", "standby") is True


@pytest.mark.parametrize("slot", ["", "||\n"])
def test_a_standby_without_slot_says_so_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slot: str
) -> None:
    postgres = Postgres(monkeypatch, slot=slot)
    with pytest.raises(
        DataError, match="the primary is not ready for us after 0 s: no slot db2 → bring the primary"
    ):
        postgresql_data.make(wanted(tmp_path, "standby"))
    assert all(Path(command[0]).name == "psql" for command in postgres.commands)


def test_what_an_earlier_run_still_makes_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = os.open(tmp_path / "main.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with (
        pytest.raises(DataError, match=r"an earlier run still makes .* after 0 s → wait"),
        postgresql_data.only_one(tmp_path / "main", 0),
    ):
        pass
    os.close(holder)
    with postgresql_data.only_one(tmp_path / "main", 0) as lock:
        assert os.fstat(lock)
