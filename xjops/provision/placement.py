"""Spread machines over datastores by free space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xjops.adapters.vcenter_model import Datastore, Size

# A full datastore stops every machine on it: this part of its capacity stays free.
RESERVE = 0.05


@dataclass(frozen=True)
class Placement:
    """Where each new machine goes, and what found no room: ``{name: GiB it needs}``."""

    datastores: Mapping[str, str]
    homeless: Mapping[str, int]


def space(size: Size) -> int:
    """GiB that a machine takes when it runs: its disk and a swap file as large as its memory."""
    return size.disk_gb + math.ceil(size.memory_mb / 1024)


def usable(store: Datastore) -> int:
    """GiB of a datastore that may still be given away."""
    return store.free_gb - math.ceil(store.capacity_gb * RESERVE)


def spread(
    new: Sequence[tuple[str, int]], growing: Iterable[tuple[str, str, int]], stores: Iterable[Datastore]
) -> Placement:
    """Give each new machine the datastore with most room, the largest machines first.

    `new` are (name, GiB); `growing` are (name, datastore, GiB more) of machines that stay where they are.
    A machine on a datastore outside `stores` isn't counted: its room is not ours to judge.
    """
    room = {store.name: usable(store) for store in stores}
    homeless: dict[str, int] = {}
    for name, store, more in growing:
        if store in room:
            if more > room[store]:
                homeless[name] = more
            room[store] -= more
    places: dict[str, str] = {}
    for name, needed in sorted(new, key=lambda item: -item[1]):
        best = max(room, key=lambda store: room[store], default=None)
        if best is None or room[best] < needed:
            homeless[name] = needed
        else:
            places[name] = best
            room[best] -= needed
    return Placement(places, homeless)
