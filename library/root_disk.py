#!/usr/bin/python
"""Ansible module: grow a mounted partition and its file system into a disk that was made larger."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: root_disk
short_description: Grow a mounted partition and its file system into a disk that was made larger
description:
  - Asks the kernel to look at the disk's size again, grows the partition by growpart, then the
    file system.
  - Skipped, saying why, where the mount is no partition (a container, a logical volume).
  - Never shrinks; a second run finds nothing to do.
options:
  mount: {description: The mount point., type: path, default: /}
  seconds: {description: Deadline of one command in seconds., type: int, default: 300}
author: [xjops]
"""

EXAMPLES = r"""
- name: Grow the root
  root_disk:
"""

RETURN = r"""
actions: {description: What was (or would be) done., returned: always, type: list, elements: str}
reason: {description: Why there was nothing to look at., returned: when skipped, type: str}
ledger:
  description: What the host's ledger watches of it afterwards (kind, name).
  returned: success
  type: list
  elements: list
"""

import re
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.basic import AnsibleModule

BLOCK = Path("/sys/class/block")
WORTH_BYTES = 16 << 20  # less than a group of blocks is not worth a change


class Kind(NamedTuple):
    """How to ask a file system for its blocks and their bytes, and how to grow it."""

    ask: tuple[str, ...]
    blocks: str
    block_bytes: str
    grow: tuple[str, ...]


EXT = Kind(
    ("dumpe2fs", "-h", "{device}"),
    r"^Block count:\s+(\d+)$",
    r"^Block size:\s+(\d+)$",
    ("resize2fs", "{device}"),
)
XFS = Kind(
    ("xfs_growfs", "-n", "{mount}"),
    r"^data\s.*\bblocks=(\d+)",
    r"^data\s+=\s+bsize=(\d+)",
    ("xfs_growfs", "{mount}"),
)
KINDS = {"ext3": EXT, "ext4": EXT, "xfs": XFS}


def partition_of(device: str) -> tuple[str, str] | None:
    """Disk and partition number of `/dev/sda1`: ("sda", "1"); None when it is no partition."""
    name = Path(device).resolve().name
    number = BLOCK / name / "partition"
    if not number.is_file():
        return None
    return (BLOCK / name).resolve().parent.name, number.read_text().strip()


def bytes_of(kind: Kind, said: str) -> int | None:
    """Bytes of the file system in what its tool said; None when it didn't say."""
    blocks, block_bytes = (re.search(word, said, re.MULTILINE) for word in (kind.blocks, kind.block_bytes))
    return int(blocks[1]) * int(block_bytes[1]) if blocks and block_bytes else None


class Disk:
    """The mount's device and what is done to it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.mount = str(module.params["mount"])
        self.actions: list[str] = []

    def run(self, *words: str) -> tuple[int, str]:
        command = ["timeout", str(self.module.params["seconds"]), *words]
        code, out, err = self.module.run_command(command)
        return code, f"{out}\n{err}".strip()

    def skip(self, reason: str) -> None:
        self.module.exit_json(changed=False, skipped=True, reason=reason, msg=reason, actions=[])

    def grow_partition(self, disk: str, number: str) -> None:
        """growpart: 0 grown (or would be), 1 nothing to do, else an error."""
        rescan = BLOCK / disk / "device" / "rescan"
        if rescan.exists() and not self.module.check_mode:
            rescan.write_text("1")
        code, said = self.run("growpart", "--dry-run", f"/dev/{disk}", number)
        if code == 1 and "NOCHANGE" in said:
            return
        if code == 0:
            self.actions.append(f"grow partition {number} of /dev/{disk}")
            if self.module.check_mode:
                return
            code, said = self.run("growpart", f"/dev/{disk}", number)
        if code:
            self.module.fail_json(msg=f"growpart /dev/{disk} {number}: {said[-300:]} → lsblk /dev/{disk}")

    def grow_file_system(self, device: str, kind: Kind) -> None:
        code, said = self.run(*self.words(kind.ask, device))
        size = bytes_of(kind, said)
        if code or size is None:
            self.module.fail_json(msg=f"{' '.join(self.words(kind.ask, device))}: {said[-300:]}")
        room = int((BLOCK / Path(device).resolve().name / "size").read_text()) * 512
        planned = self.module.check_mode and self.actions
        if room - (size or 0) < WORTH_BYTES and not planned:
            return
        words = self.words(kind.grow, device)
        self.actions.append(" ".join(words))
        if self.module.check_mode:
            return
        code, said = self.run(*words)
        if code:
            self.module.fail_json(msg=f"{' '.join(words)}: {said[-300:]} → dmesg", actions=self.actions)

    def words(self, pattern: tuple[str, ...], device: str) -> list[str]:
        return [word.format(device=device, mount=self.mount) for word in pattern]


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={"mount": {"type": "path", "default": "/"}, "seconds": {"type": "int", "default": 300}},
        supports_check_mode=True,
    )
    disk = Disk(module)
    code, said = disk.run("findmnt", "--noheadings", "--output", "SOURCE,FSTYPE", "--mountpoint", disk.mount)
    if code:
        module.fail_json(msg=f"{disk.mount} is not mounted")
    device, kind = said.split()[:2]
    found = partition_of(device)
    if not found:
        disk.skip(f"{disk.mount} is on {device}, which is no partition")
    elif kind not in KINDS:
        disk.skip(f"{disk.mount} is a {kind} file system, which is not grown here")
    else:
        disk.grow_partition(*found)
        disk.grow_file_system(device, KINDS[kind])
        watched = [["probe", f"findmnt --noheadings --bytes --output SIZE {disk.mount}"]]
        module.exit_json(changed=bool(disk.actions), actions=disk.actions, ledger=watched)


if __name__ == "__main__":
    main()
