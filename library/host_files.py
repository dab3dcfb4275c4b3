#!/usr/bin/python
"""Ansible module: lay a set of small files in one task, and apply what changed."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Lay a set of small files in one task, and apply what changed
description:
  - Every task costs each host the same fixed time, however little it does. A role's configuration is one task
    here instead of one for each file.
  - A file is checked by its O(files[].validate) command before it takes its place, all files before the
    first one is written.
  - The O(files[].apply) commands of changed files run once each, after all files are written. They are
    written down on the host before, so a run that was killed in between is completed by the next one.
  - When such a command fails, the files that it applies are put back, the command runs again with the old
    ones, and the task fails with what it said.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path: {description: Where the file goes., type: path, required: true}
      content: {description: What it holds., type: str}
      link: {description: Instead of a file; a symbolic link to this., type: path}
      state: {description: Absent removes it., type: str, choices: [present, absent], default: present}
      owner: {description: Its user., type: str, default: root}
      group: {description: Its group., type: str, default: root}
      mode: {description: Its mode in octal., type: str, default: "0644"}
      validate: {description: "Command, C(%s) is the new file.", type: list, elements: str}
      apply: {description: Command to run after a change., type: list, elements: str}
  purge:
    description: Patterns of files that must not exist unless named in O(files).
    type: list
    elements: str
    default: []
  seconds: {description: Deadline of one command in seconds., type: int, default: 60}
author: [xjops]
"""

EXAMPLES = r"""
- name: Configure SSH
  host_files:
    files:
      - path: /etc/ssh/sshd_config.d/00-site.conf
        content: "{{ lookup('ansible.builtin.template', 'sshd.conf.j2') }}"
        validate: [/usr/sbin/sshd, -t, -f, "%s"]
        apply: [systemctl, reload, ssh]
"""

RETURN = r"""
written: {description: Paths that were (or would be) changed., returned: always, type: list, elements: str}
applied: {description: Commands that were (or would be) run., returned: always, type: list, elements: str}
files: {description: "Path, SHA-256, owner, group and mode of every file.", returned: always, type: list}
"""

import errno
import grp
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

PENDING = Path("/var/lib/xjops/pending")


class LayError(Exception):
    """A file that can't be laid or applied; the text is the task's message."""


def numbers(entry: dict[str, Any]) -> tuple[int, int, int]:
    """User id, group id and mode of an entry; `LayError` names the unknown account."""
    try:
        return pwd.getpwnam(entry["owner"]).pw_uid, grp.getgrnam(entry["group"]).gr_gid, int(entry["mode"], 8)
    except KeyError as error:
        raise LayError(f"{entry['path']}: {error.args[0]}") from None


def read(path: Path) -> bytes | None:
    """What the regular file holds; None when there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    return path.read_bytes()


def differs(entry: dict[str, Any]) -> bool:
    """Is the host other than the entry wants it?"""
    path = Path(entry["path"])
    if entry["state"] == "absent":
        return os.path.lexists(path)
    try:
        owner = numbers(entry)
    except LayError:
        return True  # in check mode an earlier task may be the one that makes the account
    if entry["link"]:
        if not path.is_symlink() or str(path.readlink()) != entry["link"]:
            return True
        found = path.lstat()
        return (found.st_uid, found.st_gid) != owner[:2]
    if read(path) != entry["content"].encode():
        return True
    found = path.stat()
    return (found.st_uid, found.st_gid, found.st_mode & 0o7777) != owner


def execute(command: list[str], seconds: int) -> str:
    """Run a command; empty when it succeeded, else what it said."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError:
        return f"{command[0]} is not installed"
    except subprocess.TimeoutExpired:
        return f"did not end within {seconds} s"
    said = (result.stderr.strip() or result.stdout.strip())[-600:]
    return "" if result.returncode == 0 else said or f"exit code {result.returncode}"


def validate(entry: dict[str, Any], seconds: int, check_mode: bool) -> None:
    """`LayError` when the entry's own check refuses its content."""
    command = entry["validate"]
    if not command or entry["state"] == "absent":
        return
    if check_mode and not shutil.which(command[0]):
        return  # installed by an earlier task of the real run
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as stream:
        stream.write(entry["content"])
        stream.flush()
        said = execute([word.replace("%s", stream.name) for word in command], seconds)
        if said:
            raise LayError(f"{entry['path']} would be wrong: {said.replace(stream.name, entry['path'])}")


def make_folder(path: Path, entry: dict[str, Any]) -> None:
    """Make a missing parent; that of a private file is private, too."""
    if path.is_dir():
        return
    make_folder(path.parent, entry)
    user, group, mode = numbers(entry)
    path.mkdir()
    path.chmod(0o755 if mode & 0o077 else 0o700)
    os.chown(path, user, group)


def put(path: Path, content: bytes, owner: tuple[int, int, int]) -> None:
    """Replace a file at once; a mount of its own (a container's /etc/hosts) is written in place."""
    if path.is_dir() and not path.is_symlink():
        raise LayError(f"{path} is a folder → move it away")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.chown(partial, owner[0], owner[1])
        partial.chmod(owner[2])
        partial.replace(path)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        path.write_bytes(content)
        path.chmod(owner[2])
    finally:
        partial.unlink(missing_ok=True)


def lay(entry: dict[str, Any]) -> None:
    """Bring one file to where it should be."""
    path = Path(entry["path"])
    if entry["state"] == "absent":
        path.unlink(missing_ok=True)
        return
    make_folder(path.parent, entry)
    if entry["link"]:
        partial = path.with_name(f".{path.name}.new")
        partial.unlink(missing_ok=True)
        partial.symlink_to(entry["link"])
        os.chown(partial, *numbers(entry)[:2], follow_symlinks=False)
        partial.replace(path)
    else:
        put(path, entry["content"].encode(), numbers(entry))


class Snapshot:
    """What a file was before, to be put back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.link = str(path.readlink()) if path.is_symlink() else None
        self.content = read(path)
        self.stat = path.lstat() if os.path.lexists(path) else None

    def restore(self) -> None:
        if self.content is not None and self.stat:
            put(self.path, self.content, (self.stat.st_uid, self.stat.st_gid, self.stat.st_mode & 0o7777))
            return
        self.path.unlink(missing_ok=True)
        if self.link is not None:
            self.path.symlink_to(self.link)


def marker(command: list[str]) -> Path:
    """The note on the host that `command` has still to be run."""
    return PENDING / hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]


def apply(command: list[str], snapshots: list[Snapshot], seconds: int) -> None:
    """Run `command`; when it fails, put its files back and run it with the old ones."""
    said = execute(command, seconds)
    if said:
        for snapshot in snapshots:
            snapshot.restore()
        if snapshots and not execute(command, seconds):
            marker(command).unlink(missing_ok=True)
        paths = ", ".join(str(snapshot.path) for snapshot in snapshots)
        raise LayError(f"{' '.join(command)} failed{f', {paths} put back' if paths else ''}: {said}")
    marker(command).unlink(missing_ok=True)


def commands_of(entries: list[dict[str, Any]]) -> list[list[str]]:
    """The distinct apply commands, in order."""
    found: list[list[str]] = []
    for entry in entries:
        if entry["apply"] and entry["apply"] not in found:
            found.append(entry["apply"])
    return found


def spare(files: list[dict[str, Any]], patterns: list[str]) -> list[dict[str, Any]]:
    """Entries that remove what matches `patterns` and is named nowhere."""
    named = {entry["path"] for entry in files}
    found = sorted(
        {str(path) for pattern in patterns for path in Path("/").glob(pattern.lstrip("/"))} - named
    )
    rest = {"state": "absent", "link": None, "content": None, "validate": None, "apply": None}
    return [{"path": path, **rest} for path in found]


def diff(entry: dict[str, Any]) -> dict[str, str]:
    path = Path(entry["path"])
    before = read(path)
    after = entry["link"] or entry["content"] or ""
    return {
        "before_header": entry["path"],
        "after_header": entry["path"],
        "before": (before or b"").decode(errors="replace"),
        "after": "" if entry["state"] == "absent" else after,
    }


def describe(entry: dict[str, Any]) -> dict[str, str]:
    """What the host now has to keep."""
    if entry["state"] == "absent" or entry["link"]:
        return {"path": entry["path"], "link": entry["link"] or "", "state": entry["state"]}
    digest = hashlib.sha256(entry["content"].encode()).hexdigest()
    return {
        "path": entry["path"],
        "sha256": digest,
        **{key: entry[key] for key in ("owner", "group", "mode")},
    }


def converge(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    """Look, check, write, apply; the task's result."""
    entries = [*params["files"], *spare(params["files"], params["purge"])]
    changed = [entry for entry in entries if differs(entry)]
    for entry in changed:
        validate(entry, params["seconds"], check_mode)
    due = commands_of(changed)
    due += [command for command in commands_of(entries) if command not in due and marker(command).exists()]
    result = {
        "changed": bool(changed or due),
        "written": [entry["path"] for entry in changed],
        "applied": [" ".join(command) for command in due],
        "files": [describe(entry) for entry in entries],
        "diff": [diff(entry) for entry in changed],
    }
    if check_mode:
        return result
    for command in due:
        PENDING.mkdir(parents=True, exist_ok=True, mode=0o700)
        marker(command).write_text(" ".join(command) + "\n")
    before = {entry["path"]: Snapshot(Path(entry["path"])) for entry in changed}
    for entry in changed:
        lay(entry)
    for command in due:
        mine = [before[entry["path"]] for entry in changed if entry["apply"] == command]
        apply(command, mine, params["seconds"])
    return result


def main() -> None:
    """Entry point."""
    one = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str"},
        "link": {"type": "path"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "owner": {"type": "str", "default": "root"},
        "group": {"type": "str", "default": "root"},
        "mode": {"type": "str", "default": "0644"},
        "validate": {"type": "list", "elements": "str"},
        "apply": {"type": "list", "elements": "str"},
    }
    module = AnsibleModule(
        argument_spec={
            "files": {"type": "list", "elements": "dict", "required": True, "options": one,
                      "mutually_exclusive": [("content", "link")],
                      "required_if": [("state", "present", ("content", "link"), True)]},
            "purge": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )  # fmt: skip
    try:
        module.exit_json(**converge(module.params, module.check_mode))
    except LayError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"{error.filename}: {error.strerror}")


if __name__ == "__main__":
    main()
