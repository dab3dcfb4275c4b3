"""A saved plan: what was seen when somebody agreed to it. It holds as long as a new look shows the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xjops.core.errors import UsageError, XjopsError
from xjops.plan.look import Look

SCHEMA = 1


class StalePlanError(XjopsError):
    """The look has changed since the plan was saved: nothing is applied."""


@dataclass(frozen=True)
class Saved:
    """A plan from a file."""

    path: Path
    site: str
    limit: tuple[str, ...]
    digest: str

    def agree(self, seen: Look) -> None:
        """Raise `StalePlanError` unless `seen` is what was planned."""
        if seen.digest != self.digest:
            raise StalePlanError(
                f"{seen.site.name} has changed since {self.path} was saved: nothing was applied",
                mend=f"xjops plan -o {self.path}, read it, then apply again",
            )


def as_saved(seen: Look, limit: Sequence[str]) -> dict[str, Any]:
    """What is written to a file (and printed as JSON)."""
    return seen.as_data() | {"limit": list(limit)}


def load(path: Path) -> Saved:
    """A plan that `xjops plan -o` wrote. Raises `UsageError` for any other file."""
    mend = f"xjops plan -o {path}"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror}", mend=mend) from None
    except ValueError as error:
        raise UsageError(f"{path} is no saved plan: no JSON ({error})", mend=mend) from None
    if not isinstance(data, dict) or "schema" not in data:
        raise UsageError(f"{path} is no saved plan", mend=mend)
    if data["schema"] != SCHEMA:
        raise UsageError(f"{path} was saved by another version of xjops", mend=mend)
    try:
        return Saved(path, str(data["site"]), tuple(map(str, data["limit"])), str(data["digest"]))
    except (TypeError, KeyError):
        raise UsageError(f"{path} is no whole saved plan", mend=mend) from None
