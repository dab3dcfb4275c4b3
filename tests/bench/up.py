"""`make bench B=up`: how long `make up` takes, cold and cached, and the memory it needs.

A fresh clone in a temporary folder, a copy of the lab with its own addresses and state: the user's lab is
never touched. *cold*: every cache of ours, of uv, pip and Go empty (Debian's packages that are installed
stay). *cached*: base image, packages, wheels and simulator are there, hosts never. The floor, in the same
run: plain `ansible-playbook` over the lab that is up, with nothing to change. XJOPS_BENCH_COLD=0 leaves
the cold run out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from _report import report

from xjops.core import paths
from xjops.lab.copy import TEST_SITE, copy_site

STUDENTS = 20000
SECONDS = 3600


class Memory(threading.Thread):
    """The machine's memory in use, sampled once a second; `peak_gb` is above what was used at the start."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.before = self.peak = self.used()
        self.done = threading.Event()

    @staticmethod
    def used() -> float:
        """GiB that are in use and can't be given up."""
        lines = Path("/proc/meminfo").read_text().splitlines()
        values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        return (values["MemTotal"] - values["MemAvailable"]) / 2**20

    def run(self) -> None:
        while not self.done.wait(1):
            self.peak = max(self.peak, self.used())

    @property
    def peak_gb(self) -> float:
        return self.peak - self.before


def make_up(clone: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and GiB of one `make up`; its output goes to standard error."""
    memory = Memory()
    memory.start()
    started = time.monotonic()
    words = ["make", "up", f"STUDENTS={STUDENTS}"]
    done = subprocess.run(words, cwd=clone, env=environment, stdout=sys.stderr, timeout=SECONDS, check=False)
    seconds = time.monotonic() - started
    memory.done.set()
    if done.returncode:
        raise SystemExit(f"make up ended with {done.returncode}")
    return seconds, memory.peak_gb


def purge(clone: Path, environment: dict[str, str]) -> None:
    """Take the benchmark's lab away with everything it holds."""
    words = [str(clone / ".venv/bin/xjops"), "lab", "down", "--purge", "--yes"]
    subprocess.run(words, cwd=clone, env=environment, stdout=sys.stderr, timeout=300, check=True)


def main() -> None:
    """Measure and report."""
    folder = Path(tempfile.mkdtemp(prefix="xjops-bench-"))
    clone = folder / "xjops"
    subprocess.run(["git", "clone", "--quiet", paths.project(), clone], check=True, timeout=120)
    own = {
        "XJOPS_SITE": TEST_SITE,
        "XJOPS_STATE": str(folder / "state"),
        "XJOPS_INVENTORIES": str(folder / "inventories"),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("XJOPS_", "MAKE"))}
    cached = {**clean, **own}
    cold = {**cached, "XJOPS_CACHE": str(folder / "cache"), "UV_CACHE_DIR": str(folder / "uv")}
    cold |= {"PIP_NO_CACHE_DIR": "1", "GOCACHE": str(folder / "go"), "GOMODCACHE": str(folder / "gomod")}
    figures: dict[str, float] = {}
    try:
        for name, environment in (("cold", cold), ("cached", cached)):
            if name == "cold" and os.environ.get("XJOPS_BENCH_COLD") == "0":
                continue
            copy_site(clone / "inventories" / "lab", folder / "inventories" / TEST_SITE)
            shutil.rmtree(clone / ".venv", ignore_errors=True)
            seconds, memory = make_up(clone, environment)
            figures |= {f"{name}_seconds": seconds, f"{name}_memory_gb": memory}
            if name == "cold":
                purge(clone, environment)
        started = time.monotonic()
        playbook = [
            clone / ".venv/bin/ansible-playbook",
            "-i",
            folder / "inventories" / TEST_SITE,
            "playbooks/site.yml",
        ]
        subprocess.run(playbook, cwd=clone, env=cached, stdout=sys.stderr, timeout=SECONDS, check=True)
        floor = {"ansible_no_change_seconds": time.monotonic() - started}
        purge(clone, cached)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    ratios = {"cached_over_floor": figures["cached_seconds"] / floor["ansible_no_change_seconds"]}
    limits = {"cold_seconds": 900.0, "cached_seconds": 600.0, "cold_memory_gb": 8.0, "cached_memory_gb": 8.0}
    report(
        "up",
        figures,
        floor,
        ratios,
        at_most={name: bound for name, bound in limits.items() if name in figures},
    )


if __name__ == "__main__":
    main()
