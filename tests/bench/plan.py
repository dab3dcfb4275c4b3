"""`make bench B=plan`: what it costs to know that nothing is to be done, and to mend one file.

On the tests' lab (made by `xjops up` when it isn't there; never the user's), everything as planned.
Floor, in the same run and in turns with ours: one process that connects to all hosts through fabric and runs
`true` on each. Peer: `ansible-playbook` over the same roles with the project's tuned settings (forks,
pipelining, kept connections), without our callback plugin. XJOPS_TEST_LAB_KEEP=1 leaves the lab up.

- `plan_seconds`, `apply_seconds`, `up_seconds`: whole commands from their start to their end, with nothing to
  do; medians of RUNS. `up` looks at lab, bundle and sample and runs both checklists, too.
- `mend_seconds`: a file of one host was changed by hand; `xjops apply` finds and mends it (median).
- `peer_seconds`: the playbook once, with nothing to change.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from _report import report

sys.path.insert(0, str(Path(__file__).parents[1]))

from labtest import FOLDER, surround

from xjops.adapters.ssh import Fleet, known_hosts, private_key
from xjops.core import paths
from xjops.lab.copy import TEST_SITE
from xjops.site import Site

RUNS = 5
STUDENTS = "2000"
SECONDS = 1800
XJOPS = str(Path(sys.executable).with_name("xjops"))
HOST, FILE = "web3", "/etc/nginx/conf.d/registry.conf"


def seconds(*command: str | Path, codes: tuple[int, ...] = (0,), **environment: str) -> float:
    """Wall seconds of a command that has to end with one of `codes`."""
    started = time.perf_counter()
    done = subprocess.run(
        [str(word) for word in command],
        cwd=paths.project(),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    taken = time.perf_counter() - started
    if done.returncode not in codes:
        raise SystemExit(f"{command[0]} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-2000:]}")
    return taken


def floor_command(site: Site, folder: Path) -> list[str]:
    """The bare fabric round trip to all hosts of the site."""
    about = {
        "hosts": [[str(host.address), host.port, host.user] for host in site.hosts],
        "key": str(private_key(site)),
        "known_hosts": str(known_hosts(site)),
    }
    (folder / "hosts.json").write_text(json.dumps(about))
    program = Path(__file__).with_name("_fabric_round_trip.py")
    return [sys.executable, str(program), str(folder / "hosts.json")]


def on(site: Site, line: str) -> str:
    """A command on the host whose file is damaged."""
    with Fleet(site) as fleet:
        output = fleet.run([site.host(HOST)], line)[HOST]
    if output.error or output.exit_code:
        raise SystemExit(str(output.error or output.stderr))
    return output.stdout


def mend(site: Site) -> float:
    """Seconds of the apply that finds a file changed by hand; the file must be as before after it."""
    before = on(site, f"sudo -n sha256sum {FILE}")
    on(site, f"echo '# by hand' | sudo -n tee -a {FILE}")
    taken = seconds(XJOPS, "apply", "--yes")
    if on(site, f"sudo -n sha256sum {FILE}") != before:
        raise SystemExit(f"{FILE} of {HOST} was not mended")
    return taken


def main() -> None:
    """Measure and report."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as temporary:
        surround(patch)
        folder = Path(temporary)
        (folder / "no-plugins").mkdir()
        seconds(XJOPS, "up", "--students", STUDENTS)
        site = Site.load(TEST_SITE)
        round_trip = floor_command(site, folder)
        work: dict[str, Callable[[], float]] = {
            "fabric": lambda: seconds(*round_trip),
            "plan": lambda: seconds(XJOPS, "plan"),
            "apply": lambda: seconds(XJOPS, "apply", "--yes"),
            "up": lambda: seconds(XJOPS, "up", "--students", STUDENTS),
            "mend": lambda: mend(site),
        }
        taken: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(RUNS):
            for name, once in work.items():
                taken[name].append(once())
                print(f"{name:8} {taken[name][-1]:.2f} s", flush=True)
        playbook = Path(sys.executable).with_name("ansible-playbook")
        peer = seconds(
            playbook,
            "-i",
            site.folder,
            "playbooks/site.yml",
            ANSIBLE_CALLBACK_PLUGINS=str(folder / "no-plugins"),
        )
        if os.environ.get("XJOPS_TEST_LAB_KEEP") != "1":
            seconds(XJOPS, "lab", "down", "--purge", "--yes")
            shutil.rmtree(FOLDER)
    mid = {name: statistics.median(values) for name, values in taken.items()}
    fabric = mid.pop("fabric")
    report(
        "plan",
        {f"{name}_seconds": value for name, value in mid.items()},
        {"fabric_seconds": fabric, "peer_seconds": peer},
        {
            "plan_over_fabric": mid["plan"] / fabric,
            "apply_minus_plan_seconds": mid["apply"] - mid["plan"],
            "peer_over_plan": peer / mid["plan"],
            "peer_over_apply": peer / mid["apply"],
        },
        at_most={
            "plan_over_fabric": 2.0,
            "apply_minus_plan_seconds": 2.0,
            "up_seconds": 15.0,
            "mend_seconds": 20.0,
        },
        at_least={"peer_over_plan": 20.0, "peer_over_apply": 20.0},
    )


if __name__ == "__main__":
    main()
