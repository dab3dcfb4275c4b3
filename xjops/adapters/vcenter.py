"""A session with vCenter by pyvmomi: certificate checked, every call bounded, errors in one line.

pyvmomi's own `SmartConnect` is not used: it skips verification for localhost, and its first request has
no timeout. Here every request goes through one stub that logs in again when the session has expired and
turns what went wrong into a named error.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from typing import Any
from xml.parsers.expat import ExpatError

from pyVmomi import SoapStubAdapter, StubAdapterBase, vim, vmodl

from xjops.adapters.vcenter_model import Machine
from xjops.core.errors import ConfigurationError, XjopsError
from xjops.site.model import Site

# The oldest API spoken here: vSphere 7.0. Newer vCenters answer it as well.
API_VERSION = "vim.version.v7_0"
OLDEST_VCENTER = 7
# One request; a wait for changes asks the server to answer well before that.
REQUEST_SECONDS = 20.0
IDLE_SECONDS = 30  # an older kept-alive connection may be half dead: open a new one

PASSWORD = "vault_vcenter_password"  # noqa: S105 - its name in the vault


class VCenterError(XjopsError):
    """vCenter could not do what it was asked."""


class UnreachableError(VCenterError):
    """No answer, or none that is vCenter's, within the deadline."""


class FaultError(VCenterError):
    """vCenter refused a call; `fault` is its own reason."""

    def __init__(self, what: str, fault: Exception, *, mend: str = "") -> None:
        super().__init__(what, mend=mend)
        self.fault = fault


class WrongPasswordError(ConfigurationError):
    """vCenter doesn't accept the user name and password."""


class UntrustedError(ConfigurationError):
    """vCenter's certificate is not the one that the site's `vcenter.ca_file` vouches for."""


def explain(fault: Any) -> str:
    """A fault in a few words: its kind, the message vCenter gives, what it names."""
    kind = type(fault).__name__.rpartition(".")[2]
    message = str(getattr(fault, "msg", "") or "").strip()
    if isinstance(fault, vim.fault.DuplicateName):
        message = f"the name {fault.name!r} is taken"
    elif isinstance(fault, vim.fault.NoPermission):
        message = f"the account lacks the privilege {fault.privilegeId}"
    elif not message and getattr(fault, "property", None):
        message = str(fault.property)
    return f"{kind}: {message}" if message else kind


class _Stub(StubAdapterBase):  # type: ignore[misc]
    """Sends every call over `soap`; logs in again when the session has expired."""

    def __init__(self, soap: SoapStubAdapter, session: VCenter) -> None:
        super().__init__(version=soap.version)
        self._soap = soap
        self._session = session

    def InvokeMethod(self, mo: Any, info: Any, args: Any) -> Any:  # noqa: N802 - pyvmomi's name
        status, answer = self._send(mo, info, args)
        if isinstance(answer, vim.fault.NotAuthenticated) and self._session.relogin():
            status, answer = self._send(mo, info, args)
        if status == 200:
            return answer
        if isinstance(answer, vim.fault.InvalidLogin):
            raise self._session.wrong_password()
        raise FaultError(f"{self._session.endpoint}: {explain(answer)}", answer)

    def drop(self) -> None:
        """Close the connections."""
        self._soap.DropConnections()

    def _send(self, mo: Any, info: Any, args: Any) -> tuple[int, Any]:
        try:
            status, answer = self._soap.InvokeMethod(mo, info, args, self)
        except ssl.SSLCertVerificationError as error:
            raise self._session.untrusted(error) from None
        except (OSError, HTTPException, ExpatError) as error:
            raise self._session.unreachable(error) from None
        return status, answer


class VCenter:
    """A logged-in session; use it through `connect`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.endpoint = f"vCenter {site.vcenter.host}:{site.vcenter.port}"
        # Grows with each log-in: what lived in the old session (filters, views) is gone then.
        self.logins = 0
        soap = SoapStubAdapter(
            host=site.vcenter.host,
            port=site.vcenter.port,
            version=API_VERSION,
            sslContext=self._tls(),
            httpConnectionTimeout=REQUEST_SECONDS,
            connectionPoolTimeout=IDLE_SECONDS,
        )
        self.stub = _Stub(soap, self)
        self.content = vim.ServiceInstance("ServiceInstance", self.stub).RetrieveContent()
        self._check_version()
        self._login()

    @property
    def product(self) -> str:
        """What this vCenter calls itself, with version and build."""
        return str(self.content.about.fullName)

    def _tls(self) -> ssl.SSLContext:
        """Verification against the site's CA file, or the system's CAs when the site names none."""
        file = self.site.vcenter.ca_file
        if file is None:
            return ssl.create_default_context()
        path = self.site.file(file)
        try:
            return ssl.create_default_context(cafile=str(path))
        except OSError as error:  # OpenSSL's as well
            why = "no PEM certificate in it" if isinstance(error, ssl.SSLError) else error.strerror
            raise UntrustedError(
                f"At 'vcenter.ca_file' (inventories/{self.site.name}/group_vars/all/site.yml): "
                f"{path} gives no certificate ({why})",
                mend=self._ca_mend(),
            ) from None

    def _ca_mend(self) -> str:
        if self.site.site.kind == "lab":
            return "xjops lab up"
        return f"put the PEM certificate of vCenter's CA there (https://{self.site.vcenter.host}/certs/download.zip)"

    def _check_version(self) -> None:
        about = self.content.about
        if int(str(about.apiVersion).partition(".")[0]) < OLDEST_VCENTER:
            raise VCenterError(
                f"{self.endpoint} speaks API {about.apiVersion}; {OLDEST_VCENTER}.0 or later is needed",
                mend="upgrade vCenter",
            )

    def _login(self) -> None:
        password = self.site.secret(PASSWORD)
        self.content.sessionManager.Login(self.site.vcenter.username, password, None)
        self.logins += 1

    def relogin(self) -> bool:
        """Log in once more after the session expired; False when there was no session yet."""
        if not self.logins:
            return False
        before, self.logins = self.logins, 0  # an expired answer to this very log-in must not recurse
        self._login()
        self.logins = before + 1
        return True

    def wrong_password(self) -> WrongPasswordError:
        """The error of a refused log-in."""
        vault = f"inventories/{self.site.name}/group_vars/all/vault.yml"
        return WrongPasswordError(
            f"{self.endpoint} refuses the password of {self.site.vcenter.username} ({PASSWORD})",
            mend=f"ansible-vault edit {vault}",
        )

    def untrusted(self, error: ssl.SSLCertVerificationError) -> UntrustedError:
        """The error of a certificate that doesn't verify."""
        source = self.site.vcenter.ca_file or "the system's CAs"
        return UntrustedError(
            f"{self.endpoint}: its certificate is not vouched for by {source} ({error.verify_message})",
            mend=self._ca_mend(),
        )

    def unreachable(self, error: Exception) -> UnreachableError:
        """The error of a connection that failed or gave no sensible answer in time."""
        if isinstance(error, TimeoutError):
            reason = f"no answer within {REQUEST_SECONDS:g} s"
        else:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        mend = f"check vcenter.host and port of inventories/{self.site.name}"
        if self.logins:
            mend = "see whether vCenter still runs, then run this again: it goes on"
        if self.site.site.kind == "lab":
            mend = "xjops lab up"
        return UnreachableError(f"{self.endpoint} is not reachable: {reason}", mend=mend)

    def retrieve(self, specs: Sequence[tuple[type[Any], Sequence[str]]], objects: Iterable[Any]) -> Found:
        """Properties of managed objects in one call: ``{object: {path: value}}``; unset ones are left out.

        `specs` names the properties wanted of each type. Objects that vanished meanwhile are left out.
        """
        sets = [vmodl.query.PropertyCollector.ObjectSpec(obj=item, skip=False) for item in objects]
        return self._collect(specs, sets) if sets else {}

    def below(self, specs: Sequence[tuple[type[Any], Sequence[str]]], root: Any) -> Found:
        """Properties of every object of these types below `root`."""
        view = self.content.viewManager.CreateContainerView(root, [kind for kind, _ in specs], True)
        walk = vmodl.query.PropertyCollector.TraversalSpec(
            name="view", path="view", skip=False, type=vim.view.ContainerView
        )
        sets = [vmodl.query.PropertyCollector.ObjectSpec(obj=view, skip=True, selectSet=[walk])]
        try:
            return self._collect(specs, sets)
        finally:
            with suppress(VCenterError):
                view.DestroyView()

    def _collect(self, specs: Sequence[tuple[type[Any], Sequence[str]]], sets: list[Any]) -> Found:
        query = vmodl.query.PropertyCollector
        properties = [
            query.PropertySpec(type=kind, all=False, pathSet=list(wanted)) for kind, wanted in specs
        ]
        collector = self.content.propertyCollector
        page = collector.RetrievePropertiesEx(
            [query.FilterSpec(objectSet=sets, propSet=properties, reportMissingObjectsInResults=True)],
            query.RetrieveOptions(),
        )
        found: Found = {}
        while page is not None:
            for item in page.objects:
                found[item.obj] = {entry.name: entry.val for entry in item.propSet}
            page = collector.ContinueRetrievePropertiesEx(page.token) if page.token else None
        return found

    def machines(self) -> tuple[Machine, ...]:
        """The site's virtual machines as vCenter shows them now, and others that carry their names."""
        from xjops.adapters.vcenter_inventory import look

        return look(self)[1].machines

    def close(self) -> None:
        """Log out; a session that can't be reached any more ends by itself."""
        with suppress(XjopsError):
            self.content.sessionManager.Logout()
        self.stub.drop()


Found = dict[Any, dict[str, Any]]


@contextmanager
def connect(site: Site) -> Iterator[VCenter]:
    """A session with the site's vCenter, closed at the end of the block.

    Raises `WrongPasswordError`, `UntrustedError` (certificate), `UnreachableError` (within
    `REQUEST_SECONDS`), `VCenterError` (too old), `ConfigurationError` (no password in the vault).
    """
    session = VCenter(site)
    try:
        yield session
    finally:
        session.close()
