"""A session with vCenter: every way it can fail is named, and none takes longer than its deadline."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from pyVmomi import vim

from xjops.adapters import vcenter
from xjops.adapters.vcenter import (
    FaultError,
    UnreachableError,
    UntrustedError,
)
from xjops.lab import certificates
from xjops.site import Site

pytestmark = pytest.mark.vcsim


def altered(site: Site, **settings: object) -> Site:
    """The site with other `vcenter` settings."""
    return site.model_copy(update={"vcenter": site.vcenter.model_copy(update=settings)})


def test_it_tells_what_it_is(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        assert "vCenter" in session.product
        assert session.machines() == ()


def test_a_name_that_no_dns_knows(vcenter_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(UnreachableError, match="Name or service not known"):
        vcenter.VCenter(altered(vcenter_site, host="vcenter.example"))


@contextmanager
def server(answer: bytes | None, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Something that listens, and answers each request with `answer` or with silence; gives its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        stop = threading.Event()

        def serve() -> None:
            listener.settimeout(0.1)
            kept = []
            while not stop.is_set():
                try:
                    raw, _ = listener.accept()
                    raw.settimeout(2)
                    peer = context.wrap_socket(raw, server_side=True) if context else raw
                    kept.append(peer)
                    if answer is not None:
                        # the whole request (it comes in parts), or the close would reset the connection
                        peer.settimeout(0.5)
                        with contextlib.suppress(TimeoutError):
                            while peer.recv(65536):
                                pass
                        peer.sendall(answer)
                        peer.close()
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield int(listener.getsockname()[1])
        finally:
            stop.set()
            thread.join()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second for a request."""
    monkeypatch.setattr(vcenter, "REQUEST_SECONDS", 1.0)


@pytest.fixture
def tls(vcenter_site: Site) -> ssl.SSLContext:
    """What a server needs to be trusted by the site."""
    folder = vcenter_site.folder.parents[1] / "state" / "labtest" / "lab"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "vcenter.pem", folder / "vcenter.key")
    return context


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (None, "no answer within 1 s"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404 Not Found"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not reachable"),
        (b"", "not reachable"),
    ],
)
def test_a_trusted_server_that_is_no_vcenter(
    vcenter_site: Site, tls: ssl.SSLContext, answer: bytes | None, text: str
) -> None:
    with server(answer, tls) as port, pytest.raises(UnreachableError, match=text):
        vcenter.VCenter(altered(vcenter_site, port=port))


@pytest.mark.usefixtures("hurried")
def test_a_server_without_tls(vcenter_site: Site) -> None:
    with server(b"HTTP/1.1 200 OK\r\n\r\n") as port, pytest.raises(UnreachableError):
        vcenter.VCenter(altered(vcenter_site, port=port))


def test_loopback_is_verified_against_the_systems_authorities_too(vcenter_site: Site) -> None:
    """pyvmomi's own connect would skip this for localhost."""
    with pytest.raises(UntrustedError, match="the system's CAs"):
        vcenter.VCenter(altered(vcenter_site, ca_file=None, host="localhost"))


def test_a_certificate_for_another_name(
    vcenter_site: Site, simulated: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert simulated.vcenter.ca_file
    folder = vcenter_site.folder.parents[1] / "state" / "labtest" / "lab"
    authority, new = certificates.ensure_authority(
        vcenter_site.folder / "files" / "lab-ca.pem", folder / "ca.key", "test"
    )
    assert not new
    pem, key = tmp_path / "a.pem", tmp_path / "a.key"
    certificates.ensure_certificate(authority, pem, key, [IPv4Address("192.0.2.7")])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    with (
        server(b"", context) as port,
        pytest.raises(UntrustedError, match=r"IP address mismatch|127\.0\.0\.1"),
    ):
        vcenter.VCenter(altered(vcenter_site, port=port))


def end_session(site: Site, victim: vcenter.VCenter) -> None:
    """End the session of `victim`, as an administrator or a time-out would."""
    key = victim.content.sessionManager.currentSession.key
    with vcenter.connect(site) as other:
        other.content.sessionManager.TerminateSession([key])


def test_an_expired_session_logs_in_again(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        end_session(vcenter_site, session)
        assert session.machines() == ()
        assert session.logins == 2


def test_a_refused_call_names_its_fault(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        with pytest.raises(FaultError, match="ManagedObjectNotFound") as caught:
            vim.VirtualMachine("vm-99999", session.stub).PowerOnVM_Task()
        assert caught.value.exit_code == 1


def test_explain_names_kind_message_and_subject() -> None:
    assert vcenter.explain(vim.fault.DuplicateName(name="web1")) == "DuplicateName: the name 'web1' is taken"
    assert vcenter.explain(vim.fault.NoPermission(privilegeId="VirtualMachine.Inventory.Create")).endswith(
        "lacks the privilege VirtualMachine.Inventory.Create"
    )
    assert vcenter.explain(vim.fault.NoDiskSpace(msg="full")) == "NoDiskSpace: full"
    assert vcenter.explain(vim.fault.InvalidVmConfig(property="configSpec.name")).endswith("configSpec.name")
    assert vcenter.explain(vim.fault.Timedout()) == "Timedout"


def test_properties_come_in_pages(vcenter_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyVmomi import vmodl

    small = vmodl.query.PropertyCollector.RetrieveOptions
    monkeypatch.setattr(vmodl.query.PropertyCollector, "RetrieveOptions", lambda: small(maxObjects=2))
    with vcenter.connect(vcenter_site) as session:
        found = session.below([(vim.Datastore, ("name",))], session.content.rootFolder)
        assert sorted(values["name"] for values in found.values()) == ["LocalDS_0", "LocalDS_1", "LocalDS_2"]
