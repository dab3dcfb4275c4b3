"""A screen for long work: one line per subject (host, VM, part) with its stage and time.

On a terminal the lines are redrawn in place. Elsewhere (a CI log) each subject is printed when it reaches an
end, and in between a sign of life every `LIFE_SECONDS`.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

ENDS = {"ok", "changed", "failed", "unreachable", "not-run", "done"}
LIFE_SECONDS = 15.0
STYLES = {
    "failed": "bold red",
    "unreachable": "bold red",
    "not-run": "yellow",
    "changed": "cyan",
    "ok": "green",
}
STYLES["done"] = "green"


@dataclass
class Line:
    """One subject: where it is, since when, and the detail of its last stage."""

    subject: str
    stage: str = ""
    detail: str = ""
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        """Time from the first stage to the end, or to now."""
        return (self.ended or time.monotonic()) - self.started


class Board:
    """A `Progress` that shows; use it as a context manager. `subjects` are listed from the start."""

    def __init__(self, subjects: tuple[str, ...] = (), *, quiet: bool = False) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        self.lines = {subject: Line(subject) for subject in subjects}
        self.quiet = quiet
        self._lock = threading.Lock()
        self._live: Any = None
        self._printed = time.monotonic()

    def __enter__(self) -> Board:
        if self.console.is_terminal and not self.quiet:
            from rich.live import Live

            self._live = Live(self, console=self.console, refresh_per_second=5, transient=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, subject: str, stage: str, detail: str = "") -> None:
        with self._lock:
            line = self.lines.setdefault(subject, Line(subject))
            if not line.stage:
                line.started = time.monotonic()
            line.stage, line.detail = stage, detail
            line.ended = time.monotonic() if stage in ENDS else None
            if self._live is None and not self.quiet:
                self._print(line)

    def _print(self, line: Line) -> None:
        now = time.monotonic()
        if line.stage in ENDS or now - self._printed >= LIFE_SECONDS:
            stage = line.stage if line.stage in ENDS else f"{line.stage} …"
            text = f"{line.subject:<12} {stage:<11} {line.seconds:6.1f} s  {line.detail}"
            self.console.print(text, soft_wrap=True, markup=False)
            self._printed = now

    def __rich__(self) -> Any:
        from rich.spinner import Spinner
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", no_wrap=True, style="dim")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for line in list(self.lines.values()):
            style = STYLES.get(line.stage, "")
            if not line.stage:
                table.add_row(Text("·", "dim"), Text(line.subject, "dim"), "", Text("waiting", "dim"))
                continue
            mark = Text(MARKS[line.stage], style) if line.stage in ENDS else Spinner("dots", style="cyan")
            words = Text(line.stage, style) + Text(f" {line.detail}" if line.detail else "", "dim")
            table.add_row(mark, line.subject, f"{line.seconds:.1f} s", words)
        return table


MARKS = {"ok": "✓", "changed": "✓", "done": "✓", "failed": "✗", "unreachable": "✗", "not-run": "○"}
