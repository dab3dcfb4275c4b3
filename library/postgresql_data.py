#!/usr/bin/python
"""Ansible module: the data directory of a PostgreSQL cluster, made once and never again.

A new directory is made beside its place (`<path>.making`) and renamed when complete, so that what stands
at `path` is either nothing or a whole cluster, wherever a run was killed.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: postgresql_data
short_description: Make the data directory of a PostgreSQL cluster once
description:
  - Makes O(path) by initdb (O(state=primary)) or as a copy of the primary by pg_basebackup (O(state=standby))
    when it is absent or empty.
  - A directory that holds a cluster of the right version and kind is left alone. One that holds anything
    else, a standby's data on the primary, or a primary's data on a standby, is refused.
  - An empty primary is not made while another member serves a cluster.
options:
  path: {description: The data directory., type: path, required: true}
  binaries: {description: Folder of initdb and pg_basebackup., type: path, required: true}
  version: {description: Major version that PG_VERSION must name., type: str, required: true}
  state: {description: What the host is., type: str, choices: [primary, standby], required: true}
  port: {description: Port on which the members serve., type: int, default: 5432}
  others: {description: Addresses of the other members., type: list, elements: str, default: []}
  collation: {description: LC_COLLATE of a new cluster., type: str, default: C}
  character_type: {description: LC_CTYPE of a new cluster., type: str, default: C.UTF-8}
  connection: {description: Connection string to the primary, without password., type: str, default: ""}
  slot: {description: Replication slot of this standby on the primary., type: str, default: ""}
  primary_seconds: {description: Deadline for the primary and its slot to be there., type: int, default: 600}
  copy_seconds: {description: Deadline for initdb or the copy., type: int, default: 21600}
author: [xjops]
"""

EXAMPLES = r"""
- name: Data directory of the primary
  postgresql_data:
    path: /var/lib/postgresql/15/main
    binaries: /usr/lib/postgresql/15/bin
    version: "15"
    state: primary
"""

RETURN = r"""
actions: {description: What was (or would be) done., type: list, elements: str, returned: always}
ledger:
  description: What the host's ledger watches of it afterwards (kind, name).
  returned: success
  type: list
  elements: list
"""


class DataError(Exception):
    """Why the directory can't be made or used, in one line with its mend."""


def inspect(path: Path, version: str, state: str) -> bool:
    """Does `path` hold a whole cluster of this kind? False when it is absent or empty; else `DataError`."""
    if not path.is_dir() or not any(path.iterdir()):
        return False
    found = path / "PG_VERSION"
    if not found.is_file() or not (path / "global" / "pg_control").is_file():
        raise DataError(
            f"{path} holds files but no PostgreSQL cluster; not touched → move them away, then run again"
        )
    if found.read_text().strip() != version:
        raise DataError(
            f"{path} holds PostgreSQL {found.read_text().strip()}, wanted is {version}; it is not touched "
            "→ set postgresql_version, or upgrade by pg_upgrade"
        )
    standby = (path / "standby.signal").exists()
    if state == "primary" and standby:
        raise DataError(
            f"{path} is a standby's, but postgresql_primary names this host; the role never promotes "
            "→ name the real primary in postgresql_primary, or promote it (docs/guide/database.md)"
        )
    if state == "standby" and not standby:
        raise DataError(
            f"{path} is a primary's, but postgresql_primary names another host; the role never demotes "
            "→ name the real primary in postgresql_primary, or move the data away (docs/guide/database.md)"
        )
    return True


@contextlib.contextmanager
def only_one(path: Path, seconds: float) -> Iterator[int]:
    """Hold the lock on making `path`. Children inherit it: what a killed run left at work is waited for."""
    file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    end = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise DataError(
                        f"an earlier run still makes {path} after {seconds:g} s → wait for it, then run again"
                    ) from None
                time.sleep(0.5)
        yield file
    finally:
        os.close(file)


def as_postgres(command: list[str], lock: int | None, seconds: float) -> subprocess.CompletedProcess[str]:
    """Run `command` as the account postgres with a deadline of its own; output is captured."""
    return subprocess.run(
        ["runuser", "-u", "postgres", "--", "timeout", "--kill-after=10", f"{seconds:g}", *command],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        stdin=subprocess.DEVNULL,
        pass_fds=() if lock is None else (lock,),
    )


def must(command: list[str], lock: int, seconds: float, mend: str) -> None:
    """Run `command` as postgres; `DataError` with its last words when it fails."""
    done = as_postgres(command, lock, seconds)
    if done.returncode == 124:
        raise DataError(f"{Path(command[0]).name} did not end within {seconds:g} s → {mend}")
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise DataError(f"{Path(command[0]).name} failed ({done.returncode}): {''.join(last)} → {mend}")


def serving(addresses: list[str], port: int) -> str | None:
    """The first of `addresses` that accepts connections."""
    for address in addresses:
        with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=3):
            return address
    return None


def wait_for_slot(parameters: dict[str, Any]) -> None:
    """Wait until the primary answers this standby and has its slot; `DataError` with the last answer."""
    command = [
        f"{parameters['binaries']}/psql",
        "-XAtw",
        "-d",
        f"{parameters['connection']} replication=true",
    ]
    command += ["-c", f"READ_REPLICATION_SLOT {parameters['slot']}"]
    end = time.monotonic() + parameters["primary_seconds"]
    while True:
        answer = as_postgres(command, None, 20)
        if answer.returncode == 0 and answer.stdout.startswith("physical"):
            return
        if time.monotonic() >= end:
            last = answer.stderr.strip().splitlines()[-1:] or [f"no slot {parameters['slot']}"]
            raise DataError(
                f"the primary is not ready for us after {parameters['primary_seconds']} s: {last[0]} "
                "→ bring the primary up by this role first, then run again"
            )
        time.sleep(1)


def make(parameters: dict[str, Any]) -> str:
    """Make the directory; what was done."""
    path = Path(parameters["path"])
    new = Path(f"{path}.making")
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        shutil.chown(path.parent, "postgres", "postgres")
    with only_one(path, 60) as lock:
        if inspect(path, parameters["version"], parameters["state"]):
            return "an earlier run completed it"
        shutil.rmtree(new, ignore_errors=True)  # an unfinished one, never served
        if parameters["state"] == "primary":
            what = initialise(parameters, new, lock)
        else:
            what = copy(parameters, new, lock)
        new.rename(path)
    os.sync()
    return what


def initialise(parameters: dict[str, Any], new: Path, lock: int) -> str:
    """A new, empty cluster with checksums."""
    if other := serving(parameters["others"], parameters["port"]):
        raise DataError(
            f"{parameters['path']} is empty, but {other} serves a cluster; no empty primary is made beside "
            f"→ name the host of {other} in postgresql_primary, or stop PostgreSQL there first"
        )
    command = [f"{parameters['binaries']}/initdb", f"--pgdata={new}", "--data-checksums", "--encoding=UTF8"]
    command += ["--locale=C.UTF-8", f"--lc-collate={parameters['collation']}"]
    command += [
        f"--lc-ctype={parameters['character_type']}",
        "--auth-local=peer",
        "--auth-host=scram-sha-256",
    ]
    must(command, lock, parameters["copy_seconds"], "read the message, mend it, run again")
    return "initdb with checksums"


def copy(parameters: dict[str, Any], new: Path, lock: int) -> str:
    """A copy of the primary that will follow it."""
    wait_for_slot(parameters)
    command = [f"{parameters['binaries']}/pg_basebackup", f"--pgdata={new}", "--wal-method=stream"]
    command += [f"--slot={parameters['slot']}", "--checkpoint=fast", "--no-password"]
    command += [f"--dbname={parameters['connection']}"]
    must(command, lock, parameters["copy_seconds"], "look at the primary and the space here, then run again")
    signal = new / "standby.signal"
    signal.touch(0o600)
    shutil.chown(signal, "postgres", "postgres")
    return "copy of the primary by pg_basebackup"


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "binaries": {"type": "path", "required": True},
            "version": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["primary", "standby"], "required": True},
            "port": {"type": "int", "default": 5432},
            "others": {"type": "list", "elements": "str", "default": []},
            "collation": {"type": "str", "default": "C"},
            "character_type": {"type": "str", "default": "C.UTF-8"},
            "connection": {"type": "str", "default": ""},
            "slot": {"type": "str", "default": ""},
            "primary_seconds": {"type": "int", "default": 600},
            "copy_seconds": {"type": "int", "default": 21600},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    watched = [["file", f"{parameters['path']}/{name}"] for name in ("PG_VERSION", "standby.signal")]
    try:
        if inspect(Path(parameters["path"]), parameters["version"], parameters["state"]):
            module.exit_json(changed=False, actions=[], ledger=watched)
        if module.check_mode:
            module.exit_json(changed=True, actions=[f"make {parameters['path']} ({parameters['state']})"])
        module.exit_json(changed=True, actions=[make(parameters)], ledger=watched)
    except DataError as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
