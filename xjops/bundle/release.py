"""The application's release: its wheel, the requirements that install it offline, and uv to do it."""

from __future__ import annotations

import json
import shutil
import sys
import tomllib
import zipfile
from pathlib import Path

from xjops.bundle import wheels
from xjops.bundle.verification import sha256_of
from xjops.core.errors import ConfigurationError, XjopsError
from xjops.core.process import run
from xjops.core.progress import Progress, silent

# The application's own step: fetches and compiles its front-end parts, quick when nothing changed.
ASSETS = Path("assets/build")


def version_of(app: Path) -> str:
    """The version in `app`/pyproject.toml."""
    try:
        return str(tomllib.loads((app / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(
            f"At 'project.version' ({app / 'pyproject.toml'}): {error}",
            mend="name the application's version there",
        ) from error


def build_wheel(app: Path, target: Path, progress: Progress = silent) -> Path:
    """Build the application's wheel into the empty folder `target`; front-end assets come first."""
    if (app / ASSETS).is_file():
        progress("application", "front-end assets")
        run([sys.executable, ASSETS], cwd=app, seconds=900, mend=f"{app / ASSETS}")
    progress("application", "wheel")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", target],
        cwd=app,
        seconds=300,
        mend="install requirements/control.txt",
    )
    built = list(target.glob("*.whl"))
    if len(built) != 1:
        raise XjopsError(f"hatchling built {len(built)} wheels from {app}", mend="look at app/pyproject.toml")
    return built[0]


def describe(folder: Path, wheel: Path, requirements: Path, version: str) -> None:
    """Write release.json and requirements.txt (every hash, the application's own too) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    digest = sha256_of(wheel)
    name = wheel.name.split("-", 1)[0].replace("_", "-")
    kept = requirements.read_text(encoding="utf-8").rstrip("\n")
    text = f"{kept}\n{name}=={version} \\\n    --hash=sha256:{digest}\n"
    (folder / "requirements.txt").write_text(text, encoding="utf-8")
    release = {"version": version, "wheel": wheel.name, "sha256": digest}
    (folder / "release.json").write_text(json.dumps(release, indent=2) + "\n", encoding="utf-8")


def uv_requirement(control: Path) -> wheels.Requirement:
    """uv as pinned in the control node's requirements."""
    for item in wheels.parse(control):
        if item.name == "uv":
            return item
    raise ConfigurationError(f"At 'uv' ({control.name}): missing", mend="add uv to requirements/control.in")


def extract_uv(wheel: Path, target: Path) -> None:
    """Take the program uv out of its wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".data/scripts/uv")]
        if len(names) != 1:
            raise XjopsError(f"{wheel.name} carries no program uv", mend="pin another version of uv")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(archive.read(names[0]))
    target.chmod(0o755)
