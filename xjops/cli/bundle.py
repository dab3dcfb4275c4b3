"""``xjops bundle``: build and verify the offline bundle."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import click

from xjops.cli.options import format_option, site_option
from xjops.core.errors import ExitCode

FOLDER = click.Path(path_type=Path, file_okay=False)
KEY = click.Path(path_type=Path, dir_okay=False)


@click.group()
def bundle() -> None:
    """Build and verify the offline bundle."""


@bundle.command()
@site_option
@click.option(
    "-o", "--output", type=FOLDER, default=None, help="The bundle's folder (default: bundle in the cache)."
)
@click.option("--refresh", is_flag=True, help="Take the newest packages of the Debian release.")
@format_option("table", "json")
def build(site_name: str, output: Path | None, refresh: bool, output_format: str) -> None:
    """Put everything that hosts install into one signed folder; run again, it goes on.

    Does nothing when nothing changed since the last build.
    """
    from xjops.bundle.build import build as build_bundle
    from xjops.bundle.build import default_folder
    from xjops.cli.board import Board
    from xjops.site import Site

    started = time.monotonic()
    site = Site.load(site_name)
    folder = (output or default_folder()).absolute()
    with Board() as board:
        built = build_bundle(site, folder, refresh=refresh, progress=board)
    figures = _figures(built.bundle) | {
        "changed": built.changed,
        "seconds": round(time.monotonic() - started, 1),
    }
    if output_format == "json":
        click.echo(json.dumps(figures, ensure_ascii=False, indent=2))
        return
    what = "built" if built.changed else "complete, nothing changed"
    click.echo(
        f"bundle {folder}: {what}: {figures['packages']} packages, {figures['wheels']} wheels, "
        f"{figures['bytes'] / 1e6:.0f} MB, {figures['seconds']} s"
    )


@bundle.command()
@click.argument("folder", type=FOLDER, required=False)
@click.option("--public-key", type=KEY, help="The OpenPGP key to trust (default: the one the site pins).")
@site_option
@format_option("table", "json")
def verify(folder: Path | None, public_key: Path | None, site_name: str, output_format: str) -> int:
    """Check every file of FOLDER (default: bundle in the cache) against the signed manifest.

    Exit 1 names each changed, missing or extra file.
    """
    from xjops.bundle import BundleError
    from xjops.bundle import verify as verify_bundle
    from xjops.bundle.build import default_folder
    from xjops.site import Site

    if public_key is None:
        site = Site.load(site_name)
        public_key = site.file(site.bundle.public_key_file)
    folder = (folder or default_folder()).absolute()
    try:
        figures = _figures(verify_bundle(folder, public_key)) | {"status": "pass", "problems": []}
    except BundleError as error:
        if output_format == "table":
            for problem in error.problems:
                click.echo(f"xjops: {folder / problem.file}: {problem.what} → {error.mend}", err=True)
            return ExitCode.FAIL
        problems = [{"file": problem.file, "what": problem.what} for problem in error.problems]
        figures = {"bundle": str(folder), "status": "fail", "problems": problems, "mend": error.mend}
    if output_format == "json":
        click.echo(json.dumps(figures, ensure_ascii=False, indent=2))
    else:
        click.echo(f"bundle {folder}: {figures['files']} files as signed, made {figures['created']}")
    return ExitCode.OK if figures["status"] == "pass" else ExitCode.FAIL


def _figures(found: Any) -> dict[str, Any]:
    """What both commands say of a bundle."""
    return {
        "bundle": str(found.folder),
        "created": found.created,
        "files": len(found.files),
        "bytes": found.size,
        "packages": sum(name.endswith(".deb") for name in found.files),
        "wheels": sum(name.endswith(".whl") for name in found.files),
    }
