"""`xjops lab` as a user meets it: exit codes, one-line errors, what is shown."""

from __future__ import annotations

import json
import os

import pytest

from xjops.cli import main
from xjops.core.errors import ExitCode
from xjops.lab import machine, status, up
from xjops.lab.machine import MachineError
from xjops.lab.status import HostStatus, LabStatus
from xjops.site import Site

WELL = HostStatus("db1", "database", "10.58.7.31", "-", "running", "running", "ok")
NOT_MADE = HostStatus("web1", "web", "10.58.7.11", "absent", "absent", "-", "-")
SWITCHED_OFF = HostStatus("web1", "web", "10.58.7.11", "off", "exited", "-", "-")
CRASHED = HostStatus("web1", "web", "10.58.7.11", "on", "exited", "-", "-")
DEGRADED = HostStatus("web1", "web", "10.58.7.11", "on", "running", "degraded", "ok")
NO_SSH = HostStatus("db1", "database", "10.58.7.31", "-", "running", "running", "host key refused")
MISSING = HostStatus("db1", "database", "10.58.7.31", "-", "absent", "-", "-")


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main.main(["lab", *words])
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("line", "state"),
    [(WELL, "pass"), (NOT_MADE, "warn"), (SWITCHED_OFF, "warn"), (CRASHED, "fail"), (DEGRADED, "fail"),
     (NO_SSH, "fail"), (MISSING, "fail")],
)  # fmt: skip
def test_the_state_of_a_host(line: HostStatus, state: str) -> None:
    assert line.state == state


@pytest.mark.parametrize(
    ("lines", "code"),
    [([WELL], ExitCode.OK), ([WELL, NOT_MADE], ExitCode.WARN), ([WELL, NOT_MADE, NO_SSH], ExitCode.FAIL)],
)
def test_status_says_by_its_exit_code_how_the_lab_is(
    lines: list[HostStatus],
    code: ExitCode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(status, "look", lambda name: LabStatus(name, "running", "running", tuple(lines)))
    assert command("status") == code
    table = capsys.readouterr().out
    assert all(line.host in table and line.address in table for line in lines)
    assert command("status", "--format", "json") == code
    shown = json.loads(capsys.readouterr().out)
    assert [host["state"] for host in shown["hosts"]] == [line.state for line in lines]
    assert shown["site"] == "lab"


def test_what_is_missing_is_one_line_each_and_not_run(
    lab_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(**_: object) -> None:
        raise MachineError("", problems=("podman is not installed → make tools", "no root → sudo"))

    monkeypatch.setattr(machine, "require", refuse)
    assert command("up") == ExitCode.NOT_RUN
    assert capsys.readouterr().err.splitlines() == [
        "xjops: podman is not installed → make tools",
        "xjops: no root → sudo",
    ]


@pytest.mark.parametrize(
    "words", [("up",), ("down",), ("down", "--purge", "--yes"), ("status",), ("shell", "db1")]
)
def test_a_production_site_is_no_lab(
    words: tuple[str, ...],
    lab_site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = lab_site.folder / "group_vars" / "all" / "site.yml"
    settings.write_text(settings.read_text().replace("kind: lab", "kind: production"))
    monkeypatch.setattr(machine, "require", lambda **_: None)
    assert command(words[0], "--site", "lab", *words[1:]) == ExitCode.USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert "lab is a production site, not a lab" in line


def test_purge_asks_first(
    lab_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(up, "purge", lambda name, progress: pytest.fail("purged without being told to"))
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115, PTH123 - nobody answers
    assert command("down", "--purge") == ExitCode.INTERRUPTED
    assert "Remove the lab of site lab with all its data" in capsys.readouterr().out


def test_recreate_names_a_host_of_the_site(
    lab_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine, "require", lambda **_: None)
    assert command("up", "--recreate", "web99") == ExitCode.USAGE
    assert "lab has no host web99" in capsys.readouterr().err
