"""Run a playbook through ansible-runner and tell, host by host, where it is and how it ended.

ansible-runner's private folder (0700) is removed afterwards: it keeps every event in clear. No secret
may travel in extra variables; they stay in the inventory's vault.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from xjops.core import paths
from xjops.core.errors import DeadlineError, XjopsError
from xjops.core.outliving import nothing_outlives
from xjops.core.progress import Progress, silent
from xjops.site.model import Site

# A task of this name says what the roles can't do on this site yet; it is never a silent pass.
NOT_RUN = "not-run:"
FAILED = {"runner_on_failed", "runner_item_on_failed", "runner_on_unreachable"}


@dataclass
class HostOutcome:
    """How one host fared in a playbook: counts of task results, its last task, the first error."""

    name: str
    ok: int = 0
    changed: int = 0
    failed: bool = False
    unreachable: bool = False
    task: str = ""
    error: str = ""
    not_run: list[str] = field(default_factory=list)
    started: float = 0.0
    seconds: float = 0.0

    def followed_by(self, later: HostOutcome) -> HostOutcome:
        """Both runs as one: counts and time added up, the later one's task, the first error."""
        return replace(
            later,
            ok=self.ok + later.ok,
            changed=self.changed + later.changed,
            failed=self.failed or later.failed,
            unreachable=self.unreachable or later.unreachable,
            error=self.error or later.error,
            not_run=list(dict.fromkeys([*self.not_run, *later.not_run])),
            seconds=self.seconds + later.seconds,
        )


class PlaybookError(XjopsError):
    """The playbook could not be run at all (syntax, inventory, vault)."""


class _Events:
    """Collects ansible-runner's events into host outcomes, the log and the progress lines."""

    def __init__(self, log: Path, progress: Progress) -> None:
        self.hosts: dict[str, HostOutcome] = {}
        self.progress = progress
        self.log = log.open("a", encoding="utf-8")
        self.errors: list[str] = []  # the latest lines, for when Ansible itself can't go on

    def __call__(self, event: dict[str, Any]) -> bool:
        text = event.get("stdout") or ""
        if text:
            self.log.write(text + "\n")
            self.log.flush()
            self.errors.extend(line.strip() for line in text.splitlines() if line.strip())
            del self.errors[:-40]
        data = event.get("event_data") or {}
        host, kind = data.get("host"), event["event"]
        if host and kind.startswith("runner_"):
            outcome = self.hosts.setdefault(host, HostOutcome(host, started=time.monotonic()))
            outcome.seconds = time.monotonic() - outcome.started
            self._host(outcome, kind, data)
        elif kind == "playbook_on_stats":
            self._final(data)
        return False  # nothing of it is to be kept in the private folder

    def _host(self, outcome: HostOutcome, kind: str, data: dict[str, Any]) -> None:
        outcome.task = f"{data['role']} : {data['task']}" if data.get("role") else str(data.get("task", ""))
        if kind == "runner_on_start":
            self.progress(outcome.name, outcome.task)
        elif kind in FAILED and not data.get("ignore_errors"):
            outcome.unreachable |= kind == "runner_on_unreachable"
            outcome.failed = True
            outcome.error = outcome.error or f"{outcome.task}: {_message(data.get('res') or {})}"
            self.progress(outcome.name, "failed", outcome.error)
        elif kind == "runner_on_ok":
            outcome.ok += 1
            outcome.changed += bool((data.get("res") or {}).get("changed"))
            if str(data.get("task", "")).startswith(NOT_RUN):
                outcome.not_run.append(_message(data.get("res") or {}))

    def _final(self, data: dict[str, Any]) -> None:
        """Ansible's own recap decides: a task that failed and was rescued is no failure."""
        for outcome in self.hosts.values():
            outcome.unreachable = bool((data.get("dark") or {}).get(outcome.name))
            outcome.failed = outcome.unreachable or bool((data.get("failures") or {}).get(outcome.name))
            outcome.error = outcome.error if outcome.failed else ""


def _message(result: dict[str, Any]) -> str:
    """The one line of a task's result that says why it failed."""
    for key in ("msg", "stderr", "module_stderr", "stdout"):
        lines = str(result.get(key) or "").strip().splitlines()
        if lines and lines[-1] not in ("non-zero return code", "All items completed"):
            return " ".join(lines)[-400:] if key == "msg" else lines[-1][:400]
    failed = [item for item in result.get("results") or [] if item.get("failed")]
    return _message(failed[0]) if failed else "no reason given; see the log"


def run_playbook(  # noqa: PLR0913 - the options of one ansible-playbook call
    site: Site,
    playbook: str,
    *,
    log: Path,
    limit: Sequence[str] = (),
    check: bool = False,
    diff: bool = False,
    tags: Sequence[str] = (),
    variables: Mapping[str, Any] | None = None,
    progress: Progress = silent,
    seconds: float = 3600,
    environment: Mapping[str, str] | None = None,
) -> dict[str, HostOutcome]:
    """Run `playbooks/<playbook>` on the site; outcomes by host name. The full output goes to `log`.

    `variables` are extra variables (JSON values): no secret among them, ansible-runner writes them to a file.
    Raises `PlaybookError` when Ansible ends without having tried a host, `DeadlineError` after `seconds`.
    """
    import ansible_runner

    words = ["--check"] * check + ["--diff"] * diff
    words += [f"--limit={','.join(limit)}"] if limit else []
    words += [f"--tags={','.join(tags)}"] if tags else []
    private = Path(tempfile.mkdtemp(prefix="xjops-"))
    events = _Events(log, progress)
    try:
        with nothing_outlives() as mark:
            runner = ansible_runner.run(
                private_data_dir=str(private),
                project_dir=str(paths.project()),
                playbook=str(paths.project() / "playbooks" / playbook),
                inventory=str(site.folder),
                cmdline=" ".join(words) or None,
                extravars=dict(variables or {}),
                envvars={**_environment(site), **(environment or {}), **mark},
                event_handler=events,
                quiet=True,
                timeout=int(seconds),
                settings={"pexpect_use_poll": True},
            )
    finally:
        events.log.close()
        shutil.rmtree(private, ignore_errors=True)
    if runner.status == "timeout":
        raise DeadlineError(f"{playbook} did not end within {seconds:g} s", mend=f"see {log}, run it again")
    if runner.status != "successful" and not any(host.failed for host in events.hosts.values()):
        lines = [line for line in events.errors if "ERROR" in line] or events.errors[-1:]
        why = " ".join(lines[:1])[:400]
        raise PlaybookError(f"{playbook} could not run: {why}", mend=f"see {log}")
    return events.hosts


def _environment(site: Site) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    kept = {key: value for key, value in os.environ.items() if key.startswith("XJOPS_")}
    return {
        **kept,
        "XJOPS_SITE": site.name,
        "ANSIBLE_CONFIG": str(paths.project() / "ansible.cfg"),
        # ansible-runner sets it for its own plugin, and the variable hides what ansible.cfg says
        "ANSIBLE_CALLBACK_PLUGINS": str(paths.project() / "xjops" / "ledger" / "callback"),
        "ANSIBLE_FORCE_COLOR": "0",
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{scripts}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }
