"""SSH look-ups by fabric: many hosts at once, host keys checked, everything bounded in time.

Host keys come from `<state>/<site>/ssh/known_hosts` (the lab's builder, VMware Tools); an unknown or
changed key is refused, because fabric's default accepts any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import XjopsError
from xjops.site.model import Host, Site

CONNECT_SECONDS = 5
UNTRUSTED = (CHANGED, UNKNOWN) = ("its host key has changed", "its host key is not known")


class UnreachableError(XjopsError):
    """A host gave no SSH session."""


@dataclass(frozen=True)
class Output:
    """What a command gave on one host, or why the host could not be asked (`error`)."""

    host: str
    stdout: str = ""
    stderr: str = ""
    exit_code: int = 0
    error: UnreachableError | None = None


def known_hosts(site: Site) -> Path:
    """The file of the site's host keys."""
    return paths.state(site.name) / "ssh" / "known_hosts"


def private_key(site: Site) -> Path:
    """The control node's key for this site."""
    return paths.state(site.name) / "ssh" / "id_ed25519"


class Fleet:
    """Connections to a site's hosts, opened at first use, kept open until the end of the `with` block."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> Fleet:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections.clear()

    def run(
        self,
        hosts: Iterable[Host],
        command: str | Callable[[Host], str],
        *,
        seconds: float = 30,
    ) -> dict[str, Output]:
        """Run `command` on all `hosts` in parallel; every host has an entry in the result, by name.

        `command` may be a function of the host. A host that can't be asked has `error` set;
        a command that ends with another code than 0 has its `exit_code`.
        """
        chosen = list(hosts)
        if not chosen:
            return {}

        def one(host: Host) -> Output:
            return self._one(host, command(host) if callable(command) else command, seconds)

        with ThreadPoolExecutor(min(32, len(chosen))) as pool:
            return {output.host: output for output in pool.map(one, chosen)}

    def follow(self, host: Host, command: str, line: Callable[[str], None], *, seconds: float) -> Output:
        """Run `command` on one host and hand every line of its output to `line` as it comes."""
        return self._one(host, command, seconds, out_stream=_Lines(line), hide="stderr")

    def _one(self, host: Host, command: str, seconds: float, **options: Any) -> Output:
        from invoke.exceptions import CommandTimedOut

        try:
            result = self._connection(host).run(
                command,
                **{
                    "hide": True,
                    "warn": True,
                    "pty": False,
                    "timeout": seconds,
                    "in_stream": False,
                    **options,
                },
            )
        except CommandTimedOut:
            return Output(host.name, error=self._unreachable(host, f"no answer within {seconds:g} s"))
        except Exception as problem:  # paramiko, socket and invoke raise unrelated types
            return Output(host.name, error=self._unreachable(host, _reason(problem)))
        return Output(host.name, result.stdout, result.stderr, result.exited)

    def _connection(self, host: Host) -> Any:
        from fabric import Config, Connection
        from paramiko import RejectPolicy

        if host.name not in self._connections:
            connection = Connection(
                str(host.address),
                user=host.user,
                port=host.port,
                config=Config(overrides={"load_ssh_configs": False}, lazy=True),
                connect_timeout=CONNECT_SECONDS,
                connect_kwargs={
                    "key_filename": str(private_key(self.site)),
                    "look_for_keys": False,
                    "allow_agent": False,
                    "banner_timeout": CONNECT_SECONDS,
                    "auth_timeout": CONNECT_SECONDS,
                },
            )
            connection.client.set_missing_host_key_policy(RejectPolicy())
            if known_hosts(self.site).exists():
                connection.client.load_host_keys(str(known_hosts(self.site)))
            self._connections[host.name] = connection
        return self._connections[host.name]

    def _unreachable(self, host: Host, why: str) -> UnreachableError:
        if why in UNTRUSTED and host in self.site.virtual_machines:
            mend = "xjops vm host-keys learns it from vCenter"
        elif self.site.site.kind == "lab":
            mend = "xjops lab status"
        else:
            mend = f"look at {host.name}'s console on vCenter"
        return UnreachableError(f"{host.name} ({host.address}) is not reachable by SSH: {why}", mend=mend)


class _Lines:
    """A stream that hands on whole lines."""

    encoding = "utf-8"

    def __init__(self, line: Callable[[str], None]) -> None:
        self.line, self.rest = line, ""

    def write(self, text: str) -> None:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            self.line(line.rstrip("\r"))

    def flush(self) -> None:
        """Nothing is held back but an unfinished line."""


def _reason(problem: Exception) -> str:
    from paramiko import BadHostKeyException, SSHException

    if isinstance(problem, BadHostKeyException):
        return CHANGED
    if isinstance(problem, SSHException) and "not found in known_hosts" in str(problem):
        return UNKNOWN
    errors = getattr(problem, "errors", None)  # paramiko's NoValidConnectionsError: one cause an address
    if errors:
        problem = next(iter(errors.values()))
    return f"{problem}".strip() or type(problem).__name__
