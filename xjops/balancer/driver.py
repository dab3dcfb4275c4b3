"""What a balancer's driver can do: `xjops.adapters.haproxy` and `xjops.adapters.f5` fulfil it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from xjops.adapters.balancing import Member, State


class Driver(Protocol):
    """One balancer. Every call ends within a deadline and raises a `BalancerError` that carries the mend."""

    name: str
    makes_members: bool  # whether `reshape` works; else `mend_members` is what does it
    mend_members: str

    def members(self) -> tuple[Member, ...]:
        """The members as they are now."""
        ...

    def set_state(self, ids: Sequence[str], state: State) -> None:
        """Drain, disable or enable the members of these ids; kept over reloads and restarts."""
        ...

    def reshape(self, add: Sequence[tuple[str, str, int]], remove: Sequence[Member]) -> None:
        """Make members of (host name, address, port) and remove others: all of it or nothing."""
        ...

    def problems(self) -> tuple[tuple[str, str], ...]:
        """What stands between the public address and the members: (what, mend) each."""
        ...
