"""A BIG-IP for tests: a stateful iControl REST endpoint on loopback, with TLS.

Written from F5's public reference (iControl REST API User Guide; API reference of /mgmt/tm/ltm/pool, node,
virtual, /mgmt/tm/transaction, /mgmt/tm/sys/config, /mgmt/shared/authn) and answers that F5's users published.
It keeps what such a device keeps: tokens that end, pools with members and nodes, a running and a saved
configuration, transactions that are done as a whole or not at all. Nobody compared it with a real BIG-IP.

Faults are attributes: `busy`, `slow`, `lose`, `gateway`, `async_commit`, `drop_transactions`; `restart`
forgets what was not saved, every token, and answers for a while as a starting REST server does.
"""

from __future__ import annotations

import json
import ssl
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]
USER, PASSWORD = "xjops", "not-a-real-password"
SESSIONS, WRITABLE_STATES = {"user-enabled", "user-disabled"}, {"user-up", "user-down"}


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the test
    """An error answer: HTTP status and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass
class Node:
    """What the configuration says of a node."""

    full: str
    address: str


@dataclass
class PoolMember:
    """What the configuration says of a member; its health and connections are the device's own."""

    full: str  # /Common/web2:80
    address: str
    session: str = "user-enabled"
    forced: bool = False


@dataclass
class Configuration:
    """What `save sys config` saves: full names → objects."""

    nodes: dict[str, Node] = field(default_factory=dict)
    pools: dict[str, dict[str, PoolMember]] = field(default_factory=dict)
    virtuals: dict[str, Json] = field(default_factory=dict)


@dataclass
class Transaction:
    number: int
    commands: list[tuple[str, list[str], Json]] = field(default_factory=list)
    state: str = "STARTED"
    reason: str = ""
    done_at: float = 0.0

    def as_json(self) -> Json:
        return {
            "transId": self.number,
            "state": self.state,
            "timeoutSeconds": 120,
            "asyncExecution": False,
            "validateOnly": False,
            "executionTimeout": 300,
            "executionTime": 0,
            "failureReason": self.reason,
            "kind": "tm:transactionstate",
            "selfLink": f"https://localhost/mgmt/tm/transaction/{self.number}?ver=16.1.0",
        }


class BigIPDevice:
    """The device's state and its faults; one request at a time, as its REST server does it."""

    def __init__(self, pool: str = "/Common/xueji_web", virtual: str = "/Common/xueji_https") -> None:
        self.running = Configuration(pools={pool: {}})
        self.running.virtuals[virtual] = {"pool": pool, "destination": "/Common/203.0.113.10:443"}
        self.saved = deepcopy(self.running)
        self.pool = pool
        self.down: dict[str, str] = {}  # member → why its monitor says so
        self.connections: dict[str, int] = {}
        self.finishing: dict[str, float] = {}  # member → when its connections are gone (monotonic)
        self.tokens: dict[str, float] = {}  # token → end (monotonic)
        self.transactions: dict[int, Transaction] = {}
        self.requests: list[tuple[str, str]] = []  # (method, path) of everything that arrived
        self.codes: list[int] = []  # how it was answered
        self.logins = self.saves = 0
        self.token_seconds, self.token_limit, self.role = 1200.0, 100, "manager"
        # faults
        self.busy: Callable[[str, str], bool] = lambda method, path: False
        self.slow: Callable[[str, str], float] = lambda method, path: 0.0
        self.lose: Callable[[str, str], bool] = lambda method, path: False
        self.gateway: Callable[[str, str], bool] = lambda method, path: False  # done, but answered by 502
        self.async_commit = 0.0  # seconds
        self.drop_transactions = 0  # how many vanish when the first command is queued
        self._starting_until = 0.0
        self.lock = threading.RLock()

    def add(self, name: str, address: str, port: int = 80, **more: Any) -> PoolMember:
        """A member that is there before the test begins, saved."""
        full = f"/Common/{name}"
        self.running.nodes[full] = Node(full, address)
        member = PoolMember(f"{full}:{port}", address, **more)
        self.running.pools[self.pool][member.full] = member
        self.saved = deepcopy(self.running)
        return member

    def member(self, name: str, port: int = 80) -> PoolMember:
        return self.running.pools[self.pool][f"/Common/{name}:{port}"]

    @property
    def mapped(self) -> list[tuple[str, int]]:
        """(address, port) of every member, sorted."""
        members = self.running.pools[self.pool].values()
        return sorted((m.address, int(m.full.rpartition(":")[2])) for m in members)

    def restart(self, seconds: float = 0.0) -> None:
        """Power off and on: what was not saved is gone, tokens too; its REST server starts for `seconds`."""
        with self.lock:
            self.running = deepcopy(self.saved)
            self.tokens.clear()
            self.transactions.clear()
            self._starting_until = time.monotonic() + seconds

    # -- requests

    def answer(self, method: str, path: str, headers: Any, body: Json) -> Json:
        """The JSON of one request. Raises `Refusal`."""
        if time.monotonic() < self._starting_until:
            raise Refusal(404, "Public URI path not registered. Please see /var/log/restjavad.0.log")
        if self.busy(method, path):
            raise Refusal(503, "There is an active asynchronous task executing.")
        words = path.strip("/").split("/")[1:]  # without mgmt
        if words == ["shared", "authn", "login"]:
            return self._login(body)
        self._authorize(headers.get("X-F5-Auth-Token", ""), method, path)
        if words[:3] == ["shared", "authz", "tokens"] and method == "DELETE":
            return {"token": self.tokens.pop(words[3], None) and words[3]}
        number = headers.get("X-F5-REST-Coordination-Id")
        if words[:2] == ["tm", "transaction"]:
            return self._transaction(method, words[2:], body)
        if number is not None:
            return self._queue(int(number), method, words, body)
        return self._command(self.running, method, words, body)

    def _login(self, body: Json) -> Json:
        if (body.get("username"), body.get("password")) != (USER, PASSWORD):
            raise Refusal(401, "Authentication failed.")
        now = time.monotonic()
        self.tokens = {token: end for token, end in self.tokens.items() if end > now}
        if len(self.tokens) >= self.token_limit:
            raise Refusal(400, f"user {USER} has reached maximum active login tokens")
        token = uuid.uuid4().hex.upper()[:26]
        self.tokens[token] = now + self.token_seconds
        self.logins += 1
        return {"username": USER, "loginProviderName": "tmos",
                "token": {"token": token, "name": token, "timeout": self.token_seconds,
                          "kind": "shared:authz:tokens:authtokenitemstate"}}  # fmt: skip

    def _authorize(self, token: str, method: str, path: str) -> None:
        if self.tokens.get(token, 0.0) <= time.monotonic():
            raise Refusal(401, "X-F5-Auth-Token does not exist.")
        forbidden = {"manager": (), "operator": ("POST", "DELETE"), "guest": ("POST", "DELETE", "PATCH")}
        own = "/shared/" in path or "/transaction" in path or "/sys/config" in path
        if method in forbidden[self.role] and not own:
            link = "https://localhost/mgmt/shared/authz/users/" + USER
            raise Refusal(401, f"Authorization failed: user={link} resource={path} verb={method} uri:{path}")

    def _transaction(self, method: str, words: list[str], body: Json) -> Json:
        if not words:
            number = int(time.time() * 1_000_000)
            self.transactions[number] = Transaction(number)
            return self.transactions[number].as_json()
        transaction = self.transactions.get(int(words[0]))
        if transaction is None:
            raise Refusal(404, f"Transaction not found for transId: {words[0]}")
        if method == "DELETE":
            del self.transactions[transaction.number]
            return {}
        if method == "PATCH":
            if body != {"state": "VALIDATING"}:
                raise Refusal(400, f"invalid transaction state {body}")
            transaction.state, transaction.done_at = "VALIDATING", time.monotonic() + self.async_commit
        if transaction.state == "VALIDATING" and time.monotonic() >= transaction.done_at:
            self._commit(transaction, told=self.async_commit > 0)
        return transaction.as_json()

    def _commit(self, transaction: Transaction, *, told: bool) -> None:
        trial = deepcopy(self.running)
        try:
            for method, words, body in transaction.commands:
                self._command(trial, method, words, body)
        except Refusal as refusal:
            transaction.state, transaction.reason = "FAILED", refusal.message
            if not told:
                raise Refusal(refusal.code, f"transaction failed:{refusal.message}") from None
        else:
            self.running, transaction.state = trial, "COMPLETED"

    def _queue(self, number: int, method: str, words: list[str], body: Json) -> Json:
        if self.drop_transactions:
            self.drop_transactions -= 1
            self.transactions.pop(number, None)
        if number not in self.transactions:
            raise Refusal(404, f"Transaction not found for transId: {number}")
        commands = self.transactions[number].commands
        commands.append((method, words, body))
        return {"method": method, "uri": "https://localhost/mgmt/" + "/".join(words), "body": body,
                "evalOrder": len(commands), "commandId": len(commands),
                "kind": "tm:transaction:commandsstate"}  # fmt: skip

    # -- objects

    def _command(self, config: Configuration, method: str, words: list[str], body: Json) -> Json:
        if words == ["tm", "sys", "config"] and method == "POST":
            if body != {"command": "save"}:
                raise Refusal(400, f"Found invalid command {body}")
            self.saved, self.saves = deepcopy(config), self.saves + 1
            return {"kind": "tm:sys:config:savestate", "command": "save"}
        if words == ["tm", "ltm", "node"] and method == "GET":
            return {"kind": "tm:ltm:node:nodecollectionstate", "items": [
                {"name": full.rpartition("/")[2], "partition": full.split("/")[1], "fullPath": full,
                 "address": node.address} for full, node in config.nodes.items()]}  # fmt: skip
        if words[:3] == ["tm", "ltm", "virtual"] and method == "GET":
            full = words[3].replace("~", "/")
            if full not in config.virtuals:
                raise Refusal(404, f"01020036:3: The requested Virtual Server ({full}) was not found.")
            return {"kind": "tm:ltm:virtual:virtualstate", "fullPath": full, **config.virtuals[full]}
        if words[:3] == ["tm", "ltm", "pool"] and words[4:5] == ["members"]:
            return self._members(config, method, words[3].replace("~", "/"), words[5:], body)
        raise Refusal(404, f"Found unsupported URI: {'/'.join(words)}")

    def _members(self, config: Configuration, method: str, pool: str, rest: list[str], body: Json) -> Json:
        members = config.pools.get(pool)
        if members is None:
            raise Refusal(404, f"01020036:3: The requested Pool ({pool}) was not found.")
        if method == "GET" and not rest:
            items = [self._as_json(pool, member) for member in members.values()]
            return {"kind": "tm:ltm:pool:members:memberscollectionstate", "items": items} if items else {
                "kind": "tm:ltm:pool:members:memberscollectionstate"}  # fmt: skip
        if method == "GET" and rest == ["stats"]:
            return self._statistics(pool, members)
        if method == "POST" and not rest:
            return self._create(config, pool, body)
        full = rest[0].replace("~", "/")
        if full not in members:
            node, _, port = full.rpartition(":")
            raise Refusal(404, f"01020036:3: The requested Pool Member ({pool} {node} {port}) was not found.")
        if method == "DELETE":
            del members[full]
            return {}
        if method == "PATCH":
            _patch(members[full], body)
        return self._as_json(pool, members[full])

    def _create(self, config: Configuration, pool: str, body: Json) -> Json:
        partition = body.get("partition", "Common")
        full = f"/{partition}/{body['name']}"
        node, _, port = full.rpartition(":")
        if full in config.pools[pool]:
            text = f"The requested Pool Member ({pool} {node} {port}) already exists in partition"
            raise Refusal(409, f"01020066:3: {text} {partition}.")
        if node not in config.nodes:
            address = body.get("address")
            if not address:
                raise Refusal(400, f"01070734:3: Configuration error: no address for node {node}")
            if any(other.address == address for other in config.nodes.values()):
                raise Refusal(400, f"0107176c:3: Invalid Node, the IP address {address} already exists.")
            config.nodes[node] = Node(node, address)
        config.pools[pool][full] = PoolMember(full, config.nodes[node].address)
        return self._as_json(pool, config.pools[pool][full])

    def _as_json(self, pool: str, member: PoolMember) -> Json:
        name = member.full.rpartition("/")[2]
        state = "user-down" if member.forced else "down" if member.full in self.down else "up"
        session = "monitor-enabled" if member.session == "user-enabled" else member.session
        return {"kind": "tm:ltm:pool:members:membersstate", "name": name, "fullPath": member.full,
                "partition": member.full.split("/")[1], "address": member.address, "session": session,
                "state": state, "monitor": "default", "priorityGroup": 0, "ratio": 1}  # fmt: skip

    def _statistics(self, pool: str, members: dict[str, PoolMember]) -> Json:
        base = f"https://localhost/mgmt/tm/ltm/pool/{pool.replace('/', '~')}/members"
        return {"kind": "tm:ltm:pool:members:memberscollectionstats", "selfLink": f"{base}/stats?ver=16.1.0",
                "entries": {f"{base}/{full.replace('/', '~')}/stats": {"nestedStats": {
                    "kind": "tm:ltm:pool:members:membersstats", "entries": self._figures(pool, member)}}
                    for full, member in members.items()}}  # fmt: skip

    def _figures(self, pool: str, member: PoolMember) -> Json:
        if self.finishing.get(member.full, float("inf")) <= time.monotonic():
            self.connections[member.full] = 0
        down = self.down.get(member.full)
        reason = "Pool member is available"
        if down:
            reason = f"Pool member has been marked down by a monitor: {down}"
        elif member.session == "user-disabled":
            reason = "Pool member is available, user disabled"
        node, _, port = member.full.rpartition(":")
        return {
            "addr": {"description": member.address},
            "nodeName": {"description": node},
            "poolName": {"description": pool},
            "port": {"value": int(port)},
            "serverside.curConns": {"value": self.connections.get(member.full, 0)},
            "serverside.totConns": {"value": 1000},
            "status.availabilityState": {"description": "offline" if down else "available"},
            "status.enabledState": {"description": member.session.removeprefix("user-")},
            "status.statusReason": {"description": reason},
        }


def _patch(member: PoolMember, body: Json) -> None:
    for key, allowed in (("session", SESSIONS), ("state", WRITABLE_STATES)):
        if key in body and body[key] not in allowed:
            raise Refusal(400, f'invalid property value "{key}":"{body[key]}"')
    member.session = body.get("session", member.session)
    member.forced = body.get("state", "user-down" if member.forced else "user-up") == "user-down"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    device: BigIPDevice

    def log_message(self, *_: Any) -> None:
        """Quiet."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        url = urlsplit(self.path)
        path = unquote(url.path)
        assert all(key == "$select" for key in parse_qs(url.query)), url.query
        device = self.device
        device.requests.append((self.command, path))
        time.sleep(device.slow(self.command, path))
        code = 200
        with device.lock:
            try:
                data = device.answer(self.command, path, self.headers, body)
            except Refusal as refusal:
                code = refusal.code
                data = {"code": code, "message": refusal.message, "errorStack": [], "apiError": 3}
        if device.lose(self.command, path):
            self.close_connection = True
            return
        text, kind = json.dumps(data).encode(), "application/json; charset=UTF-8"
        if device.gateway(self.command, path):
            code, text, kind = 502, b"<html><title>502 Proxy Error</title></html>", "text/html"
        device.codes.append(code)
        try:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            self.close_connection = True  # the client gave up: its deadline is the test

    do_GET = do_POST = do_PATCH = do_DELETE = _handle  # noqa: N815 - http.server's names


class _Server(ThreadingHTTPServer):
    def finish_request(self, request: Any, client_address: Any) -> None:
        """A client that does not trust the certificate goes away: that is its test."""
        with suppress(ssl.SSLError):
            super().finish_request(request, client_address)


@contextmanager
def serving(device: BigIPDevice, certificate: Path, key: Path, port: int = 0) -> Iterator[int]:
    """Serve `device` with TLS on a port of loopback; yields the port."""
    handler = type("Handler", (_Handler,), {"device": device})
    server = _Server(("127.0.0.1", port), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    # the handshake in the connection's own thread: a client that says nothing must not stop the others
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
