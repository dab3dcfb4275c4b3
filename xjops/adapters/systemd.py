"""What this machine's systemd says of a timer and its service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from xjops.core.errors import NotRunError, XjopsError
from xjops.core.process import run

BOOTED = Path("/run/systemd/system")  # sd_booted(3)
SECONDS = 20.0
_TIMER = ("LoadState", "ActiveState", "UnitFileState", "LastTriggerUSec", "NextElapseUSecRealtime")
_SERVICE = ("Result", "ExecMainStatus")


@dataclass(frozen=True)
class Timer:
    """A timer as systemd has it; `last` and `next` are systemd's words (UTC), "" when never.

    `result`: how the service's last run ended (`success`, `exit-code`, `timeout`, …), `code` its exit code.
    """

    installed: bool
    active: bool
    enabled: bool
    last: str
    next: str
    result: str
    code: int


def needed(what: str, mend: str) -> None:
    """Raise `NotRunError` unless systemd runs this machine; `what` names what can't be done without."""
    if not BOOTED.is_dir():
        raise NotRunError(f"no systemd runs on this machine: {what}", mend=mend)


def timer(name: str) -> Timer:
    """The timer `name` (without suffix) and its service of the same name.

    Raises `NotRunError` without systemd, `XjopsError` when it gives no answer.
    """
    needed("no timer can be asked", "ask the machine that watches the site")
    said = _show(f"{name}.timer", _TIMER)
    ended = _show(f"{name}.service", _SERVICE)
    return Timer(
        installed=said["LoadState"] == "loaded",
        active=said["ActiveState"] == "active",
        enabled=said["UnitFileState"] == "enabled",
        last=_moment(said["LastTriggerUSec"]),
        next=_moment(said["NextElapseUSecRealtime"]),
        result=ended["Result"],
        code=int(ended["ExecMainStatus"] or 0),
    )


def _show(unit: str, names: tuple[str, ...]) -> dict[str, str]:
    words = ["systemctl", "show", "--timestamp=utc", f"--property={','.join(names)}", unit]
    lines = run(words, seconds=SECONDS, mend=f"systemctl status {unit}").stdout.decode().splitlines()
    found = dict(line.partition("=")[::2] for line in lines)
    if not set(names) <= set(found):
        raise XjopsError(f"systemctl show {unit} gave no answer", mend=f"systemctl status {unit}")
    return found


def _moment(text: str) -> str:
    return "" if text == "n/a" else text
