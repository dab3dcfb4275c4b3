#!/usr/bin/python
"""Ansible module: keep systemd units enabled, running and up to date with their files."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: unit
short_description: Keep systemd units enabled, running and up to date with their files
description:
  - Enables and starts the named units, reloads systemd when a unit file changed on disk, and restarts
    (or reloads) a unit that is older than one of the files it follows.
  - What has to be restarted is decided from what runs, not from a notification. A run that was killed
    between writing a file and its handler is completed by the next run; Ansible's handlers would be lost.
  - A unit that was started must stay active for O(settle) seconds without a restart, or the task fails with
    the end of its journal.
options:
  names:
    description: Full unit names, such as C(registry-web.service).
    type: list
    elements: str
    required: true
  follows:
    description: Files whose change (ctime) calls for a restart. A link counts itself, not its target.
    type: list
    elements: path
    default: []
  reload:
    description: Reload instead of restart when a followed file is newer.
    type: bool
    default: false
  settle:
    description: Seconds for which a unit that this task started must stay active.
    type: float
    default: 1.5
  seconds:
    description: Deadline in seconds for one systemctl call.
    type: int
    default: 90
author:
  - xjops
"""

EXAMPLES = r"""
- name: Keep the application running from the current release
  unit:
    names: [registry-web.service]
    follows: [/etc/registry/registry.env, /opt/registry/current]
"""

RETURN = r"""
actions:
  description: What was done (or would be done in check mode), in order.
  returned: always
  type: list
  elements: str
"""

import contextlib
import os
import subprocess
import time
from datetime import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "UnitFileState",
    "NeedDaemonReload",
    "Triggers",
    "NRestarts",
    "InactiveExitTimestamp",
    "StateChangeTimestamp",
)


class UnitError(Exception):
    """A unit that can't be brought to run; the text is the task's message."""


def systemctl(*words: str, seconds: int) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemctl", "--no-ask-password", *words],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnitError(f"systemctl {' '.join(words)} did not end within {seconds} s") from None


def journal_tail(name: str, lines: int = 15) -> str:
    """The last `lines` lines of the unit's journal, or why they can't be read."""
    try:
        result = subprocess.run(
            ["journalctl", "--no-pager", "--output=cat", f"--lines={lines}", f"--unit={name}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(journal not readable: {error})"
    return result.stdout.strip() or "(journal empty)"


def look(names: list[str], seconds: int) -> dict[str, dict[str, str]]:
    """The properties of every unit, in one call."""
    result = systemctl(
        "show", "--timestamp=us+utc", f"--property=Id,{','.join(PROPERTIES)}", "--", *names, seconds=seconds
    )
    if result.returncode:
        raise UnitError(f"systemctl show failed: {result.stderr.strip()[:300]}")
    blocks = [
        dict(line.partition("=")[::2] for line in block.splitlines())
        for block in result.stdout.strip().split("\n\n")
    ]
    if len(blocks) != len(names):
        raise UnitError(
            f"systemctl show answered for {len(blocks)} of {len(names)} units: {', '.join(names)}"
        )
    return dict(zip(names, blocks, strict=True))


def epoch(timestamp: str) -> float:
    """Seconds since 1970 of systemd's `Sat 2025-11-22 10:42:31.123456 UTC`; 0 when it never happened."""
    if not timestamp or timestamp == "n/a":
        return 0.0
    moment = timestamp.removesuffix(" UTC") + " +0000"
    return datetime.strptime(moment, "%a %Y-%m-%d %H:%M:%S.%f %z").timestamp()


def newest(paths: list[str]) -> float:
    """The latest change of the paths in seconds since 1970; a missing one counts as never changed."""
    latest = 0.0
    for path in paths:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            latest = max(latest, os.lstat(path).st_ctime)
    return latest


def needed(state: dict[str, str], changed_at: float, reload: bool) -> list[str]:
    """The systemctl verbs that bring one unit to where it should be."""
    verbs = []
    if state.get("UnitFileState") not in ("enabled", "static", "generated", "indirect", "alias"):
        verbs.append("enable")
    if state.get("ActiveState") != "active":
        verbs.append("start")
        return verbs
    since = epoch(state.get("InactiveExitTimestamp", ""))
    if state.get("NeedDaemonReload") == "yes" and not reload:
        verbs.append("restart")
    elif reload:
        # a reload leaves the start's time alone, but ends in a change of state
        if changed_at > max(since, epoch(state.get("StateChangeTimestamp", ""))):
            verbs.append("reload")
    elif changed_at > since:
        verbs.append("restart")
    return verbs


def settled(names: list[str], before: dict[str, dict[str, str]], settle: float, seconds: int) -> None:
    """Fail unless every unit is still active, and has not been restarted by systemd, after `settle` s."""
    time.sleep(settle)
    after = look(names, seconds)
    for name, state in after.items():
        restarted = state.get("NRestarts", "") != before[name].get("NRestarts", "")
        if state.get("ActiveState") != "active" or restarted:
            raise UnitError(
                f"{name} does not stay up: {state.get('ActiveState')} ({state.get('SubState')}, "
                f"result {state.get('Result')}, restarts {state.get('NRestarts', '-')}). "
                f"The end of its journal:\n{journal_tail(name)}"
            )


def stale(states: dict[str, dict[str, str]]) -> bool:
    """Does systemd know a unit otherwise than its files say?"""
    return any(state.get("NeedDaemonReload") == "yes" for state in states.values())


def triggered(states: dict[str, dict[str, str]], seconds: int) -> dict[str, dict[str, str]]:
    """The units that timers, sockets and paths start: of those, systemd tells for themselves alone."""
    names = {name for state in states.values() for name in state.get("Triggers", "").split()}
    return look(sorted(names - states.keys()), seconds) if names - states.keys() else {}


def plan(params: dict[str, Any]) -> tuple[list[tuple[str, str]], bool, list[str]]:
    """What to do: (verb, unit) pairs, whether systemd must read its files again, units not there yet."""
    states = look(params["names"], params["seconds"])
    missing = [name for name, state in states.items() if state.get("LoadState") == "not-found"]
    rescan = bool(missing) or stale(states) or stale(triggered(states, params["seconds"]))
    changed_at = newest(params["follows"])
    verbs = [
        (verb, name) for name, state in states.items() for verb in needed(state, changed_at, params["reload"])
    ]
    return verbs, rescan, missing


def act(verbs: list[tuple[str, str]], params: dict[str, Any]) -> None:
    for verb, name in verbs:
        if verb in ("start", "restart"):
            systemctl("reset-failed", name, seconds=params["seconds"])
        result = systemctl(verb, name, seconds=params["seconds"])
        if result.returncode:
            raise UnitError(
                f"systemctl {verb} {name} failed: {result.stderr.strip()[:300]}. "
                f"The end of its journal:\n{journal_tail(name)}"
            )
    touched = list(dict.fromkeys(name for verb, name in verbs if verb != "enable"))
    if touched and params["settle"] > 0:
        settled(touched, look(touched, params["seconds"]), params["settle"], params["seconds"])


def converge(params: dict[str, Any], check_mode: bool) -> list[str]:
    """Bring the units to where they should be; return what was (or would be) done."""
    verbs, rescan, missing = plan(params)
    actions = ["daemon-reload"] if rescan else []
    if rescan and not check_mode:
        systemctl("daemon-reload", seconds=params["seconds"])
        if missing:
            verbs, _, still = plan(params)
            if still:
                raise UnitError(f"systemd knows no unit {', '.join(still)} → write its file first")
    if not check_mode:
        act(verbs, params)
    return actions + [f"{verb} {name}" for verb, name in verbs]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "names": {"type": "list", "elements": "str", "required": True},
            "follows": {"type": "list", "elements": "path", "default": []},
            "reload": {"type": "bool", "default": False},
            "settle": {"type": "float", "default": 1.5},
            "seconds": {"type": "int", "default": 90},
        },
        supports_check_mode=True,
    )
    try:
        actions = converge(module.params, module.check_mode)
    except UnitError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"systemd can't be asked: {error}")
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
