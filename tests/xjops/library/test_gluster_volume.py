"""The GlusterFS volume: from any half-way state to the wanted one, and never over somebody's files."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "gluster_volume", paths.project() / "library" / "gluster_volume.py"
)
assert specification
assert specification.loader
gluster_volume = importlib.util.module_from_spec(specification)
specification.loader.exec_module(gluster_volume)

ABSENT = "<cliOutput><opRet>-1</opRet><volInfo><volumes><count>0</count></volumes></volInfo></cliOutput>"
DONE = "<cliOutput><opRet>0</opRet></cliOutput>"


def info(status: str = "Started", brick: str = "192.0.2.41:/b", **options: str) -> str:
    pairs = "".join(
        f"<option><name>{name.replace('_', '.')}</name><value>{value}</value></option>"
        for name, value in options.items()
    )
    return (
        f"<cliOutput><volInfo><volumes><volume><name>registry</name><statusStr>{status}</statusStr><bricks>"
        f"<brick uuid='1'>{brick}<name>{brick}</name></brick></bricks><options>{pairs}</options></volume>"
        "</volumes></volInfo></cliOutput>"
    )


def processes(status: int = 1) -> str:
    return (
        "<cliOutput><volStatus><volumes><volume><node><hostname>192.0.2.41</hostname><path>/b</path>"
        f"<status>{status}</status></node></volume></volumes></volStatus></cliOutput>"
    )


class RefusedError(Exception):
    """The module's fail_json."""


class FakeModule:
    def __init__(self, check_mode: bool) -> None:
        self.check_mode = check_mode
        self.params = {"name": "registry", "seconds": 5}

    def fail_json(self, msg: str, **_: Any) -> None:
        raise RefusedError(msg)


class Server(gluster_volume.Gluster):  # type: ignore[misc, name-defined]
    """Answers as glusterd does and remembers what it was told."""

    def __init__(self, volume: str, status: str = "", *, check_mode: bool = False, failure: str = "") -> None:
        super().__init__(FakeModule(check_mode))
        self.volume, self.status, self.failure = volume, status or processes(), failure
        self.told: list[tuple[str, ...]] = []

    def ask(self, *words: str) -> str:
        if words[:2] == ("volume", "info"):
            return self.volume
        if words[:2] == ("volume", "status"):
            return self.status
        self.told.append(words)
        return f"<c><opRet>-1</opRet><opErrstr>{self.failure}</opErrstr></c>" if self.failure else DONE


def wanted(**more: Any) -> dict[str, Any]:
    return {
        "name": "registry",
        "address": "192.0.2.41",
        "bricks": ["/b"],
        "options": {"auth.allow": "192.0.2.1,192.0.2.2"},
        "force": False,
        **more,
    }


def test_a_new_volume_is_closed_before_it_is_started() -> None:
    server = Server(ABSENT)
    gluster_volume.ensure(server, wanted())
    assert [words[1] for words in server.told] == ["create", "set", "start"]
    assert server.told[0][2:] == ("registry", "192.0.2.41:/b")
    assert server.told[1][2:] == ("registry", "auth.allow", "192.0.2.1,192.0.2.2")


def test_a_brick_on_the_root_file_system_is_taken_only_when_told() -> None:
    server = Server(ABSENT)
    gluster_volume.ensure(server, wanted(force=True))
    assert server.told[0][-1] == "force"


def test_a_killed_creation_goes_on_with_what_is_missing() -> None:
    server = Server(info("Created", auth_allow="192.0.2.1,192.0.2.2"))
    gluster_volume.ensure(server, wanted())
    assert server.told == [("volume", "start", "registry")]


def test_the_order_of_clients_changes_nothing() -> None:
    server = Server(info(auth_allow="192.0.2.2,192.0.2.1"))
    gluster_volume.ensure(server, wanted())
    assert server.told == []
    assert server.actions == []


def test_a_stranger_among_the_clients_is_taken_off() -> None:
    server = Server(info(auth_allow="192.0.2.1,192.0.2.2,192.0.2.9"))
    gluster_volume.ensure(server, wanted())
    assert server.told == [("volume", "set", "registry", "auth.allow", "192.0.2.1,192.0.2.2")]


def test_a_dead_brick_process_is_started() -> None:
    server = Server(info(auth_allow="192.0.2.1,192.0.2.2"), processes(0))
    gluster_volume.ensure(server, wanted())
    assert server.told == [("volume", "start", "registry", "force")]


def test_check_mode_tells_and_does_nothing() -> None:
    server = Server(ABSENT, check_mode=True)
    gluster_volume.ensure(server, wanted())
    assert server.told == []
    assert len(server.actions) == 3


def test_another_brick_is_refused() -> None:
    with pytest.raises(RefusedError, match=r"is made of 192.0.2.41:/other, not of 192.0.2.41:/b .*→"):
        gluster_volume.ensure(Server(info(brick="192.0.2.41:/other")), wanted())


def test_a_failure_carries_the_daemons_reason() -> None:
    with pytest.raises(
        RefusedError, match=r"create volume registry .* failed: Host not reachable → journalctl"
    ):
        gluster_volume.ensure(Server(ABSENT, failure="Host not reachable"), wanted())


@pytest.fixture
def brick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A brick that a killed creation has marked."""
    marks = {"trusted.glusterfs.volume-id", "trusted.gfid", "user.other"}
    monkeypatch.setattr(gluster_volume.os, "listxattr", lambda _path: sorted(marks))
    monkeypatch.setattr(gluster_volume.os, "removexattr", lambda _path, name: marks.remove(name))
    (tmp_path / ".glusterfs").mkdir()
    return tmp_path


def test_an_empty_marked_brick_is_taken(brick: Path) -> None:
    server = Server(ABSENT)
    gluster_volume.free_brick(server, str(brick))
    assert gluster_volume.os.listxattr(str(brick)) == ["user.other"]
    assert not (brick / ".glusterfs").exists()
    assert len(server.actions) == 1


def test_a_marked_brick_with_files_is_refused(brick: Path) -> None:
    (brick / "precious").write_text("x")
    with pytest.raises(RefusedError, match=r"holds 1 entries \(precious, …\); it is not touched →"):
        gluster_volume.free_brick(Server(ABSENT), str(brick))
    assert (brick / "precious").read_text() == "x"
    assert (brick / ".glusterfs").is_dir()
