"""Options that several commands share, spelled once."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def site_option(function: F) -> F:
    """``--site NAME``: a folder under inventories/; default ``lab`` or ``XJOPS_SITE``."""
    return click.option(
        "--site",
        "site_name",
        metavar="NAME",
        default=lambda: os.environ.get("XJOPS_SITE") or "lab",
        show_default="lab",
        help="The site: a folder under inventories/ (or XJOPS_SITE).",
    )(function)


def format_option(*formats: str) -> Callable[[F], F]:
    """``--format``: the first of `formats` is the default."""
    return click.option(
        "--format", "output_format", type=click.Choice(formats), default=formats[0], show_default=True
    )


def yes_option(function: F) -> F:
    """``--yes``: do not ask."""
    return click.option("--yes", "-y", is_flag=True, help="Do not ask before changing anything.")(function)


def fail_on_option(function: F) -> F:
    """``--fail-on``: the mildest state that ends in an exit code other than 0."""
    return click.option(
        "--fail-on",
        type=click.Choice(["warn", "not-run", "fail"]),
        default="warn",
        show_default=True,
        help="The mildest state that makes the exit code non-zero.",
    )(function)
