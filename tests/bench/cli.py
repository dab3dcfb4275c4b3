"""CPU seconds of `xjops --help`, against Python alone and `import click` in the same run.

Bytecode goes to a folder of its own and is warm before the first measured run, as on a user's machine.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from _report import Cost, measure, report

RUNS = 15
PROJECT = Path(__file__).parents[2]
COMMANDS = {
    "help": [sys.executable, "-m", "xjops.cli.main", "--help"],
    "click": [sys.executable, "-c", "import click"],
    "python": [sys.executable, "-c", "pass"],
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="xjops-bench-") as bytecode:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment |= {"PYTHONPYCACHEPREFIX": bytecode, "PYTHONPATH": str(PROJECT)}
        costs: dict[str, Cost] = {}
        for name, command in COMMANDS.items():
            measure(command, environment=environment)
            costs[name] = measure(command, runs=RUNS, environment=environment, deadline=60)
            print(
                f"{name:>7}  {costs[name].cpu:.3f} s CPU  {costs[name].wall:.3f} s wall  (median of {RUNS})"
            )
    report(
        "cli",
        {"help_cpu": costs["help"].cpu, "help_wall": costs["help"].wall},
        {"click_cpu": costs["click"].cpu, "python_cpu": costs["python"].cpu},
        {
            "help_to_click": costs["help"].cpu / costs["click"].cpu,
            "help_to_python": costs["help"].cpu / costs["python"].cpu,
        },
        at_most={"help_cpu": 0.25},
    )


if __name__ == "__main__":
    main()
