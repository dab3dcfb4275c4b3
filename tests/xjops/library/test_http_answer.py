"""The modules that wait for an answer: they end in time, and say what they saw last."""

from __future__ import annotations

import importlib.util
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from xjops.core import paths


def module(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, paths.project() / "library" / f"{name}.py")
    assert specification
    assert specification.loader
    loaded = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(loaded)
    return loaded


http_answer = module("http_answer")
haproxy_members = module("haproxy_members")


class Site(BaseHTTPRequestHandler):
    statuses: ClassVar[list[int]] = []
    hosts: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.hosts.append(self.headers["Host"])
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b'{"database": "refused"}' if status == 503 else b"ok")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    Site.statuses, Site.hosts = [200], []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def wait(port: int, seconds: float = 5, **more: Any) -> tuple[int | None, str, float]:
    usual = {"connect_to": "127.0.0.1", "ca": None, "headers": {}, "status": [200], "contains": ""}
    params = {"url": f"http://site.example:{port}/healthz", "seconds": seconds, **usual, **more}
    status, problem, elapsed = http_answer.wait(params)
    return status, problem, elapsed


def test_the_answer_comes_under_the_sites_name(site: int) -> None:
    assert wait(site)[:2] == (200, "")
    assert Site.hosts == [f"site.example:{site}"]


def test_it_waits_until_the_site_is_well(site: int) -> None:
    Site.statuses = [503, 503, 200]
    status, problem, elapsed = wait(site)
    assert (status, problem) == (200, "")
    assert elapsed >= 1


def test_the_failure_shows_the_last_status_and_answer(site: int) -> None:
    Site.statuses = [503]
    status, problem, elapsed = wait(site, seconds=1)
    assert status == 503
    assert problem == 'status 503, answer: {"database": "refused"}'
    assert elapsed <= 2


def test_an_answer_without_the_text_is_a_failure(site: int) -> None:
    assert wait(site, seconds=0.6, contains="登录")[1] == "status 200, answer: ok"


def test_nobody_there() -> None:
    status, problem, _ = wait(1, seconds=0.6)
    assert status is None
    assert problem.startswith("ConnectionRefusedError")


def test_a_server_that_says_nothing_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answer, "ONE_TRY", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begin = time.monotonic()
        status, problem, _ = wait(silent.getsockname()[1], seconds=1)
    assert status is None
    assert "TimeoutError" in problem
    assert time.monotonic() - begin < 5


STAT = """# pxname,svname,status,check_status,last_chk,check_desc,
public,FRONTEND,OPEN,,,,
registry,web2,UP,L7OK,HTTP status check returned code <200>,Layer7 check passed,
registry,web3,DOWN,L4CON,Connection refused,Layer4 connection problem,
registry,web4,UP 1/3,* L7OK,,,
registry,BACKEND,UP,,,,

"""


def test_members_that_are_not_up_are_named() -> None:
    found = haproxy_members.members(STAT, "registry")
    assert list(found) == ["web2", "web3", "web4"]
    assert haproxy_members.problems({"web2": found["web2"]}, ["web2"], []) == []
    assert haproxy_members.problems(found, ["web2", "web3", "web9"], []) == [
        "web9 is not a member",
        "web3 is DOWN (L4CON Connection refused Layer4 connection problem)",
        "web4 is a member and should not be",
    ]
    assert haproxy_members.problems({"web4": found["web4"]}, ["web4"], []) == ["web4 is UP 1/3 (L7OK)"]


SERVERS = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight
3 registry 1 web2 10.58.7.12 2 0 1
3 registry 2 web3 10.58.7.13 0 8 1
3 registry 3 web4 10.58.7.14 0 1 1
3 registry 4 web5 10.58.7.15 0 4 1

"""


def test_who_is_taken_out_on_purpose_is_not_waited_for() -> None:
    out = haproxy_members.taken_out(SERVERS)
    assert out == ["web3", "web4"]  # web5: the configuration's word, nobody's order
    assert haproxy_members.taken_out("Can't find backend.\n") == []
    found = haproxy_members.members(STAT, "registry")
    assert haproxy_members.problems(found, ["web2", "web3", "web9"], ["web3", "web4"]) == [
        "web9 is not a member",
        "web4 is a member and should not be",
    ]


def test_a_socket_that_is_not_there_ends_in_time(tmp_path: Path) -> None:
    params = {"backend": "registry", "members": ["web2"], "socket": str(tmp_path / "no.sock"), "seconds": 0}
    states, out, problem = haproxy_members.wait(params)
    assert (states, out) == ({}, [])
    assert "can't be asked" in problem
