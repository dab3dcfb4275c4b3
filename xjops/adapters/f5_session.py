"""A session with a BIG-IP by iControl REST: certificate checked, every call bounded, errors in one line.

Written from F5's public "iControl REST API User Guide" (tokens, transactions, error answers).
Only requests that may be sent twice are repeated: reads, and changes that the BIG-IP refused unread.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NoReturn

from xjops.adapters.balancing import BalancerError, UnreachableBalancerError
from xjops.core.errors import ConfigurationError, NotRunError
from xjops.site.model import Site

if TYPE_CHECKING:
    import httpx

PASSWORD = "vault_balancer_password"  # noqa: S105 - its name in the vault
REQUEST_SECONDS = 20.0  # one answer
CALL_SECONDS = 60.0  # one call with its repetitions: a BIG-IP that restarts its REST server takes that long
PAUSE_SECONDS = 1.0  # between repetitions
TOKEN_SECONDS = 1200.0  # a token's life unless the BIG-IP says another
TOKEN_MARGIN = 0.15  # renewed when less than this part of it is left
UNAVAILABLE = 503  # refused unread: "There is an active asynchronous task executing.", or it starts
GATEWAY = {502, 504}  # of the web server before the REST server: the call may have arrived
NOT_REGISTERED = "public uri path not registered"  # a 404 while the REST server starts


class F5Error(BalancerError):
    """The BIG-IP refused a call; `code` is its HTTP status."""

    def __init__(self, what: str, *, code: int = 0, mend: str = "") -> None:
        super().__init__(what, mend=mend)
        self.code = code


class LostAnswerError(UnreachableBalancerError):
    """A change was sent, and its answer never came."""


class BusyError(F5Error):
    """The BIG-IP said that it can't now, until the deadline."""


class WrongBalancerPasswordError(ConfigurationError):
    """The BIG-IP doesn't accept the user name and password."""


class UntrustedBalancerError(ConfigurationError):
    """The BIG-IP's certificate is not the one that the site vouches for."""


@dataclass(frozen=True)
class Request:
    """One request; `again` says that it may be sent twice without harm."""

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    again: bool = False


class Session:
    """Logged in at the first call; use it in a `with` block, which gives the token back at its end.

    Raises `NotRunError` when the site has no settings for a driver.
    """

    def __init__(self, site: Site) -> None:
        import httpx

        balancer = site.balancer
        if not (balancer.management_address and balancer.username and balancer.pool):
            raise NotRunError(
                f"{site.name} has no settings for its F5's driver",
                mend="add username and pool to balancer in group_vars/all/site.yml",
            )
        self.site = site
        self.endpoint = f"BIG-IP {balancer.management_address}:{balancer.management_port}"
        self._token, self._renew_at = "", 0.0
        self._client = httpx.Client(
            base_url=f"https://{balancer.management_address}:{balancer.management_port}/mgmt",
            verify=self._tls(),
            timeout=REQUEST_SECONDS,
            trust_env=False,  # no proxy between us and the management network
        )

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the token back (a BIG-IP holds a limited number of them) and close the connections."""
        import httpx

        if self._token:
            with suppress(httpx.HTTPError):
                self._client.delete(
                    f"/shared/authz/tokens/{self._token}", headers={"X-F5-Auth-Token": self._token}, timeout=5
                )
        self._token = ""
        self._client.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Read; repeated until it is answered, `CALL_SECONDS` at most."""
        return self.call(Request("GET", path, query=query, again=True))

    def call(self, request: Request, *, seconds: float = CALL_SECONDS) -> dict[str, Any]:
        """One call and its JSON.

        Raises `F5Error` for what it refuses, `BusyError` and `UnreachableBalancerError` at the deadline,
        `WrongBalancerPasswordError` and `UntrustedBalancerError`. A change whose answer was lost may or may
        not have been made: unless it may be made `again`, it is not sent twice, and the error says so.
        """
        end = time.monotonic() + seconds
        renewed = False
        while True:
            self._ensure_token(end)
            headers = {**request.headers, "X-F5-Auth-Token": self._token}
            answer = self._send(replace(request, headers=headers), end)
            if answer.status_code != 401:
                return self._read(answer, request)
            message = _message(answer)
            if "authorization failed" in message.lower() or renewed:
                self._refused(message, 401, request)
            self._token, renewed = "", True  # expired before its time, or the BIG-IP was restarted

    def _ensure_token(self, end: float) -> None:
        if self._token and time.monotonic() < self._renew_at:
            return
        balancer = self.site.balancer
        password = self.site.secret(PASSWORD)
        body = {"username": balancer.username, "password": password, "loginProviderName": "tmos"}
        login = Request("POST", "/shared/authn/login", body, again=True)
        answer = self._send(login, end)
        if answer.status_code == 401:
            raise WrongBalancerPasswordError(
                f"{self.endpoint} refuses the password of {balancer.username} ({PASSWORD})",
                mend=f"ansible-vault edit inventories/{self.site.name}/group_vars/all/vault.yml",
            )
        if answer.status_code == 400 and "maximum active login tokens" in _message(answer).lower():
            raise F5Error(
                f"{self.endpoint}: {balancer.username} has too many tokens open",
                code=400,
                mend="wait 20 minutes, or delete them: DELETE /mgmt/shared/authz/tokens as this user",
            )
        token = self._read(answer, login).get("token", {})
        if not token.get("token"):
            raise F5Error(f"{self.endpoint} gave no token", mend=f"ask {self.endpoint} with curl")
        life = float(token.get("timeout") or TOKEN_SECONDS)
        self._token, self._renew_at = token["token"], time.monotonic() + life * (1 - TOKEN_MARGIN)

    def _send(self, request: Request, end: float) -> httpx.Response:
        """Send until there is an answer that is no "not now". Never a change that may have arrived."""
        import httpx

        while True:
            try:
                answer = self._client.request(
                    request.method,
                    request.path,
                    json=request.body,
                    params=request.query or None,
                    headers=dict(request.headers),
                    timeout=max(0.1, min(REQUEST_SECONDS, end - time.monotonic())),
                )
            except httpx.TransportError as error:
                self._check_certificate(error)
                arrived = not isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout))
                if arrived and not request.again:
                    raise self._lost(request, str(error) or type(error).__name__) from None
                if time.monotonic() + PAUSE_SECONDS >= end:
                    raise self._unreachable(error) from None
            else:
                if not _not_now(answer):
                    return answer
                if answer.status_code in GATEWAY and not request.again:
                    raise self._lost(request, f"{answer.status_code} of its web server")
                if time.monotonic() + PAUSE_SECONDS >= end:
                    raise BusyError(
                        f"{self.endpoint} can't answer now ({answer.status_code}): {_message(answer)}",
                        code=answer.status_code,
                        mend="run it again in a minute; on the BIG-IP: tmsh show sys mcp-state",
                    )
            time.sleep(PAUSE_SECONDS)

    def _read(self, answer: httpx.Response, request: Request) -> dict[str, Any]:
        if not answer.is_success:
            self._refused(_message(answer), answer.status_code, request)
        try:
            data = answer.json() if answer.content else {}
        except ValueError:
            data = None
        if isinstance(data, dict):
            return data
        raise F5Error(
            f"{self.endpoint} answers {request.method} {request.path} with no JSON object: is it a BIG-IP?",
            mend="check balancer.management_address and management_port",
        )

    def _refused(self, message: str, code: int, request: Request) -> NoReturn:
        role = (
            f"give {self.site.balancer.username} the role Manager in its partition (Operator to drain only)"
        )
        mends = {
            401: role,
            403: role,
            404: "check partition, pool and virtual_server of balancer in site.yml",
            409: "xjops lb plan, then again",
        }
        raise F5Error(
            f"{self.endpoint} refuses {request.method} {request.path} ({code}): {message}",
            code=code,
            mend=mends.get(code, "xjops lb plan"),
        )

    def _lost(self, request: Request, reason: str) -> BalancerError:
        return LostAnswerError(
            f"{self.endpoint}: no answer to {request.method} {request.path} ({reason}); "
            "it may have been done or not",
            mend="xjops lb status, then again",
        )

    def _unreachable(self, error: Exception) -> BalancerError:
        import httpx

        slow = isinstance(error, httpx.TimeoutException)
        reason = f"no answer within {REQUEST_SECONDS:g} s" if slow else str(error) or type(error).__name__
        return UnreachableBalancerError(
            f"{self.endpoint} is not reachable: {reason}",
            mend="check balancer.management_address and management_port, and the way to them",
        )

    def _check_certificate(self, error: Exception) -> None:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, ssl.SSLCertVerificationError):
            cause = cause.__cause__ or cause.__context__
        if cause is None:
            return
        balancer = self.site.balancer
        source = (
            balancer.management_certificate_file or balancer.management_ca_file or "the system's authorities"
        )
        raise UntrustedBalancerError(
            f"{self.endpoint}: its certificate is not vouched for by {source} ({cause.verify_message})",
            mend="put its authority's certificate into balancer.management_ca_file, "
            "or its own into balancer.management_certificate_file",
        ) from None

    def _tls(self) -> ssl.SSLContext:
        """Verification: by authority and name; or, for a self-signed one, by that very certificate."""
        balancer = self.site.balancer
        pinned = balancer.management_certificate_file
        file = pinned or balancer.management_ca_file
        if file is None:
            return ssl.create_default_context()
        path = self.site.file(file)
        try:
            context = ssl.create_default_context(cafile=str(path))
        except (OSError, ssl.SSLError) as error:
            key = "management_certificate_file" if pinned else "management_ca_file"
            raise UntrustedBalancerError(
                f"At 'balancer.{key}' (group_vars/all/site.yml): {path} gives no certificate "
                f"({getattr(error, 'strerror', None) or error})",
                mend="put the BIG-IP's certificate there, PEM (openssl s_client -showcerts)",
            ) from None
        if pinned:
            # Its name proves nothing more than the certificate itself: a BIG-IP's own says localhost.
            context.check_hostname = False
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        return context


def _not_now(answer: httpx.Response) -> bool:
    if answer.status_code == UNAVAILABLE or answer.status_code in GATEWAY:
        return True
    return answer.status_code == 404 and NOT_REGISTERED in _message(answer).lower()


def _message(answer: httpx.Response) -> str:
    """What the BIG-IP says is wrong: its JSON's message, or the first words of another answer."""
    try:
        data = answer.json()
        text = str(data.get("message") or data) if isinstance(data, dict) else str(data)
    except ValueError:
        text = answer.text
    return " ".join(text.split())[:300]
