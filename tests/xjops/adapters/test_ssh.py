"""The fleet against a small SSH server on loopback: host keys, exit codes, deadlines."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address

import paramiko
import pytest

from xjops.adapters.ssh import Fleet, known_hosts, private_key
from xjops.site import Host, Site


class Server(paramiko.ServerInterface):
    """Accepts one key; `fail` ends with 3, `hang` never ends, anything else echoes its command."""

    def __init__(self, key: paramiko.PKey) -> None:
        self.key = key

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return paramiko.AUTH_SUCCESSFUL if key == self.key else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        # after the request itself was acknowledged
        threading.Timer(0.1, self._answer, args=(channel, command.decode())).start()
        return True

    @staticmethod
    def _answer(channel: paramiko.Channel, command: str) -> None:
        if command == "hang":
            time.sleep(5)
        with contextlib.suppress(OSError):  # the client may have given up
            channel.sendall(f"ran {command}\n".encode())
            channel.send_exit_status(3 if command == "fail" else 0)
            channel.close()


@pytest.fixture
def host_key() -> paramiko.PKey:
    return paramiko.ECDSAKey.generate()


@pytest.fixture
def site(lab_site: Site) -> Site:
    site = lab_site
    private_key(site).parent.mkdir(parents=True)
    paramiko.ECDSAKey.generate().write_private_key_file(str(private_key(site)))
    return site


@pytest.fixture
def server(site: Site, host_key: paramiko.PKey) -> Iterator[Host]:
    """A host whose key is in known_hosts."""
    client_key = paramiko.ECDSAKey.from_private_key_file(str(private_key(site)))
    listener = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(host_key)
            transport.start_server(server=Server(client_key), event=threading.Event())
            transports.append(transport)

    threading.Thread(target=serve, daemon=True).start()
    port = listener.getsockname()[1]
    known_hosts(site).write_text(f"[127.0.0.1]:{port} {host_key.get_name()} {host_key.get_base64()}\n")
    yield Host(name="web2", groups=(), address=IPv4Address("127.0.0.1"), port=port)
    listener.close()
    for transport in transports:
        transport.close()


def test_output_and_exit_code(site: Site, server: Host) -> None:
    with Fleet(site) as fleet:
        good = fleet.run([server], "true")["web2"]
        bad = fleet.run([server], lambda host: "fail")["web2"]
    assert (good.stdout, good.exit_code, good.error) == ("ran true\n", 0, None)
    assert (bad.exit_code, bad.error) == (3, None)


def test_an_unknown_host_key_is_refused(site: Site, server: Host) -> None:
    known_hosts(site).write_text("")
    with Fleet(site) as fleet:
        output = fleet.run([server], "true")["web2"]
    assert output.error is not None
    assert "host key is not known" in str(output.error)


def test_a_changed_host_key_is_refused(site: Site, server: Host) -> None:
    other = paramiko.ECDSAKey.generate()
    line = f"[127.0.0.1]:{server.port} {other.get_name()} {other.get_base64()}\n"
    known_hosts(site).write_text(line)
    with Fleet(site) as fleet:
        output = fleet.run([server], "true")["web2"]
    assert output.error is not None
    assert "host key has changed" in str(output.error)


def test_a_command_that_hangs_ends_at_its_deadline(site: Site, server: Host) -> None:
    started = time.monotonic()
    with Fleet(site) as fleet:
        output = fleet.run([server], "hang", seconds=1)["web2"]
    assert output.error is not None
    assert "no answer within 1 s" in str(output.error)
    assert time.monotonic() - started < 10


def test_a_host_that_is_down_says_so_and_the_others_go_on(site: Site, server: Host) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    down = server.model_copy(update={"name": "web3", "port": port})
    with Fleet(site) as fleet:
        outputs = fleet.run([server, down], "true")
    assert outputs["web2"].error is None
    assert "web3 (127.0.0.1) is not reachable by SSH" in str(outputs["web3"].error)
    assert "xjops lab status" in str(outputs["web3"].error)
