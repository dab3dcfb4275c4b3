"""A real HAProxy of the test's own, with members on loopback; asked as over SSH, but on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from xjops.adapters import haproxy
from xjops.adapters.ssh import Output, UnreachableError
from xjops.core import paths
from xjops.core.waiting import wait_for
from xjops.site import Host, Site

CONFIGURATION = """
global
    stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
    server-state-file {folder}/states
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
frontend public
    bind 127.0.0.1:{port}
    default_backend registry
backend other
    server web2 127.0.0.99:1 disabled
backend registry
    balance leastconn
    load-server-state-from-file global
    option httpchk GET /livez
    default-server check inter 200ms fastinter 100ms rise 1 fall 1 on-marked-down shutdown-sessions
{servers}
"""


class Members:
    """Web servers on addresses of loopback; `/slow` answers when `finish` is set."""

    def __init__(self) -> None:
        self.finish = threading.Event()
        self.asked: list[str] = []  # address of every request that is no health check
        self._servers: dict[str, ThreadingHTTPServer] = {}

    def start(self, address: str, port: int) -> None:
        members = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                """Quiet."""

            def do_GET(self) -> None:
                if self.path != "/livez":
                    members.asked.append(address)
                if self.path == "/slow":
                    members.finish.wait(20)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

        server = ThreadingHTTPServer((address, port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        self._servers[address] = server

    def stop(self, address: str) -> None:
        server = self._servers.pop(address)
        server.shutdown()
        server.server_close()

    def stop_all(self) -> None:
        self.finish.set()
        for address in list(self._servers):
            self.stop(address)


class LocalFleet:
    """As `xjops.adapters.ssh.Fleet`, but what is to run on a host runs here; `lost` are not reachable."""

    def __init__(self) -> None:
        self.lost: set[str] = set()
        self.calls = 0

    def run(self, hosts: Iterable[Host], command: str, *, seconds: float) -> dict[str, Output]:
        self.calls += 1
        return {host.name: self._one(host, command.removeprefix("sudo -n "), seconds) for host in hosts}

    def _one(self, host: Host, command: str, seconds: float) -> Output:
        if host.name in self.lost:
            error = UnreachableError(
                f"{host.name} is not reachable by SSH: no answer", mend="xjops lab status"
            )
            return Output(host.name, error=error)
        words = ["bash", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
        return Output(host.name, done.stdout, done.stderr, done.returncode)


class RunningHAProxy:
    """The process, its folder (socket, states, the role's program) and its members."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.members = folder, Members()
        self.port, self.member_port = _free_port(), _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.keep = folder / "haproxy-keep-states"

    def configure(self, servers: dict[str, str], port: int = 0) -> None:
        """Members by name and address, all at one port."""
        at = port or self.member_port
        lines = "\n".join(f"    server {name} {address}:{at}" for name, address in servers.items())
        text = CONFIGURATION.format(folder=self.folder, port=self.port, servers=lines)
        (self.folder / "haproxy.cfg").write_text(text)

    def start(self) -> None:
        """Start it, with the role's own program for the states (its paths moved into the folder)."""
        text = (paths.project() / "roles/load_balancer/files/haproxy-keep-states").read_text()
        for old, new in (
            ("/run/haproxy/admin.sock", "admin.sock"),
            ("/var/lib/haproxy-members/states", "states"),
            ("/etc/haproxy/haproxy.cfg", "haproxy.cfg"),
        ):
            assert text.count(f'"{old}"') == 1
            text = text.replace(f'"{old}"', f'"{self.folder / new}"')
        self.keep.write_text(text)
        self.keep.chmod(0o755)
        log = (self.folder / "log").open("ab")
        command = ["haproxy", "-W", "-f", str(self.folder / "haproxy.cfg")]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.wait_ready()

    def reload(self) -> None:
        """As the role's additions to the unit do it."""
        subprocess.run([self.keep], check=True, timeout=10)
        assert self.process
        before = self.pid()
        self.process.send_signal(signal.SIGUSR2)
        wait_for(lambda: self.pid() not in (None, before) or None, what="the new worker", seconds=10, mend="")

    def kill(self) -> None:
        """As a crash: no chance to write anything down."""
        assert self.process
        worker = self.pid()
        self.process.kill()
        self.process.wait(10)
        if worker:
            os.kill(worker, signal.SIGKILL)

    def pid(self) -> int | None:
        try:
            lines = self.ask("show info").splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) for line in lines if line.startswith("Pid:")), None)

    def ask(self, command: str) -> str:
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(5)
            client.connect(str(self.folder / "admin.sock"))
            client.sendall(command.encode() + b"\n")
            parts = []
            while block := client.recv(65536):
                parts.append(block)
        return b"".join(parts).decode()

    def wait_ready(self) -> None:
        wait_for(self.pid, what="HAProxy", seconds=10, mend=str(self.folder / "log"))

    def wait_for(self, words: str) -> None:
        """Until `show stat` has a line with all of these words."""
        wanted = words.split()

        def seen() -> bool | None:
            lines = [line.split(",") for line in self.ask("show stat").splitlines()]
            return any(all(word in line for word in wanted) for line in lines) or None

        wait_for(seen, what=words, seconds=10, mend=str(self.folder / "log"))

    def stop(self) -> None:
        self.members.stop_all()
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


@contextmanager
def asking(path: str, port: int) -> Iterator[socket.socket]:
    """A request to the public port that is under way."""
    with closing(socket.create_connection(("127.0.0.1", port), 5)) as client:
        client.settimeout(20)
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        time.sleep(0.05)
        yield client


def local_site(site: Site) -> Site:
    """The site with its hosts on loopback: web2 is 127.0.0.12."""
    hosts = []
    for host in site.hosts:
        last = str(host.address).rpartition(".")[2]
        hosts.append(host.model_copy(update={"address": f"127.0.0.{last}"}))
    return site.model_copy(update={"hosts": tuple(hosts)})


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningHAProxy]:
    """web2 and web3 up behind HAProxy."""
    folder = tmp_path / "haproxy"
    folder.mkdir()
    made = RunningHAProxy(folder)
    monkeypatch.setattr(haproxy, "SOCKET", str(folder / "admin.sock"))
    monkeypatch.setattr(haproxy, "KEEP", str(made.keep))
    servers = {"web2": "127.0.0.12", "web3": "127.0.0.13"}
    try:
        for address in servers.values():
            made.members.start(address, made.member_port)
        made.configure(servers)
        made.start()
        for name in servers:
            made.wait_for(f"registry {name} UP")
        yield made
    finally:
        made.stop()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
