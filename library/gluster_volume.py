#!/usr/bin/python
"""Ansible module: one GlusterFS volume on one server, created, configured and started.

Every step looks first and acts on the difference, so a run that was killed anywhere goes on where it stopped.
It never deletes a volume and never takes a brick that holds files.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import os
import shlex
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: gluster_volume
short_description: Create, configure and start a GlusterFS volume of one server
description:
  - Brings a distributed volume whose bricks are on this host to the wanted state.
  - A volume that exists but is stopped is started; a brick process that died is started again.
  - A brick that a killed creation marked and left empty is taken; one that holds files is refused.
  - A volume made of other bricks than the wanted ones is refused. Nothing is ever deleted.
options:
  name: {description: Name of the volume., type: str, required: true}
  address: {description: The address under which the clients reach this server., type: str, required: true}
  bricks: {description: Folders of this host that hold the files., type: list, elements: str, required: true}
  options:
    description: Volume options; values are compared as text, lists of addresses in any order.
    type: dict
    default: {}
  force: {description: Take a brick on the root file system., type: bool, default: false}
  seconds: {description: Deadline of each gluster command., type: int, default: 60}
author: [xjops]
"""

EXAMPLES = r"""
- name: Volume of the shared storage
  gluster_volume:
    name: registry
    address: 192.0.2.41
    bricks: [/srv/brick/registry]
    options: {auth.allow: "192.0.2.11,192.0.2.12"}
"""

RETURN = r"""
actions: {description: What was (or would be) done, in order., type: list, elements: str, returned: always}
ledger:
  description: What the host's ledger watches of it afterwards (kind, name).
  returned: success
  type: list
  elements: list
"""

MARK = "trusted.glusterfs.volume-id"


class Volume:
    """What `gluster volume info NAME --xml` says; `exists` is false when there is no such volume."""

    def __init__(self, xml: str) -> None:
        node = ET.fromstring(xml).find(".//volumes/volume")  # noqa: S314 - made by our own glusterd
        self.exists = node is not None
        self.status = "" if node is None else node.findtext("statusStr", "")
        self.bricks = [] if node is None else [b.findtext("name", "") for b in node.iter("brick")]
        self.options = (
            {}
            if node is None
            else {o.findtext("name", ""): o.findtext("value", "") for o in node.iter("option")}
        )


def same(wanted: str, found: str | None) -> bool:
    """Are two option values equal, lists of addresses in any order?"""
    return found is not None and sorted(wanted.split(",")) == sorted(found.split(","))


def dead_bricks(xml: str, bricks: list[str]) -> list[str]:
    """The wanted bricks whose process does not run, by `gluster volume status NAME --xml`."""
    alive = {
        f"{node.findtext('hostname')}:{node.findtext('path')}"
        for node in ET.fromstring(xml).iter("node")  # noqa: S314 - made by our own glusterd
        if node.findtext("status") == "1"
    }
    return [brick for brick in bricks if brick not in alive]


class Gluster:
    """The gluster command of this host."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.actions: list[str] = []

    def ask(self, *words: str) -> str:
        """Output of one command, whatever its result; a command past its deadline fails the module."""
        seconds = str(self.module.params["seconds"])
        command = ["timeout", "--kill-after=5", seconds, "gluster", "--mode=script", *words, "--xml"]
        code, out, err = self.module.run_command(command)
        if code in (124, 137):
            self.module.fail_json(
                msg=f"gluster {' '.join(words)} did not end within {seconds} s → systemctl restart glusterd",
                actions=self.actions,
            )
        if not out.lstrip().startswith("<?xml"):
            if self.module.check_mode:  # glusterd is not running yet; the run itself starts it before
                self.module.exit_json(changed=True, actions=[f"bring volume {self.module.params['name']} up"])
            self.module.fail_json(
                msg=f"gluster {' '.join(words)}: {(err or out).strip()[:300]} → systemctl status glusterd",
                actions=self.actions,
            )
        return str(out)

    def do(self, what: str, *words: str) -> None:
        """Change something; in check mode only note it."""
        self.actions.append(what)
        if self.module.check_mode:
            return
        answer = ET.fromstring(self.ask(*words))  # noqa: S314 - made by our own glusterd
        if answer.findtext("opRet") != "0":
            self.module.fail_json(
                msg=f"{what} failed: {answer.findtext('opErrstr') or 'no reason'} → journalctl -u glusterd",
                actions=self.actions,
            )


def free_brick(gluster: Gluster, path: str) -> None:
    """Make sure that a new volume may take `path`: take the mark of a killed creation off an empty brick."""
    if not Path(path).is_dir() or MARK not in os.listxattr(path):
        return
    files = sorted(file.name for file in Path(path).iterdir() if file.name != ".glusterfs")
    if files:
        gluster.module.fail_json(
            msg=f"brick {path} belongs to another volume and holds {len(files)} entries ({files[0]}, …); "
            "it is not touched → name an empty folder in shared_storage_server_brick, or move the files away"
        )
    gluster.actions.append(f"take the mark of an unfinished creation off {path}")
    if gluster.module.check_mode:
        return
    for name in os.listxattr(path):
        if name.startswith("trusted."):
            os.removexattr(path, name)
    shutil.rmtree(Path(path, ".glusterfs"), ignore_errors=True)


def ensure(gluster: Gluster, parameters: dict[str, Any]) -> None:
    """Bring the volume to the wanted state, step by step."""
    name = parameters["name"]
    wanted = [f"{parameters['address']}:{path}" for path in parameters["bricks"]]
    volume = Volume(gluster.ask("volume", "info", name))
    if not volume.exists:
        for path in parameters["bricks"]:
            free_brick(gluster, path)
        force = ["force"] if parameters["force"] else []
        gluster.do(f"create volume {name} on {', '.join(wanted)}", "volume", "create", name, *wanted, *force)
    elif sorted(volume.bricks) != sorted(wanted):
        gluster.module.fail_json(
            msg=f"volume {name} is made of {', '.join(volume.bricks)}, not of {', '.join(wanted)} "
            "→ correct shared_storage_server_brick or _address, or use `gluster volume replace-brick`"
        )
    for key, value in parameters["options"].items():
        if not same(str(value), volume.options.get(key)):
            gluster.do(f"set {key} to {value}", "volume", "set", name, key, str(value))
    if volume.status != "Started":
        gluster.do(f"start volume {name}", "volume", "start", name)
    elif dead := dead_bricks(gluster.ask("volume", "status", name), wanted):
        gluster.do(f"start the brick process of {', '.join(dead)}", "volume", "start", name, "force")


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "required": True},
            "bricks": {"type": "list", "elements": "str", "required": True},
            "options": {"type": "dict", "default": {}},
            "force": {"type": "bool", "default": False},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    if module.check_mode and not shutil.which("gluster"):
        module.exit_json(changed=True, actions=[f"create and start volume {module.params['name']}"])
    gluster = Gluster(module)
    ensure(gluster, module.params)
    # sorted: after a restart of the daemon the options come in another order
    watched = f"gluster --mode=script volume info {shlex.quote(module.params['name'])} | sort"
    module.exit_json(changed=bool(gluster.actions), actions=gluster.actions, ledger=[["probe", watched]])


if __name__ == "__main__":
    main()
