"""Whether a stopped host's PostgreSQL was shut down, out of its own control file."""

from __future__ import annotations

import struct
from pathlib import Path

from xjops.lab.layers import Rootfs

# src/include/catalog/pg_control.h: DBState, after a system id of 8 bytes and two versions of 4
_STATE = 16
_STATES = (
    "starting up",
    "shut down",
    "shut down in recovery",
    "shutting down",
    "in crash recovery",
    "in archive recovery",
    "in production",
)
_CLEAN = (1, 2)


def unclean(rootfs: Rootfs, store: Path) -> str:
    """What its databases' state is when one is not shut down; "" when all are, or there is none."""
    tops = (rootfs.upper, *(store / name for name in rootfs.chain()))
    files = {
        str(path.relative_to(top))
        for top in tops
        for path in top.glob("var/lib/postgresql/*/*/global/pg_control")
    }
    for name in sorted(files):
        file = rootfs.file(store, name)
        if file is None:
            continue
        (state,) = struct.unpack_from("<I", file.read_bytes(), _STATE)
        if state not in _CLEAN:
            return _STATES[state] if state < len(_STATES) else f"in the unknown state {state}"
    return ""
