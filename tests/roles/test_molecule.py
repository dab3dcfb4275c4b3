"""Each role on throw-away hosts: check, converge, idempotence, verify."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from xjops.lab import scratch

ROLES = Path(__file__).parents[2] / "roles"
# The slowest first, so that two at a time end together.
SLOW = ("shared_storage", "postgresql", "registry_web", "registry_release", "registry_worker")
NAMES = sorted(
    (path.parents[2].name for path in ROLES.glob("*/molecule/default/molecule.yml")),
    key=lambda name: (SLOW.index(name) if name in SLOW else len(SLOW), name),
)
SECONDS = 600


def molecule(name: str, log: Path) -> int:
    """Run the scenario of role `name`, its output into `log`; the exit code.

    After `SECONDS`, or when the test is interrupted, its processes and hosts go: molecule would leave both.
    """
    environment = {**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # every start of Ansible would compile its sources again
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["molecule", "test"],
            cwd=ROLES / name,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(SECONDS)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        scratch.destroy(f"{name.replace('_', '-')}-default")
        subprocess.run(["molecule", "reset"], cwd=ROLES / name, capture_output=True, timeout=60, check=False)
        raise


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, bundle: Path, tmp_path: Path) -> None:
    log = tmp_path / "molecule.log"
    try:
        code = molecule(name, log)
    finally:
        text = log.read_text(errors="replace")
        print("\n".join(text.splitlines()[-80:]))  # pytest shows it when the test fails
    assert code == 0
    for step in ("check", "converge", "idempotence", "verify"):
        assert f"{step}: Executed: Successful" in text
