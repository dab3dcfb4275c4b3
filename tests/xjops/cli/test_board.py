"""The screen of long work: ends and signs of life in a log, one line per subject on a terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from xjops.cli import board
from xjops.cli.board import Board


def log_of(screen: Board) -> io.StringIO:
    text = io.StringIO()
    screen.console = Console(file=text, width=200)
    return text


def test_a_log_has_every_end_and_no_markup() -> None:
    with Board() as screen:
        text = log_of(screen)
        screen("web1", "base : Accounts")
        assert text.getvalue() == ""
        screen("web1", "failed", "the module said [bold]no[/bold]")
    assert text.getvalue().split() == [
        "web1",
        "failed",
        "0.0",
        "s",
        "the",
        "module",
        "said",
        "[bold]no[/bold]",
    ]


def test_a_log_shows_a_sign_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board, "LIFE_SECONDS", 0.0)
    with Board() as screen:
        text = log_of(screen)
        screen("db1", "postgresql : Make the cluster")
    assert text.getvalue().startswith("db1          postgresql : Make the cluster …")


def test_a_quiet_screen_says_nothing() -> None:
    with Board(quiet=True) as screen:
        text = log_of(screen)
        screen("web1", "failed", "why")
    assert text.getvalue() == ""


def test_a_terminal_shows_one_line_per_subject() -> None:
    screen = Board(("vcenter", "roles"))
    screen("vcenter", "ok", "nothing to do")
    screen("web1", "base : Accounts")
    text = io.StringIO()
    Console(file=text, width=80, force_terminal=True).print(screen)
    rows = [row for row in text.getvalue().splitlines() if row.strip()]
    assert len(rows) == 3
    assert "vcenter" in rows[0]
    assert "✓" in rows[0]
    assert "waiting" in rows[1]
    assert "base : Accounts" in rows[2]
