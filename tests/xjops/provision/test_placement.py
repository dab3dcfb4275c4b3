"""Spreading machines over datastores."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as some

from xjops.adapters.vcenter_model import Datastore, Size
from xjops.provision.placement import space, spread, usable

STORES = (Datastore("a", 1000, 1000), Datastore("b", 1000, 1000), Datastore("c", 1000, 1000))


def test_eleven_equal_machines_are_spread_evenly() -> None:
    places = spread([(f"web{number}", 58) for number in range(11)], [], STORES).datastores
    assert sorted(Counter(places.values()).values()) == [3, 4, 4]


def test_the_emptiest_datastore_comes_first() -> None:
    stores = (Datastore("full", 200, 1000), Datastore("empty", 900, 1000))
    assert spread([("web1", 58)], [], stores).datastores == {"web1": "empty"}


def test_the_largest_machine_gets_the_only_place_it_fits() -> None:
    stores = (Datastore("small", 100, 100), Datastore("large", 200, 200))
    placement = spread([("web1", 60), ("packaging", 150)], [], stores)
    assert placement.datastores == {"packaging": "large", "web1": "small"}


def test_a_twentieth_stays_free() -> None:
    assert usable(Datastore("a", 1000, 1000)) == 950
    assert spread([("web1", 951)], [], STORES[:1]).homeless == {"web1": 951}


def test_growing_machines_take_their_room_first() -> None:
    placement = spread([("web5", 600)], [("web1", "a", 400)], STORES[:1])
    assert placement.homeless == {"web5": 600}
    assert spread([], [("web1", "a", 951)], STORES[:1]).homeless == {"web1": 951}


def test_a_datastore_that_is_not_the_sites_is_not_judged() -> None:
    assert spread([], [("web1", "elsewhere", 10**6)], STORES).homeless == {}


def test_no_datastore_at_all() -> None:
    assert spread([("web1", 58)], [], ()).homeless == {"web1": 58}


def test_a_machine_needs_its_disk_and_a_swap_file() -> None:
    assert space(Size(4, 8192, 50)) == 58
    assert space(Size(4, 8200, 50)) == 59


needs = some.lists(some.integers(1, 500), max_size=20)
rooms = some.lists(some.tuples(some.integers(0, 2000), some.integers(0, 2000)), max_size=5)


@given(needs, rooms)
def test_nothing_is_lost_and_no_datastore_is_overfull(
    sizes: list[int], stores: list[tuple[int, int]]
) -> None:
    new = [(f"vm{number}", size) for number, size in enumerate(sizes)]
    available = tuple(Datastore(f"ds{number}", min(pair), max(pair)) for number, pair in enumerate(stores))
    placement = spread(new, [], available)
    assert set(placement.datastores) | set(placement.homeless) == {name for name, _ in new}
    assert not set(placement.datastores) & set(placement.homeless)
    for store in available:
        given_away = sum(size for name, size in new if placement.datastores.get(name) == store.name)
        assert given_away <= max(0, usable(store))
    if placement.homeless:
        smallest = min(placement.homeless.values())
        left = {store.name: usable(store) for store in available}
        for name, size in new:
            if name in placement.datastores:
                left[placement.datastores[name]] -= size
        assert all(room < smallest for room in left.values())
