#!/usr/bin/python
"""Ansible module: wait with a deadline until every member of an HAProxy backend is up."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: haproxy_members
short_description: Wait with a deadline until every member of an HAProxy backend is up
description:
  - Asks HAProxy's runtime API (a UNIX socket) for the members' states, at most O(seconds) long.
  - The failure names every member that isn't up, with the last health check's outcome, and every member that
    is missing or one too many.
  - A member that somebody drained or disabled (C(xjops lb drain)) is not waited for; C(out) names it.
  - It changes nothing. In check mode it says that it was not run.
options:
  backend:
    description: Name of the backend.
    type: str
    required: true
  members:
    description: Names that the backend must have, no more and no fewer.
    type: list
    elements: str
    required: true
  socket:
    description: HAProxy's runtime socket.
    type: path
    default: /run/haproxy/admin.sock
  seconds:
    description: Deadline in seconds.
    type: int
    default: 60
author:
  - xjops
"""

EXAMPLES = r"""
- name: Wait until all members are up
  haproxy_members:
    backend: registry
    members: [web2, web3]
"""

RETURN = r"""
states:
  description: State of every member, such as C(UP) or C(DOWN).
  returned: success
  type: dict
out:
  description: Members that are drained or disabled on purpose.
  returned: success
  type: list
  elements: str
"""

import csv
import io
import socket
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

TAKEN_OUT = 0x01 | 0x08  # bits of srv_admin_state: forced maintenance, forced drain


def ask(path: str, command: str, timeout: float) -> str:
    """The answer to one command of the runtime API; raises OSError."""
    parts = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(timeout)
        client.connect(path)
        client.sendall(command.encode() + b"\n")
        while block := client.recv(65536):
            parts.append(block)
    return b"".join(parts).decode("utf-8", "replace")


def members(answer: str, backend: str) -> dict[str, dict[str, str]]:
    """The backend's servers out of `show stat`, by name."""
    rows = csv.DictReader(io.StringIO(answer.removeprefix("# ")))
    special = ("FRONTEND", "BACKEND")
    return {row["svname"]: row for row in rows if row["pxname"] == backend and row["svname"] not in special}


def taken_out(answer: str) -> list[str]:
    """The servers that are drained or disabled on purpose, out of `show servers state BACKEND`."""
    lines = [line.split() for line in answer.splitlines() if line.strip()]
    if len(lines) < 2:
        return []
    admin, name = (lines[1].index(key) - 1 for key in ("srv_admin_state", "srv_name"))  # "#" stands before
    return [words[name] for words in lines[2:] if int(words[admin]) & TAKEN_OUT]


def problems(found: dict[str, dict[str, str]], wanted: list[str], out: list[str]) -> list[str]:
    """One line for every member that isn't as it should be; those in `out` needn't be up."""
    lines = [f"{name} is not a member" for name in wanted if name not in found]
    for name, row in found.items():
        status, check = row.get("status", ""), row.get("check_status", "").removeprefix("* ")
        if name not in wanted:
            lines.append(f"{name} is a member and should not be")
        # "UP 1/3" and "DOWN 1/2" are members on their way down and up
        elif status != "UP" and name not in out:
            seen = " ".join(filter(None, [check, row.get("last_chk", ""), row.get("check_desc", "")]))
            lines.append(f"{name} is {status or 'without state'} ({seen or 'not checked yet'})")
    return lines


def wait(params: dict[str, Any]) -> tuple[dict[str, str], list[str], str]:
    """(states, taken out, "") once all is well, else (states, taken out, what is wrong) at the deadline."""
    end, path, backend = time.monotonic() + params["seconds"], params["socket"], params["backend"]
    while True:
        found: dict[str, dict[str, str]] = {}
        out: list[str] = []
        try:
            found = members(ask(path, "show stat", 5.0), backend)
            out = taken_out(ask(path, f"show servers state {backend}", 5.0)) if found else []
            problem = "; ".join(problems(found, params["members"], out))
        except (OSError, KeyError, ValueError, IndexError) as error:
            problem = f"{path} can't be asked: {error}"
        if not problem or time.monotonic() + 0.5 >= end:
            return {name: row.get("status", "") for name, row in found.items()}, out, problem
        time.sleep(0.5)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "required": True},
            "members": {"type": "list", "elements": "str", "required": True},
            "socket": {"type": "path", "default": "/run/haproxy/admin.sock"},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg="not run in check mode: the members' states")
    states, out, problem = wait(module.params)
    if problem:
        module.fail_json(
            msg=f"backend {module.params['backend']}, after {module.params['seconds']} s: {problem} "
            "→ on the member: systemctl status nginx registry-web"
        )
    module.exit_json(changed=False, states=states, out=out)


if __name__ == "__main__":
    main()
