"""Run an external command: argument list, deadline, and an error that carries its last words."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from xjops.core.errors import DeadlineError, NotRunError, XjopsError


def run(
    command: Sequence[str | Path],
    *,
    seconds: float = 60,
    mend: str = "",
    check: bool = True,
    stdin: bytes | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run `command` and return its result; output is captured.

    Raises `NotRunError` when the program is not installed, `DeadlineError` after `seconds`,
    `XjopsError` with the last line of its output when it fails and `check` is set.
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(
            words,
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=seconds,
            cwd=cwd,
            env=None if environment is None else {**os.environ, **environment},
            check=False,
        )
    except FileNotFoundError:
        raise NotRunError(f"{words[0]} is not installed", mend=mend or "make tools") from None
    except subprocess.TimeoutExpired:
        raise DeadlineError(f"{' '.join(words[:3])} did not end within {seconds:g} s", mend=mend) from None
    if check and result.returncode:
        last = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()[-1:]
        raise XjopsError(
            f"{' '.join(words[:4])} failed ({result.returncode}): {''.join(last)[:300]}", mend=mend
        )
    return result
