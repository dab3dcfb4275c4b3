"""Stands between xjops and the simulator and does harm: drops, delays and rewrites what vCenter says.

The simulator itself refuses little and never hangs. Here a request can be kept unanswered, a connection cut,
a call refused with a fault of vCenter's, a task's end hidden (it hangs) or turned into an error.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

CALL = re.compile(rb'Body>\s*<(\w+) xmlns="urn:vim25"')
TASK = re.compile(rb'<returnval type="Task">([\w-]+)</returnval>')
NEWS = re.compile(rb"<objectSet>.*?</objectSet>|<objects>.*?</objects>", re.DOTALL)
ENDED = b'type="TaskInfoState">success<'
NO_ERROR = re.compile(rb"<name>info\.error</name><op>assign</op>(?=</changeSet>)")
FREE = re.compile(rb"<freeSpace>\d+")
NOTHING = b'<ReconfigVM_Task xmlns="urn:vim25">%s<spec></spec></ReconfigVM_Task>'
SELF = re.compile(rb"<_this.*?</_this>")
PASSED_ON = ("content-type", "cookie", "soapaction")


class CutError(Exception):
    """Close this connection without a word."""


@dataclass
class Request:
    """One call: its method, its SOAP text, and how to pass it on."""

    method: str
    body: bytes
    _send: Callable[[bytes], Answer]

    def forward(self, body: bytes | None = None) -> Answer:
        """vCenter's own answer, to this call or to another `body`."""
        return self._send(self.body if body is None else body)


@dataclass
class Answer:
    """HTTP status, headers worth keeping, SOAP text."""

    status: int
    headers: dict[str, str]
    body: bytes


Rule = Callable[[Request], Answer]


@dataclass
class Proxy:
    """The port that the site calls its vCenter's, and what is done to what passes through it."""

    upstream: int
    certificate: Path
    key: Path
    port: int = 0
    calls: list[str] = field(default_factory=list)  # since the last `forget`
    cut: bool = False  # close every connection
    full: bool = False  # say that no datastore has more than 1 GB left
    _rules: dict[str, Rule] = field(default_factory=dict)
    _held: set[bytes] = field(default_factory=set)
    _failed: dict[bytes, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def serve(self) -> Iterator[Proxy]:
        """Listen on a free port of loopback until the end of the block."""
        with _Server(("127.0.0.1", 0), _Handler) as server:
            server.proxy = self
            server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.tls.load_cert_chain(self.certificate, self.key)
            self.port = int(server.server_address[1])
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
            thread.start()
            try:
                yield self
            finally:
                self._stopping.set()
                server.shutdown()
                thread.join()

    # What can be done. Each lasts until `mend`.

    def mend(self) -> None:
        """Pass everything through again, and count calls from zero."""
        with self._lock:
            self.cut = self.full = False
            self._rules.clear()
            self._held.clear()
            self._failed.clear()
            self.calls.clear()
        self._stopping.set()
        self._stopping = threading.Event()

    def on(self, method: str, rule: Rule, nth: int | None = None) -> None:
        """Have `rule` answer calls of `method` (the `nth` only; without it, all)."""

        def counted(request: Request) -> Answer:
            mine = nth is None or self.calls.count(method) == nth
            return rule(request) if mine else request.forward()

        self._rules[method] = counted

    def before(self, method: str, harm: Callable[[], object], nth: int = 1) -> None:
        """Do `harm` when the `nth` call of `method` comes, then pass it on."""

        def rule(request: Request) -> Answer:
            harm()
            return request.forward()

        self.on(method, rule, nth)

    def after(self, method: str, harm: Callable[[], object], nth: int = 1) -> None:
        """Do `harm` when vCenter has taken the `nth` call of `method`, before its answer is heard."""

        def rule(request: Request) -> Answer:
            answer = request.forward()
            harm()
            return answer

        self.on(method, rule, nth)

    def silence(self, method: str) -> None:
        """Never answer a call of `method`."""

        def rule(_request: Request) -> Answer:
            self._stopping.wait(60)
            raise CutError

        self.on(method, rule)

    def lose(self, method: str) -> None:
        """Cut every connection at the first call of `method`, and every later one."""

        def rule(_request: Request) -> Answer:
            self.cut = True
            raise CutError

        self.on(method, rule)

    def refuse(self, method: str, fault: str, nth: int | None = None) -> None:
        """Answer calls of `method` with a fault of vCenter's (its XML, such as `<NoPermissionFault>…`)."""
        self.on(method, lambda _request: Answer(500, {}, _soap_fault(fault)), nth)

    def hang(self, method: str) -> None:
        """Never show the end of the tasks that calls of `method` start."""

        def rule(request: Request) -> Answer:
            answer = request.forward()
            self._held.update(TASK.findall(answer.body))
            return answer

        self.on(method, rule)

    def fail(self, method: str, kind: str, message: str, nth: int | None = None, inside: str = "") -> None:
        """Have the tasks of calls of `method` end in the fault `kind`; vCenter does nothing for them."""

        def rule(request: Request) -> Answer:
            me = SELF.search(request.body)
            assert me
            whole = re.compile(rb"<%s .*</%s>" % (method.encode(), method.encode()), re.DOTALL)
            nothing = NOTHING % me[0]
            answer = request.forward(whole.sub(lambda _: nothing, request.body))
            answer.body = answer.body.replace(b"ReconfigVM_TaskResponse", f"{method}Response".encode())
            fault = f'<fault xsi:type="{kind}">{inside}</fault>'
            said = f"<localizedMessage>{message}</localizedMessage>"
            error = f'<val xsi:type="LocalizedMethodFault">{fault}{said}</val>'
            self._failed.update({task: error.encode() for task in TASK.findall(answer.body)})
            return answer

        self.on(method, rule, nth)

    def rewrite(self, method: str, before: bytes, after: bytes) -> None:
        """Change a text in the answers to `method`."""

        def rule(request: Request) -> Answer:
            answer = request.forward()
            assert before in answer.body, f"{method} no longer says {before!r}"
            answer.body = answer.body.replace(before, after)
            return answer

        self.on(method, rule)

    # What the handlers ask.

    def answer(self, request: Request) -> Answer:
        """The answer to a call, harm done."""
        with self._lock:
            self.calls.append(request.method)
        if self.cut:
            raise CutError
        rule = self._rules.get(request.method)
        answer = rule(request) if rule else request.forward()
        if self.full:
            answer.body = FREE.sub(b"<freeSpace>1073741824", answer.body)
        if self._held or self._failed:
            answer.body = NEWS.sub(lambda match: self._told(match[0]), answer.body)
        return answer

    def _told(self, news: bytes) -> bytes:
        task = re.search(rb'<obj type="Task">([\w-]+)</obj>', news)
        if task and task[1] in self._held:
            return news.replace(ENDED, ENDED.replace(b"success", b"running"))
        if task and task[1] in self._failed:
            told = news.replace(ENDED, ENDED.replace(b"success", b"error"))
            return NO_ERROR.sub(lambda match: match[0] + self._failed[task[1]], told)
        return news


def _soap_fault(fault: str) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope '
        'xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>'
        f"<faultcode>ServerFaultCode</faultcode><faultstring>refused</faultstring><detail>{fault}</detail>"
        "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    ).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    proxy: Proxy
    tls: ssl.SSLContext

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread: a client that never shakes hands holds up nobody."""
        request.settimeout(60)
        with suppress(OSError, CutError, HTTPException):
            super().finish_request(self.tls.wrap_socket(request, server_side=True), client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one write: two would wait for each other's acknowledgement
    server: _Server

    def setup(self) -> None:
        super().setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.upstream: HTTPConnection = HTTPSConnection(
            "127.0.0.1", self.server.proxy.upstream, context=context, timeout=60
        )

    def finish(self) -> None:
        self.upstream.close()
        with suppress(OSError):
            super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        call = CALL.search(body)
        request = Request(call[1].decode() if call else "", body, self._forward)
        try:
            answer = self.server.proxy.answer(request)
        except CutError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)
        self.wfile.flush()

    def _forward(self, body: bytes) -> Answer:
        headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
        self.upstream.request("POST", self.path, body, headers)
        heard = self.upstream.getresponse()
        kept = {
            name: value
            for name, value in heard.getheaders()
            if name.lower() in ("content-type", "set-cookie")
        }
        return Answer(heard.status, kept, heard.read())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Nothing: the tests' output is no place for it."""
