"""What a step's result depends on, as digests that can be kept on a host without telling secrets.

Inputs are the role's files and the modules of ours that it calls, the bundle's manifest, the version of
ansible-core and the values of the role's documented variables (of one that names a file on the control node
the content, too); never facts. Values are digested with a key made from the site's vault password: whoever
reads a host's ledger can't try out passwords against it.

Working out the values takes Ansible some seconds, so the result is kept in the site's state folder as long as
no file that Ansible reads has changed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.ledger.steps import Book, Step
from xjops.site import inventory

Inputs = dict[str, str]
"""What is depended on ("variable base_ntp_servers", "file tasks/main.yml", …) → digest."""

_SCHEMA = 2
_LEFT_OUT = {"molecule", "__pycache__", "meta"}  # parts of a role that never reach a host


@dataclass(frozen=True)
class Wanted:
    """Every host's steps in the playbook's order, each with its inputs."""

    hosts: dict[str, dict[str, Inputs]]


def wanted(site: str, folder: Path, bundle: Path) -> Wanted:
    """The steps and inputs of all hosts of a site; `bundle` is the folder of the offline bundle.

    Raises `ConfigurationError` when the playbook or the inventory can't be read.
    """
    key = _key(site)
    sources = _digests(_sources(folder))
    everything = _digest(key, [sources, _environment(), version("ansible-core"), _manifest(bundle)])
    kept = paths.state(site) / "ledger-inputs.json"
    try:
        found = json.loads(kept.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    current = found.get("schema") == _SCHEMA and found.get("of") == everything
    if not current or _digests(map(Path, found["named"])) != found["named"]:
        hosts, named = _work_out(folder, bundle, key)
        found = {"schema": _SCHEMA, "of": everything, "hosts": hosts, "named": named}
        partial = kept.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(found), encoding="utf-8")
        partial.chmod(0o600)
        partial.rename(kept)
    return Wanted(found["hosts"])


def _work_out(folder: Path, bundle: Path, key: bytes) -> tuple[dict[str, dict[str, Inputs]], dict[str, str]]:
    """Every host's steps with their inputs, and the digests of the files that variables name."""
    common = {"bundle": _manifest(bundle), "ansible-core": version("ansible-core")}
    files: dict[str, Inputs] = {}
    named: dict[str, str] = {}
    hosts: dict[str, dict[str, Inputs]] = {}
    for host, steps in Book(folder).steps().items():
        hosts[host] = {}
        for step in steps:
            if step.role not in files:
                files[step.role] = _files_of(step.role)
            mine = _named_files(step)
            named |= mine
            values = {
                f"variable {name}": _digest(key, [name, value, mine.get(str(value))])[:16]
                for name, value in step.values.items()
            }
            hosts[host][step.name] = {**common, **files[step.role], **values}
    return hosts, named


def _named_files(step: Step) -> dict[str, str]:
    """Files of the control node that variables `…_file` of the step name (a certificate): path → digest."""
    paths_of = (value for name, value in step.values.items() if name.endswith("_file") and value)
    return _digests(path for path in map(Path, paths_of) if path.is_file())


def _files_of(role: str) -> Inputs:
    """A role's files, and the modules of ours that its tasks call."""
    root = paths.project() / "roles" / role
    found = {
        f"file {Path(name).relative_to(root)}": digest for name, digest in _digests(_files(root)).items()
    }
    tasks = "".join(path.read_text(encoding="utf-8") for path in sorted(root.glob("*/*.yml")))
    called = set(re.findall(r"^[\s-]*(\w+):", tasks, re.MULTILINE))
    for name, digest in _digests(_files(paths.project() / "library")).items():
        if Path(name).stem in called:
            found[f"module {Path(name).stem}"] = digest
    return found


def _sources(folder: Path) -> Iterator[Path]:
    """All files that the inputs are worked out from."""
    project = paths.project()
    for root in (folder, project / "playbooks", project / "roles", project / "library"):
        yield from _files(root)


def _files(root: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _LEFT_OUT)
        for name in sorted(names):
            if not name.endswith((".pyc", ".retry")):
                yield Path(place) / name


def _digests(files: Iterable[Path]) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in files if path.is_file()}


def _manifest(bundle: Path) -> str:
    """The digest of the bundle's manifest; "" where there is no bundle yet."""
    file = bundle / "manifest.json"
    return hashlib.sha256(file.read_bytes()).hexdigest()[:16] if file.is_file() else ""


def _environment() -> dict[str, str]:
    """What playbooks/group_vars look up in the environment."""
    return {name: os.environ.get(name, "") for name in ("HOME", "XJOPS_BUNDLE", "XJOPS_CACHE")}


def _key(site: str) -> bytes:
    """From the vault's password: every control node of the site has the same. Fixed without a vault."""
    try:
        password = inventory.password_file(site).read_bytes().strip()
    except OSError:
        password = b""
    return hashlib.sha256(b"xjops ledger\0" + password).digest()


def _digest(key: bytes, value: Any) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
