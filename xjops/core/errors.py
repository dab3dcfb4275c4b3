"""Errors and exit codes: one line that says what, where and how to mend it.

Every error that a user can meet is an `XjopsError`; `xjops.cli.main` prints it in one line
and exits with its code. Tracebacks appear only with ``--debug``.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The contract with pipelines (docs/reference/exit-codes.md)."""

    OK = 0
    FAIL = 1
    USAGE = 2
    WARN = 3
    NOT_RUN = 4
    CONFIGURATION = 78
    INTERRUPTED = 130


class XjopsError(Exception):
    """A failure the user can act on.

    `what` says what is wrong and where; `mend` is the command or the change that mends it.
    """

    exit_code: ExitCode = ExitCode.FAIL

    def __init__(self, what: str, *, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend

    def __str__(self) -> str:
        return f"{self.what} → {self.mend}" if self.mend else self.what


class ConfigurationError(XjopsError):
    """The site, its vault or the command's settings are wrong; may carry several problems, one a line."""

    exit_code = ExitCode.CONFIGURATION

    def __init__(self, what: str, *, mend: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(what, mend=mend)
        self.problems = problems


class UsageError(XjopsError):
    """The command line is wrong."""

    exit_code = ExitCode.USAGE


class NotRunError(XjopsError):
    """A part could not be tried at all (a tool or a machine is missing): never to be shown as a pass."""

    exit_code = ExitCode.NOT_RUN


class DeadlineError(XjopsError):
    """A wait reached its deadline."""
