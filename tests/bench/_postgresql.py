"""A PostgreSQL server of one's own: made in a temporary folder, reached by a UNIX socket, gone afterwards.

Never the machine's own cluster. PostgreSQL refuses to run as root, so as root it runs as the account that
Debian's package made (`postgres`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
_ACCOUNT = "postgres"
_DEADLINE = 60


class NoPostgresqlError(RuntimeError):
    """PostgreSQL's server programs aren't installed."""


class Postgresql:
    """A running server; `url` is for REGISTRY_DATABASE_URL. Durable as a real one (fsync on)."""

    def __init__(self, **settings: str) -> None:
        if not _PROGRAMS:
            raise NoPostgresqlError("no PostgreSQL server programs → apt-get install postgresql")
        self._bin = _PROGRAMS[-1]
        self._folder = Path(tempfile.mkdtemp(prefix="xjops-postgresql-"))
        self._data = self._folder / "data"
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            **settings,
        }
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of the database."""
        return f"postgresql://{_ACCOUNT}@/registry?host={self._folder}"

    def __enter__(self) -> Postgresql:
        if os.geteuid() == 0:
            shutil.chown(self._folder, _ACCOUNT)
        self._folder.chmod(0o755)
        self._run(
            "initdb", "-D", str(self._data), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8"
        )
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        log = (self._folder / "log").open("wb")
        self._server = subprocess.Popen(
            [*self._as_account(), str(self._bin / "postgres"), "-D", str(self._data), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self._wait()
        self._run("createdb", "-h", str(self._folder), "-U", _ACCOUNT, "registry")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._run("pg_ctl", "-D", str(self._data), "-m", "immediate", "-w", "stop", check=False)
            self._server.wait(timeout=_DEADLINE)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _as_account(self) -> list[str]:
        return ["runuser", "-u", _ACCOUNT, "--"] if os.geteuid() == 0 else []

    def _run(self, program: str, *arguments: str, check: bool = True) -> None:
        subprocess.run(
            [*self._as_account(), str(self._bin / program), *arguments],
            check=check,
            capture_output=True,
            timeout=_DEADLINE,
            cwd="/",
        )

    def _wait(self) -> None:
        end = time.monotonic() + _DEADLINE
        ready = [str(self._bin / "pg_isready"), "-q", "-h", str(self._folder), "-U", _ACCOUNT]
        while subprocess.run(ready, check=False).returncode:
            if time.monotonic() > end or self._server is None or self._server.poll() is not None:
                raise RuntimeError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.1)
