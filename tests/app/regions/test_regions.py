"""The region tree as it is loaded."""

from __future__ import annotations

import datetime as dt

import pytest

from registry.regions.models import Level, Region
from registry.regions.services import load_regions

pytestmark = pytest.mark.django_db


def test_shaanxi_has_its_ten_cities_and_107_counties() -> None:
    shaanxi = Region.objects.get(pk="610000")
    cities = shaanxi.children.in_force()
    assert [city.name for city in cities][:3] == ["西安市", "铜川市", "宝鸡市"]
    assert cities.count() == 10
    assert Region.objects.in_force().filter(path__startswith=shaanxi.path, level=Level.COUNTY).count() == 107


def test_every_path_is_the_way_from_the_province() -> None:
    regions = {region.code: region for region in Region.objects.all()}
    for region in regions.values():
        above = regions[region.parent_id].path if region.parent_id else ""
        assert region.path == ("" if region.level == Level.MINISTRY else above + region.code)


def test_retired_codes_are_kept_with_their_dates() -> None:
    old = Region.objects.get(pk="610125")
    assert (old.name, old.retired) == ("户县", True)
    assert Region.objects.in_force(dt.date(2010, 1, 1)).filter(pk="610125").exists()
    assert not Region.objects.in_force(dt.date(2010, 1, 1)).filter(pk="610118").exists()


def test_loading_again_adds_nothing() -> None:
    assert load_regions(Region) == 0
    Region.objects.filter(pk="610113").delete()
    assert load_regions(Region) == 1


def test_full_names() -> None:
    assert Region.objects.get(pk="610113").full_name() == "陕西省西安市雁塔区"
    assert Region.objects.get(pk="000000").full_name() == ""
