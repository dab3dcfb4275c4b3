"""Each role on throw-away hosts: check, converge, idempotence, verify."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROLES = Path(__file__).parents[2] / "roles"
# The slowest first, so that two at a time end together.
SLOW = ("shared_storage", "postgresql", "registry_web", "registry_release", "registry_worker")
NAMES = sorted(
    (path.parents[2].name for path in ROLES.glob("*/molecule/default/molecule.yml")),
    key=lambda name: (SLOW.index(name) if name in SLOW else len(SLOW), name),
)
SECONDS = 800


@pytest.mark.parametrize("name", NAMES)
def test_scenario(name: str, bundle: Path) -> None:
    environment = {**os.environ, "NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1"}
    done = subprocess.run(
        ["molecule", "test"],
        cwd=ROLES / name,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-80:])
    assert "idempotence" in done.stdout.lower()
    assert "verify" in done.stdout.lower()
