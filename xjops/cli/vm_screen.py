"""What the screens of `xjops vm` share."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.table import Table

WIDE, ROOMY = 160, 100  # columns of a file; columns from which a terminal shows the role


def print_json(data: dict[str, Any]) -> None:
    """`data` for programs."""
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


def print_all(*items: Any) -> None:
    """Lines, and tables as functions of the screen's width."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)  # a file or a pipe has no edge to cut at
    for item in items:
        shown = item(console.width) if callable(item) else item
        console.print(shown, highlight=False, soft_wrap=isinstance(item, str))


def table(title: str, rows: list[dict[str, str]], width: int) -> Table:
    """A table of the columns that have something to say; the role only where there is room."""
    from rich import box
    from rich.table import Table

    made = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    names = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    names = [name for name in names if name != "Role" or width >= ROOMY]
    for name in names:
        number = name in ("CPU", "Memory", "Disk")
        made.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        made.add_row(*(row[name] for name in names))
    return made
