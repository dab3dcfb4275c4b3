"""How long work tells a screen where it is, without knowing the screen."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called when `subject` (a host, a VM, a file) reaches a new `stage`; quick and thread-safe."""

    def __call__(self, subject: str, stage: str, detail: str = "") -> None: ...


def silent(subject: str, stage: str, detail: str = "") -> None:
    """A `Progress` that shows nothing."""
