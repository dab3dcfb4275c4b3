#!/usr/bin/python
"""Ansible module: the mount of the shared storage, looked at without ever hanging on it.

A network mount whose server is gone blocks every process that touches it. All access therefore happens in
a child process that holds none of our files open; past the deadline it is killed and left behind.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import select
import signal
import socket
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: shared_mount
short_description: Clear a dead mount, or lay out and prove a live one
description:
  - With O(state=cleared), takes away what is mounted at O(path) when it does not answer ("Transport endpoint
    is not connected", "Stale file handle", a hang) or comes from another source. A live mount is left alone.
  - With O(state=ready), makes sure that O(path) is mounted from O(source), is at least O(minimum_gb) large,
    has the O(folders), and that each of them can be written, synced, read and cleaned as O(uid) and O(gid).
    In check mode nothing is written.
options:
  path: {description: The mount point., type: path, required: true}
  source: {description: What must be mounted there, as the mount table shows it., type: str, required: true}
  state: {description: What to bring about., type: str, choices: [cleared, ready], required: true}
  minimum_gb: {description: Least size of the whole file system in GiB., type: int, default: 0}
  folders: {description: Folders below the mount point., type: list, elements: str, default: []}
  uid: {description: Owner of the folders (the account may not exist yet)., type: int, default: 0}
  gid: {description: Group of the folders., type: int, default: 0}
  mode: {description: Mode of the folders, octal., type: str, default: "2750"}
  seconds: {description: Deadline for all access to the mount., type: int, default: 20}
author: [xjops]
"""

EXAMPLES = r"""
- name: Prove the shared storage
  shared_mount:
    path: /srv/registry/shared
    source: storage:/registry
    state: ready
    minimum_gb: 4096
    folders: [photos]
    uid: 990
    gid: 990
"""

RETURN = r"""
actions: {description: What was (or would be) done, in order., type: list, elements: str, returned: always}
size_gb: {description: Size of the file system in GiB., type: float, returned: state is ready and mounted}
seconds: {description: Time of all access to the mount., type: float, returned: state is ready and mounted}
"""


# what a mount answers that will not come back by itself
DEAD = (errno.ENOTCONN, errno.ESTALE, errno.EIO, errno.EHOSTDOWN, errno.ENODEV)


class MountError(Exception):
    """What is wrong with the mount, in one line with its mend."""


def sources(path: str, mountinfo: str) -> list[str]:
    """What is mounted at `path`, bottom to top, by the text of /proc/self/mountinfo."""
    found = []
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        if left.split()[4] == path.replace(" ", "\\040"):
            found.append(right.split()[1])
    return found


def mounted(path: str) -> list[str]:
    """What is mounted at `path` now, bottom to top."""
    return sources(path, Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def in_child(work: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any] | None:
    """The answer of `work`, run in a child process; None when it gave none within `seconds`.

    An OSError of the work comes back as {"errno": …, "text": …}.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        # a child stuck in the kernel must not keep the connection to the control node open
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        try:
            answer = work()
        except OSError as error:
            answer = {"errno": error.errno, "text": f"{error.strerror}: {error.filename}"}
        except BaseException as error:
            answer = {"errno": 0, "text": repr(error)}
        os.write(writer, json.dumps(answer).encode())
        os._exit(0)
    os.close(writer)
    ready, _, _ = select.select([reader], [], [], seconds)
    text = os.read(reader, 1 << 16) if ready else b""
    os.close(reader)
    if not text:
        os.kill(child, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(child, 0 if text else os.WNOHANG)
    return dict(json.loads(text)) if text else None


def look(path: str) -> dict[str, Any]:
    """Touch the mount: its size."""
    Path(path).stat()
    size = os.statvfs(path)
    return {"size_gb": round(size.f_blocks * size.f_frsize / 2**30, 1)}


def lay_out(parameters: dict[str, Any], check_mode: bool) -> list[str]:
    """Make the folders, set owner and mode; what was (or would be) done.

    A server that squashes root refuses the owner; the trial decides whether that matters.
    """
    actions: list[str] = []
    owner, mode = (parameters["uid"], parameters["gid"]), int(parameters["mode"], 8)
    for name in parameters["folders"]:
        folder = Path(parameters["path"], name)
        if not folder.is_dir():
            actions.append(f"make {folder}")
            if check_mode:
                continue
            folder.mkdir(0o700, exist_ok=True)  # another host may have been quicker
        with contextlib.suppress(PermissionError):
            found = folder.stat()
            if (found.st_uid, found.st_gid) == owner and stat.S_IMODE(found.st_mode) == mode:
                continue
            if not check_mode:
                os.chown(folder, *owner)
                folder.chmod(mode)
            actions.append(f"set owner and mode of {folder}")
    return actions


def try_out(parameters: dict[str, Any]) -> None:
    """As the application's account, write, sync, read and remove a file in each folder."""
    os.setgroups([])
    os.setresgid(parameters["gid"], parameters["gid"], 0)
    os.setresuid(parameters["uid"], parameters["uid"], 0)
    for name in parameters["folders"]:
        # one name a host: what a killed trial left is written over by the next
        trial = Path(parameters["path"], name, f".trial-{socket.gethostname()}")
        words = secrets.token_bytes(4096)
        file = os.open(trial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(file, words)
            os.fsync(file)
            if os.pread(file, len(words) + 1, 0) != words:
                raise OSError(errno.EIO, "other bytes read than written", str(trial))
        finally:
            os.close(file)
            trial.unlink(missing_ok=True)


def prove(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """All of O(state=ready); runs in the child."""
    answer = look(parameters["path"])
    if answer["size_gb"] < parameters["minimum_gb"]:
        return answer
    actions = lay_out(parameters, check_mode)
    if not check_mode:
        try_out(parameters)
    return {**answer, "actions": actions}


def clear(parameters: dict[str, Any], check_mode: bool) -> list[str]:
    """Unmount, lazily, every layer that is dead or comes from elsewhere; what was done."""
    path, actions = parameters["path"], []
    for _ in range(8):
        layers = mounted(path)
        if not layers:
            break
        answer = in_child(lambda: look(path), parameters["seconds"])
        dead = answer is None or answer.get("errno") in DEAD
        if layers[-1] == parameters["source"] and not dead:
            break
        why = "it hangs" if answer is None else answer.get("text", "not the wanted source")
        actions.append(f"unmount {layers[-1]} from {path} ({why})")
        if check_mode:
            break
        command = ["umount", "--lazy", "--no-canonicalize", path]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        if done.returncode:
            raise MountError(
                f"{layers[-1]} can't be unmounted from {path}: {done.stderr.strip()} → reboot the host"
            )
    return actions


def ready(parameters: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Lay out and prove the mount; `MountError` says what is wrong."""
    path, source = parameters["path"], parameters["source"]
    layers = mounted(path)
    if not layers or layers[-1] != source:
        if check_mode:
            return {"actions": [f"lay out {source} at {path}"]}
        there = f"{layers[-1]} is mounted" if layers else "nothing is mounted"
        raise MountError(
            f"{there} at {path}, not {source} → systemctl restart the mount unit and read its journal"
        )
    begin = time.monotonic()
    answer = in_child(lambda: prove(parameters, check_mode), parameters["seconds"])
    if answer is None:
        raise MountError(
            f"{source} at {path} does not answer within {parameters['seconds']} s "
            "→ bring the storage server up, then run again"
        )
    if "errno" in answer:
        raise MountError(explain(answer, parameters))
    if answer["size_gb"] < parameters["minimum_gb"]:
        raise MountError(
            f"{source} at {path} has {answer['size_gb']} GB, needed are {parameters['minimum_gb']} or more "
            "→ enlarge the export on the storage server, then run again"
        )
    return {**answer, "seconds": round(time.monotonic() - begin, 3)}


def explain(answer: dict[str, Any], parameters: dict[str, Any]) -> str:
    """An error of the trial in one line."""
    what = f"{parameters['source']} at {parameters['path']}: {answer['text']}"
    owner = f"{parameters['uid']}:{parameters['gid']}"
    if answer["errno"] in (errno.EACCES, errno.EPERM):
        folders = " ".join(parameters["folders"])
        return (
            f"{what}; account {owner} can't write → on the storage server: "
            f"install -d -o {parameters['uid']} -g {parameters['gid']} -m {parameters['mode']} {folders}"
        )
    if answer["errno"] == errno.EROFS:
        return f"{what} → export it for writing (rw) to this host"
    if answer["errno"] in (errno.ENOSPC, errno.EDQUOT):
        return f"{what} → free space or enlarge the export on the storage server"
    return f"{what} → run again; a dead mount is cleared then"


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "source": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["cleared", "ready"], "required": True},
            "minimum_gb": {"type": "int", "default": 0},
            "folders": {"type": "list", "elements": "str", "default": []},
            "uid": {"type": "int", "default": 0},
            "gid": {"type": "int", "default": 0},
            "mode": {"type": "str", "default": "2750"},
            "seconds": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    try:
        if module.params["state"] == "cleared":
            answer: dict[str, Any] = {"actions": clear(module.params, module.check_mode)}
        else:
            answer = ready(module.params, module.check_mode)
    except MountError as problem:
        module.fail_json(msg=str(problem))
    module.exit_json(changed=bool(answer["actions"]), **answer)


if __name__ == "__main__":
    main()
