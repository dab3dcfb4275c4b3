"""What every balancer has in common, whatever its make: members, their states, and errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from xjops.core.errors import XjopsError


class State(StrEnum):
    """What was decided for a member."""

    ENABLED = "enabled"
    DRAINING = "draining"  # finishes what it has, gets nothing new
    DISABLED = "disabled"  # out at once


class Health(StrEnum):
    """What the balancer's own look at a member says."""

    UP = "up"
    DOWN = "down"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Member:
    """One member as the balancer has it.

    `id` is the balancer's own word for it, `name` the site's host that has its address (else `id`).
    `sessions` are the requests or connections that it works on now; `reason` says why it isn't up.
    """

    id: str
    name: str
    address: str
    port: int
    state: State
    health: Health
    reason: str = ""
    sessions: int = 0

    @property
    def serves(self) -> bool:
        """Whether it gets new requests; health that nobody looks at counts as well."""
        return self.state is State.ENABLED and self.health is not Health.DOWN

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON (docs/reference/lb.md)."""
        return {
            "name": self.name,
            "id": self.id,
            "address": self.address,
            "port": self.port,
            "state": self.state.value,
            "health": self.health.value,
            "reason": self.reason,
            "sessions": self.sessions,
        }


class BalancerError(XjopsError):
    """A balancer could not do what it was asked."""


class UnreachableBalancerError(BalancerError):
    """No answer, or none that is the balancer's, within the deadline."""
