"""A Python program of ours, sent to a host as one shell command: run as root, nothing is left there."""

from __future__ import annotations

import base64
import json
import shlex
import zlib
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_START = (
    "import base64,sys,zlib;"
    "p,a=[zlib.decompress(base64.b64decode(w)).decode() for w in sys.argv[1:]];"
    "sys.argv[1:]=[a];"
    "exec(p)"
)


def command(package: str, program: str, order: Mapping[str, Any]) -> str:
    """The shell command that runs `program` (a file of `package`) with `order` as its one argument, JSON.

    Both travel compressed: a word of a command line holds 128 KiB at most.
    """
    source = files(package).joinpath(program).read_bytes()
    parts = (source, json.dumps(order).encode())
    words = " ".join(base64.b64encode(zlib.compress(part, 9)).decode() for part in parts)
    # -I and -S: nothing of the host's Python but its standard library, and a faster start
    return f"sudo -n python3 -IS -c {shlex.quote(_START)} {words}"
