"""Who answers: on loopback, the only network that every machine has; and what must never be sent."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network

import paramiko
import pytest

from xjops.adapters import probing
from xjops.adapters.probing import Answer, Bounds, OutOfBoundsError

LOOPBACK = IPv4Network("127.58.7.0/24")
BOUNDS = Bounds((LOOPBACK,), local=True)
WEB1, WEB2 = IPv4Address("127.58.7.11"), IPv4Address("127.58.7.12")
ELSEWHERE = IPv4Network("100.64.99.0/24")  # RFC 6598: no network of this machine
MAY_ECHO = os.geteuid() == 0


@contextmanager
def listening(address: IPv4Address) -> Iterator[socket.socket]:
    with socket.create_server((str(address), 0)) as server:
        yield server


def test_an_open_and_a_refused_port_both_say_that_somebody_is_there() -> None:
    with listening(WEB1) as server:
        port = server.getsockname()[1]
        found = probing.sweep({WEB1: port, WEB2: port}, BOUNDS, seconds=2)
    assert found == {
        WEB1: Answer(echo=True if MAY_ECHO else None, port="open"),
        WEB2: Answer(echo=True if MAY_ECHO else None, port="refused"),
    }


def test_a_whole_subnet_at_once_is_quick() -> None:
    ports = dict.fromkeys(LOOPBACK.hosts(), 9)
    started = time.monotonic()
    found = probing.sweep(ports, BOUNDS, seconds=5)
    assert time.monotonic() - started < 3
    assert len(found) == 254
    assert all(answer.there for answer in found.values())


def test_more_addresses_than_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "AT_ONCE", 3)
    addresses = [LOOPBACK[number] for number in range(1, 9)]
    assert list(probing.sweep(dict.fromkeys(addresses, 9), BOUNDS)) == addresses


def test_silence_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that nobody accepts and a full backlog: the kernel answers nothing."""
    monkeypatch.setattr(probing._Batch, "_open_echo", lambda *_: None)
    with socket.socket() as server:
        server.bind((str(WEB1), 0))
        server.listen(0)
        port = server.getsockname()[1]
        first, second = socket.socket(), socket.socket()
        with first, second:
            for item in (first, second):
                item.setblocking(False)
                item.connect_ex((str(WEB1), port))
            started = time.monotonic()
            found = probing.sweep({WEB1: port}, BOUNDS, seconds=0.5)
            assert 0.4 < time.monotonic() - started < 2
    assert found == {WEB1: Answer()}
    assert not found[WEB1].there


@pytest.mark.parametrize("address", ["10.0.0.1", "127.58.8.1", "192.0.2.1", "198.51.100.7", "203.0.113.9"])
def test_nothing_is_sent_outside_the_bounds(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(Bounds, "socket", lambda *_: pytest.fail("a socket was opened"))
    outside = IPv4Address(address)
    wide = Bounds((LOOPBACK, IPv4Network("192.0.2.0/24")), local=True)  # a documentation range is nobody's
    with pytest.raises(OutOfBoundsError):
        probing.sweep({WEB1: 22, outside: 22}, wide)
    with pytest.raises(OutOfBoundsError):
        probing.host_keys({outside: 22}, {}, wide)


def test_a_local_network_that_is_not_there_gets_nothing() -> None:
    """The lab is down and its unreachable route is gone: the kernel itself refuses the way out."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        with pytest.raises(OSError, match="unreachable"):
            plain.connect((str(ELSEWHERE[1]), 9))  # sends nothing: asks the kernel for the way
    addresses = dict.fromkeys(list(ELSEWHERE.hosts())[:20], 22)
    started = time.monotonic()
    with sent_to(ELSEWHERE) as packets:
        found = probing.sweep(addresses, Bounds((ELSEWHERE,), local=True), seconds=2)
        keys = probing.host_keys({ELSEWHERE[1]: 22}, {}, Bounds((ELSEWHERE,), local=True))
    assert time.monotonic() - started < 2  # nothing to wait for
    assert {answer.way for answer in found.values()} == {False}
    assert keys == {ELSEWHERE[1]: None}
    assert packets == []


@contextmanager
def sent_to(network: IPv4Network) -> Iterator[list[str]]:
    """The destinations in `network` of every packet that leaves any interface (seen by root only)."""
    found: list[str] = []
    if os.geteuid() != 0:
        yield found
        return
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003)) as tap:
        tap.settimeout(0.2)
        ended = threading.Event()

        def listen() -> None:
            while not ended.is_set():
                try:
                    packet, about = tap.recvfrom(128)
                except TimeoutError:
                    continue
                if about[1] == 0x0800 and IPv4Address(packet[16:20]) in network:
                    found.append(str(IPv4Address(packet[16:20])))

        thread = threading.Thread(target=listen)
        thread.start()
        yield found
        time.sleep(0.3)
        ended.set()
        thread.join()


class _Anyone(paramiko.ServerInterface):
    """A server that lets nobody in."""


@contextmanager
def ssh_server(address: IPv4Address, *keys: paramiko.PKey) -> Iterator[int]:
    """An SSH server with these host keys."""
    with socket.create_server((str(address), 0)) as server:
        server.settimeout(10)
        running = []

        def serve() -> None:
            while True:
                try:
                    link, _peer = server.accept()
                except OSError:
                    return
                transport = paramiko.Transport(link)
                running.append(transport)
                for key in keys:
                    transport.add_server_key(key)
                # with an event it doesn't wait for the client, which may be gone, or be the next one already
                transport.start_server(event=threading.Event(), server=_Anyone())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for transport in running:
            transport.close()


def line(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.get_base64()}"


def test_host_keys() -> None:
    ecdsa, rsa = paramiko.ECDSAKey.generate(), paramiko.RSAKey.generate(2048)
    with ssh_server(WEB1, ecdsa, rsa) as port:
        for kinds, key in (((), ecdsa), (("ssh-rsa",), rsa), (("ssh-ed25519",), ecdsa)):
            assert probing.host_keys({WEB1: port}, {WEB1: kinds}, BOUNDS) == {WEB1: line(key)}


def test_a_port_that_speaks_no_ssh_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "KEY_SECONDS", 0.5)
    with listening(WEB1) as server:
        assert probing.host_keys({WEB1: server.getsockname()[1]}, {}, BOUNDS) == {WEB1: None}
