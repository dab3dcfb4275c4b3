"""Who answers: ICMP echo and a TCP connection to many addresses at once, and whose SSH host key it is.

Nothing is sent but to the networks that the caller names as its own, never to documentation ranges, and
with `local` only to networks that this machine itself is on: the kernel then refuses every way out
(SO_DONTROUTE), also when the network vanishes meanwhile.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import struct
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from errno import ECONNREFUSED, EINPROGRESS
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from xjops.core.errors import XjopsError
from xjops.site.addresses import placeholder

AT_ONCE = 256  # more at once would overflow the kernel's table of neighbours
ANSWER_SECONDS = 2.0  # a packet lost is sent again after one
AGAIN_SECONDS = 1.0
KEY_SECONDS = 5.0
KEYS_AT_ONCE = 16
RSA = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}  # one kind of key, newer ways to prove it
_ECHO, _REPLY = 8, 0
_LOG = logging.getLogger("xjops.probing")  # what paramiko has to say of peers that are no SSH server
_LOG.addHandler(logging.NullHandler())
Connection = Literal["open", "refused"]


class OutOfBoundsError(XjopsError):
    """An address was to be probed that is not the caller's own: nothing was sent."""


@dataclass(frozen=True)
class Answer:
    """What an address answered: `echo` None where no ICMP may be sent; `port` None where nothing came.

    `way` is False when this machine has no way to it: then nothing was sent at all.
    """

    echo: bool | None = None
    port: Connection | None = None
    way: bool = True

    @property
    def there(self) -> bool:
        """Whether something is at the address."""
        return bool(self.echo) or self.port is not None


@dataclass(frozen=True)
class Bounds:
    """Where may be sent to: these networks, and with `local` only as far as this machine's own links go."""

    networks: tuple[IPv4Network, ...]
    local: bool

    def check(self, addresses: Collection[IPv4Address]) -> None:
        """Raise `OutOfBoundsError` unless all of `addresses` are within."""
        for address in addresses:
            if placeholder(address) or not any(address in network for network in self.networks):
                raise OutOfBoundsError(f"{address} is not of {', '.join(map(str, self.networks))}")

    def socket(self, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that can't send beyond the bounds' links."""
        made = socket.socket(socket.AF_INET, kind, protocol)
        if self.local:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_DONTROUTE, 1)
        made.setblocking(False)
        return made


def sweep(
    ports: Mapping[IPv4Address, int], bounds: Bounds, *, seconds: float = ANSWER_SECONDS
) -> dict[IPv4Address, Answer]:
    """What each address answers to an echo request and at its TCP port, within `seconds` a batch.

    Raises `OutOfBoundsError` before anything is sent.
    """
    bounds.check(ports)
    found: dict[IPv4Address, Answer] = {}
    order = sorted(ports)
    for start in range(0, len(order), AT_ONCE):
        batch = {address: ports[address] for address in order[start : start + AT_ONCE]}
        found.update(_Batch(batch, bounds).run(seconds))
    return found


class _Batch:
    """One burst of probes, and the wait for what comes back."""

    def __init__(self, ports: Mapping[IPv4Address, int], bounds: Bounds) -> None:
        self.ports = ports
        self.bounds = bounds
        self.found = dict.fromkeys(ports, Answer())
        self.token = os.urandom(8)
        self.selector = selectors.DefaultSelector()

    def run(self, seconds: float) -> dict[IPv4Address, Answer]:
        with ExitStack() as stack:
            stack.callback(self.selector.close)
            echo = self._open_echo(stack)
            for address, port in self.ports.items():
                self._connect(stack, address, port)
            end, again = time.monotonic() + seconds, time.monotonic() + AGAIN_SECONDS
            self._send_echoes(echo)
            while (left := end - time.monotonic()) > 0 and not self._complete(echo):
                for key, _ in self.selector.select(min(left, 0.2)):
                    self._hear(key)
                if again < time.monotonic():
                    again = end
                    self._send_echoes(echo)
        return self.found

    def _complete(self, echo: socket.socket | None) -> bool:
        """Whether every address has said all it can say."""
        return all(
            not answer.way or (answer.port is not None and (echo is None or answer.echo))
            for answer in self.found.values()
        )

    def _note(self, address: IPv4Address, **values: object) -> None:
        self.found[address] = replace(self.found[address], **values)  # type: ignore[arg-type]

    def _open_echo(self, stack: ExitStack) -> socket.socket | None:
        for kind in (socket.SOCK_RAW, socket.SOCK_DGRAM):
            with suppress(PermissionError):
                made = stack.enter_context(self.bounds.socket(kind, socket.IPPROTO_ICMP))
                self.selector.register(made, selectors.EVENT_READ, None)
                for address in self.ports:
                    self._note(address, echo=False)
                return made
        return None

    def _send_echoes(self, echo: socket.socket | None) -> None:
        if echo is None:
            return
        identity = os.getpid() & 0xFFFF
        for number, (address, answer) in enumerate(self.found.items()):
            if answer.way and not answer.echo:
                with suppress(OSError):  # no way, or its neighbour didn't answer: then nothing comes back
                    echo.sendto(_echo_request(identity, number, self.token), (str(address), 0))

    def _connect(self, stack: ExitStack, address: IPv4Address, port: int) -> None:
        made = stack.enter_context(self.bounds.socket(socket.SOCK_STREAM))
        code = made.connect_ex((str(address), port))
        if code == EINPROGRESS:
            self.selector.register(made, selectors.EVENT_WRITE, address)
        elif code in (0, ECONNREFUSED):
            self._note(address, port="refused" if code else "open")
        else:
            self._note(address, way=False)

    def _hear(self, key: selectors.SelectorKey) -> None:
        made = key.fileobj
        if not isinstance(made, socket.socket):
            return
        if key.data is None:
            self._hear_echo(made)
            return
        self.selector.unregister(made)
        code = made.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code in (0, ECONNREFUSED):
            self._note(key.data, port="refused" if code else "open")

    def _hear_echo(self, echo: socket.socket) -> None:
        with suppress(BlockingIOError):
            while True:
                packet, (sender, _) = echo.recvfrom(2048)
                address = IPv4Address(sender)
                if address in self.found and _is_reply(packet, self.token, raw=echo.type == socket.SOCK_RAW):
                    self._note(address, echo=True)


def _echo_request(identity: int, number: int, token: bytes) -> bytes:
    """An ICMP echo request (RFC 792) whose payload is `token`."""
    head = struct.pack("!BBHHH", _ECHO, 0, 0, identity, number & 0xFFFF)
    total = sum(struct.unpack(f"!{(len(head) + len(token)) // 2}H", head + token))
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", _ECHO, 0, ~total & 0xFFFF, identity, number & 0xFFFF) + token


def _is_reply(packet: bytes, token: bytes, *, raw: bool) -> bool:
    body = packet[(packet[0] & 0x0F) * 4 :] if raw and packet else packet
    return len(body) >= 8 and body[0] == _REPLY and body[8:] == token


def host_keys(
    ports: Mapping[IPv4Address, int], kinds: Mapping[IPv4Address, Collection[str]], bounds: Bounds
) -> dict[IPv4Address, str | None]:
    """The SSH host key that each address proves to have ("ssh-ed25519 AAAA…"); None where it proves none.

    `kinds` are the kinds of key known of an address: it is asked for these, and for what it likes best when
    it has none of them. No log-in is tried.
    """
    bounds.check(ports)

    def one(address: IPv4Address) -> str | None:
        for wanted in (tuple(kinds.get(address, ())), ()):
            with suppress(Exception):  # paramiko, socket and EOFError: it gives no key of that kind
                return _key(address, ports[address], bounds, wanted)
        return None

    with ThreadPoolExecutor(KEYS_AT_ONCE) as pool:
        return dict(zip(ports, pool.map(one, ports), strict=True))


def _key(address: IPv4Address, port: int, bounds: Bounds, kinds: tuple[str, ...]) -> str:
    from paramiko import Transport

    with bounds.socket(socket.SOCK_STREAM) as link:
        link.settimeout(KEY_SECONDS)
        link.connect((str(address), port))
        transport = Transport(link)
        try:
            transport.set_log_channel(_LOG.name)
            transport.banner_timeout = KEY_SECONDS
            if kinds:
                transport.get_security_options().key_types = [
                    way for kind in kinds for way in RSA.get(kind, (kind,))
                ]
            transport.start_client(timeout=KEY_SECONDS)
            key = transport.get_remote_server_key()
            return f"{key.get_name()} {key.get_base64()}"
        finally:
            transport.close()
