"""The program that a look sends to a host, run here by itself."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from xjops.checks.probe import command, questions
from xjops.site import Site


def answer(site: Site, host: str, **more: Any) -> dict[str, Any]:
    words = command({**questions(site, site.host(host)), "mounts": [], "seconds": 5, **more})
    here = words.removeprefix("sudo -n ")
    done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, timeout=60, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_every_host_says_what_it_is(lab_site: Site) -> None:
    said = answer(lab_site, "web2")
    assert said["system"] == "Linux"
    assert said["cpus"] >= 1
    assert {"memory_mb", "clock", "failed_units", "names", "release"} <= said.keys()
    assert not {"database", "balancer"} & said.keys()


def test_a_brief_answer_is_that_of_database_and_balancer_alone(lab_site: Site) -> None:
    assert answer(lab_site, "web2", brief=True) == {}
    assert answer(lab_site, "lb1", brief=True).keys() == {"balancer"}
    assert answer(lab_site, "db1", brief=True).keys() == {"database"}
