"""The watch's timer on this control node: installed and removed by the role drift_watch, asked of systemd."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

from xjops.adapters import systemd
from xjops.adapters.ansible import HostOutcome, run_playbook
from xjops.checks.result import Result, Status
from xjops.core.errors import ExitCode, NotRunError, XjopsError
from xjops.core.process import run
from xjops.core.progress import Progress, silent
from xjops.site import Site

PLAYBOOK = "control_node.yml"
SECONDS = 300.0
OWN_CODES = frozenset(map(int, ExitCode))


def unit(site: str) -> str:
    """Name of timer and service, without their kind."""
    return f"xjops-drift-{site}"


def status(site: str) -> Result:
    """Whether the timer runs: pass, fail, or not-run where nobody can say or there is none."""
    name = unit(site)
    try:
        timer = systemd.timer(name)
    except NotRunError as error:
        return Result("drift.timer", name, Status.NOT_RUN, error.what, error.mend)
    except XjopsError as error:
        return Result("drift.timer", name, Status.FAIL, error.what, error.mend)
    install = f"xjops drift install --site {site}"
    if not timer.installed:
        return Result("drift.timer", name, Status.NOT_RUN, "no timer is installed here", install)
    if not (timer.active and timer.enabled):
        state = (
            f"{'active' if timer.active else 'not active'}, {'enabled' if timer.enabled else 'not enabled'}"
        )
        return Result("drift.timer", name, Status.FAIL, state, install)
    said = f"next {timer.next or 'unknown'}, last {timer.last or 'never'}"
    # 1, 4 and 78 are the watch's own words, which its state explains; what else ends it is the unit's trouble
    if timer.result != "success" and not (timer.result == "exit-code" and timer.code in OWN_CODES):
        value = f"{said}; the last run did not end by itself: {timer.result}, exit code {timer.code}"
        return Result("drift.timer", name, Status.FAIL, value, f"journalctl -u {name}.service")
    return Result("drift.timer", name, Status.PASS, said)


def install(
    site: Site,
    *,
    log: Path,
    minutes: int,
    metrics: Path | None = None,
    user: str = "",
    check: bool = False,
    progress: Progress = silent,
) -> HostOutcome:
    """Have systemd start `xjops drift run` every `minutes`; `metrics` None: where the role puts them.

    `user` owns the site's state, the caller unless named. `check`: change nothing. Raises `NotRunError`
    without systemd, `XjopsError` where the role fails.
    """
    variables: dict[str, Any] = {"drift_watch_present": True, "drift_watch_minutes": minutes}
    variables |= {"drift_watch_metrics_file": str(metrics)} if metrics else {}
    variables |= {"drift_watch_user": user or pwd.getpwuid(os.getuid()).pw_name}
    return _play(site, variables, log, check, progress)


def remove(
    site: Site,
    *,
    log: Path,
    metrics: Path | None = None,
    check: bool = False,
    progress: Progress = silent,
) -> HostOutcome:
    """Remove timer, service and metrics; what the watches know stays. Raises like `install`."""
    variables: dict[str, Any] = {"drift_watch_present": False}
    variables |= {"drift_watch_metrics_file": str(metrics)} if metrics else {}
    return _play(site, variables, log, check, progress)


def possible(site: str) -> None:
    """Raise `NotRunError` where no timer can be had: no systemd, or no way to become root."""
    every = f"have something else run `xjops drift run --site {site}` regularly (cron)"
    systemd.needed("no timer can be installed here", every)
    if os.getuid() != 0:
        mend = "run it as root, or let this account use sudo without a password"
        done = run(["sudo", "-n", "true"], seconds=20, check=False, mend=mend)
        if done.returncode:
            raise NotRunError(
                "a timer can only be installed as root, and sudo asks for a password", mend=mend
            )


def _play(site: Site, variables: dict[str, Any], log: Path, check: bool, progress: Progress) -> HostOutcome:
    possible(site.name)
    outcomes = run_playbook(
        site, PLAYBOOK, log=log, check=check, variables=variables, progress=progress, seconds=SECONDS
    )
    outcome = outcomes["localhost"]
    if outcome.failed:
        raise XjopsError(outcome.error or f"{PLAYBOOK} failed", mend=f"see {log}")
    return outcome
