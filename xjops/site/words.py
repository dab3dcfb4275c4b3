"""Sizes and lists of names as people read them."""

from __future__ import annotations

from collections.abc import Iterable


def terabytes(size_gb: int) -> str:
    """`4096` → ``4T``; what is no whole number of T stays in G."""
    return f"{size_gb // 1024}T" if size_gb % 1024 == 0 else f"{size_gb}G"


def span(names: Iterable[str]) -> str:
    """Names in one phrase: web1 web2 web3 packaging → ``web1 to web3, packaging``."""
    runs: list[list[str]] = []
    for name in names:
        stem = name.rstrip("0123456789")
        number = name[len(stem) :]
        last = runs[-1][-1] if runs else ""
        follows = number.isdigit() and last == f"{stem}{int(number) - 1}"
        if follows:
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(
        run[0] if len(run) == 1 else f"{run[0]} to {run[-1]}" if len(run) > 2 else f"{run[0]}, {run[1]}"
        for run in runs
    )
