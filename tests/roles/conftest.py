"""The bundle that the scenarios' hosts install from, signed by the test lab's key."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from labtest import surround

from xjops.core import paths
from xjops.core.locking import lock

# Not the lab tests' own: they remove theirs, with the keys, at the end of their session.
FOLDER = Path("~/.local/state/xjops-test-roles").expanduser()
XJOPS = Path(sys.executable).with_name("xjops")


@pytest.fixture(scope="session")
def bundle() -> Iterator[Path]:
    """Built once for all workers; the folder of the bundle."""
    with pytest.MonkeyPatch.context() as patch:
        FOLDER.mkdir(parents=True, exist_ok=True)
        with lock(FOLDER / "bundle.lock", what="the tests' bundle", seconds=1200, mend="run the tests again"):
            surround(patch, FOLDER)
            patch.setenv("XJOPS_BUNDLE", str(paths.cache() / "test-roles" / "bundle"))
            for words in (("lab", "secrets"), ("bundle", "build")):
                done = subprocess.run(
                    [XJOPS, *words], capture_output=True, text=True, timeout=900, check=False
                )
                assert done.returncode == 0, done.stdout + done.stderr
        yield Path(os.environ["XJOPS_BUNDLE"])
