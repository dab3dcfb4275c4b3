"""One entry of the battery: what is wrong, what a user types, and how it must end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

# Does the harm to a world (`world.py`); it is taken away at the end of the block.
Harm = Callable[[Any], AbstractContextManager[object]]
KILLED = -9
ALL = ("web1", "web2", "web3", "web4", "web5", "web6", "web7", "web8", "web9", "packaging", "scheduling")


def as_it_was(_world: Any) -> None:
    """Nothing more to look at than the exit code."""


@dataclass(frozen=True)
class Case:
    """A bad input or a fault, and its end.

    `error` are the lines on standard error after `xjops: `, each with its mend after an arrow, and with
    `<site>`, `<state>`, `<dir>`, `<line>`, `<port>`, `<task>`, `<key>` for what differs from run to run.
    `seconds` is when it must have ended, with the deadlines that its harm sets. `then` is the command of the
    next run, by default the same. `without` are the machines that aren't there when the command begins;
    `after` looks whether all is as it should be in the end.
    """

    what: str
    harm: Harm
    command: str
    code: int
    error: str | tuple[str, ...]
    seconds: float = 10.0
    then: str = ""
    without: tuple[str, ...] = ()
    after: Callable[[Any], None] = as_it_was

    @property
    def errors(self) -> tuple[str, ...]:
        """The lines of the error; none where nothing is to be said."""
        lines = (self.error,) if isinstance(self.error, str) else self.error
        return tuple(line for line in lines if line)
