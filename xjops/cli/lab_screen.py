"""What the lab's commands say while they work."""

from __future__ import annotations

import click


def say(line: str) -> None:
    """Progress goes to standard error, so that `--format json` stays clean."""
    click.echo(line, err=True)


def progress(subject: str, stage: str, detail: str = "") -> None:
    """One line for each host or part as it gets somewhere."""
    say(f"{subject:<12} {stage:<10} {detail}".rstrip())
