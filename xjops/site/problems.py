"""A mistake in a site: what is wrong, at which key, in which file and line, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from xjops.core import paths
from xjops.core.errors import ConfigurationError

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Place:
    """A line of a file; the line is None where the file as a whole is meant."""

    file: Path
    line: int | None = None

    def __str__(self) -> str:
        project = paths.project()
        shown = self.file.relative_to(project) if self.file.is_relative_to(project) else self.file
        return f"{shown}:{self.line}" if self.line else str(shown)


@dataclass(frozen=True)
class Problem:
    """One line for the user: ``At 'web2.memory_mb' (inventories/lab/hosts.yml:6): … → mend``.

    `fatal`: what follows can't be read until this is mended.
    """

    key: str
    place: Place
    what: str
    mend: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"At '{self.key}' ({self.place}): {self.what} → {self.mend}"


@dataclass(frozen=True)
class Places:
    """Where each value of a mapping stands, by its path of keys."""

    whole: Place
    places: Mapping[Loc, Place] = field(default_factory=dict)

    def at(self, loc: Loc) -> Place:
        """The place of the value at `loc`, else of the nearest mapping around it."""
        for end in range(len(loc), 0, -1):
            if loc[:end] in self.places:
                return self.places[loc[:end]]
        return self.whole

    def below(self, key: str | int) -> Places:
        """The places inside the mapping at `key`, which is then the whole."""
        inner = {loc[1:]: place for loc, place in self.places.items() if loc[0] == key and len(loc) > 1}
        return Places(self.at((key,)), inner)


def spell(loc: Loc) -> str:
    """`("members", 1)` → ``members[1]``; `("network", "internal")` → ``network.internal``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def similar(word: str, known: Iterable[str]) -> str:
    """``did you mean 'gateway'?`` when a known word is close to `word`, else empty."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"did you mean '{close[0]}'?" if close else ""


def refuse(site: str, problems: Sequence[Problem]) -> None:
    """Raise one `ConfigurationError` with all `problems`, each line once; nothing when there are none."""
    lines = tuple(dict.fromkeys(map(str, problems)))
    if len(lines) == 1:
        only = problems[0]
        raise ConfigurationError(str(only).removesuffix(f" → {only.mend}"), mend=only.mend)
    if lines:
        raise ConfigurationError(
            f"{len(lines)} problems in site '{site}'",
            mend=f"mend these lines, then: xjops site check --site {site}",
            problems=lines,
        )
