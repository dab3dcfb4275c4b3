"""A program of ours as one shell command: it gets its order as it was, however long and odd."""

from __future__ import annotations

import json
import subprocess

from xjops.adapters import remote_program


def test_the_program_runs_with_its_order() -> None:
    order = {"verb": "look", "odd": 'it\'s "quoted" $HOME \n 学籍', "long": ["item"] * 50_000}
    words = remote_program.command("xjops.ledger", "remote_look.py", order)
    assert words.startswith("sudo -n python3 -IS -c ")
    assert max(map(len, words.split())) < 128 * 1024
    done = subprocess.run(
        ["sh", "-c", words.removeprefix("sudo -n ")], capture_output=True, text=True, timeout=30, check=True
    )
    assert json.loads(done.stdout)["schema"] == 2
