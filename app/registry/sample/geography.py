"""Counties with the history of their codes, and the schools spread over them."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass, field

from registry.sample.data_files import words

# Share of pupils by city, in per mille (published enrolment, rounded).
CITY_WEIGHTS = {
    "6101": 320, "6102": 20, "6103": 85, "6104": 110, "6105": 115,
    "6106": 65, "6107": 85, "6108": 110, "6109": 65, "6110": 60,
}  # fmt: skip
STAGES = {  # stage: (category digits of the school code [R], name, years, first grade code)
    "primary": ("21", "小学", 6, 11),
    "junior": ("31", "初级中学", 3, 21),
    "senior": ("33", "高级中学", 3, 31),
}
_SHARE = (("primary", 0.56), ("junior", 0.25), ("senior", 0.19))


@dataclass(frozen=True)
class County:
    """A county in force today. `name`: 雁塔区; `full_name`: 陕西省西安市雁塔区.

    `before`: (last day + 1, code) of the code that this county had before, newest first.
    """

    code: str
    name: str
    full_name: str
    path: str
    before: tuple[tuple[dt.date, str], ...] = ()

    def code_on(self, day: dt.date) -> str:
        """The county's code on a day: whoever was born then carries it for life."""
        for until, code in reversed(self.before):
            if day < until:
                return code
        return self.code


@dataclass(frozen=True)
class SampleSchool:
    """A made-up school. `places`: how many pupils it gets."""

    code: str
    name: str
    stage: str
    county: County
    address: str
    places: int = field(default=0, compare=False)


def make_schools(counties: list[County], students: int, rng: random.Random) -> list[SampleSchool]:
    """Schools for `students` pupils: small numbers fill few counties, so that classes stay realistic."""
    weights = _county_weights(counties, rng)
    chosen = sorted(weights, key=lambda county: -weights[county])[
        : max(1, min(len(counties), students // 90))
    ]
    chosen.sort(key=lambda county: county.code)
    total = sum(weights[county] for county in chosen)
    schools: list[SampleSchool] = []
    sequence = dict.fromkeys(STAGES, 0)
    left = students
    for index, county in enumerate(chosen):
        share = left if index == len(chosen) - 1 else min(left, round(students * weights[county] / total))
        left -= share
        schools += _county_schools(county, share, sequence, rng)
    return schools


def _county_weights(counties: list[County], rng: random.Random) -> dict[County, float]:
    by_city: dict[str, list[County]] = {}
    for county in counties:
        by_city.setdefault(county.code[:4], []).append(county)
    weights = {}
    for city, members in by_city.items():
        sizes = [0.5 + rng.random() for _ in members]
        for county, size in zip(members, sizes, strict=True):
            weights[county] = CITY_WEIGHTS.get(city, 10) * size / sum(sizes)
    return weights


def _county_schools(
    county: County, share: int, sequence: dict[str, int], rng: random.Random
) -> list[SampleSchool]:
    made = []
    stems = rng.sample(words()["stem"], len(words()["stem"]))
    left = share
    for stage, part in _SHARE:
        wanted = left if stage == _SHARE[-1][0] else round(share * part)
        wanted = min(wanted, left)
        left -= wanted
        count = max(1, round(wanted / 420)) if wanted else 0
        category, kind, _, _ = STAGES[stage]
        for index in range(count):
            sequence[stage] += 1
            short = county.name if len(county.name) == 2 else county.name.rstrip("区县市")
            made.append(
                SampleSchool(
                    code=f"{category}61{sequence[stage]:06d}",
                    name=f"{short}{stems[(len(made)) % len(stems)]}{kind}",
                    stage=stage,
                    county=county,
                    address=f"{county.full_name}{rng.choice(words()['street'])}{rng.randint(1, 299)}号",
                    places=wanted // count + (index < wanted % count),
                )
            )
    return made
