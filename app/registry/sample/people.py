"""Made-up students with their families, as rows of the collection template."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from registry.sample.data_files import elsewhere, given_characters, surnames, words
from registry.sample.geography import STAGES, County, SampleSchool
from registry.students.numbers import check_character

CLASS_SIZE = 42
_TODAY = dt.date(2026, 9, 1)  # fixed: the same seed gives the same province in every year
_CUTOFF = (8, 31)
_PREFIXES = ("133", "135", "138", "150", "158", "177", "189")  # with 0000 behind: nobody's on purpose


@dataclass
class _Parent:
    name: str
    id_number: str
    phone: str
    workplace: str


@dataclass
class _Family:
    """Parents, where they live, and what every child of theirs shares."""

    father: _Parent
    mother: _Parent
    surname: str
    region: str
    address: str
    postcode: str
    rural: bool
    ethnicity: str
    migrant: bool
    children: int = 0
    born: list[dt.date] = field(default_factory=list)


class People:
    """Makes the students of one province from one random generator; never the same id number twice."""

    def __init__(self, counties: list[County], rng: random.Random) -> None:
        self._rng = rng
        self._counties = counties
        self._sequences: dict[tuple[str, str, int], int] = {}
        self._families: list[_Family] = []
        self._own: set[str] = set()
        self._phones = 0

    def of_school(self, school: SampleSchool) -> Iterator[dict[str, str]]:
        """The school's pupils, class by class, keyed as in registry.students.fields."""
        years, first_grade = STAGES[school.stage][2:]
        self._families = []
        self._own = {school.county.code, *(code for _, code in school.county.before)}
        for index in range(years):
            pupils = school.places // years + (index < school.places % years)
            entered = _TODAY.year - index
            age = {11: 6, 21: 12, 31: 15}[first_grade]
            for at in range(pupils):
                yield self._student(school, entered, age, str(first_grade + index), at)

    def _student(self, school: SampleSchool, entered: int, age: int, grade: str, at: int) -> dict[str, str]:
        rng = self._rng
        latest = dt.date(entered - age, *_CUTOFF)
        birth = latest - dt.timedelta(days=rng.randrange(365))
        sex = "1" if rng.random() < 0.52 else "2"
        family = self._family(school.county, birth)
        without_id = rng.random() < 0.006
        birth_county = rng.choice(self._counties) if rng.random() < 0.05 else school.county
        birth_region = family.region if family.migrant else birth_county.code_on(birth)
        row = {
            "school_code": school.code,
            "name": self._name(family.surname, "boy" if sex == "1" else "girl"),
            "sex": sex,
            "birth_date": birth.isoformat().replace("-", ""),
            "birth_region": birth_region,
            "native_place": elsewhere().get(birth_region, birth_county.full_name)[:20],
            "ethnicity": family.ethnicity,
            "nationality": "CHN",
            "id_type": "Z" if without_id else "1",
            "overseas": "00",
            "id_number": "" if without_id else self._id_number(birth_region, birth, int(sex)),
            "household_region": family.region,
            "class_number": f"{int(grade) % 10:02d}{at // CLASS_SIZE + 1:02d}",
            "admission_month": f"{entered}09",
            "admission_way": "21" if school.stage == "senior" else "11",
            "class_roll": f"{at % CLASS_SIZE + 1:02d}",
            "grade": grade,
        }
        row |= self._circumstances(family, school.stage)
        row |= _parents(family, left_behind=row["left_behind"] != "0")
        return row

    def _circumstances(self, family: _Family, stage: str) -> dict[str, str]:
        rng = self._rng
        left = rng.choices("012", (82, 11, 7))[0] if family.rural else "0"
        disabled = rng.random() < 0.004
        disability = rng.choice("1245") if disabled else "0"
        far = rng.random() < (0.5 if family.rural else 0.2)
        boarding = stage != "primary" and rng.random() < 0.55
        transport = rng.choices("12345", (45, 12, 15, 23, 5) if far else (70, 10, 5, 14, 1))[0]
        return {
            "health": "50" if disabled else rng.choices(("10", "20", "30"), (96, 3, 1))[0],
            "political": "03" if stage == "senior" and rng.random() < 0.35 else "13",
            "household_type": "1" if family.rural else "2",
            "attendance": "2" if boarding else "1",
            "current_address": family.address,
            "postal_address": family.address,
            "home_address": family.address,
            "phone": family.father.phone,
            "postcode": family.postcode,
            "only_child": "1" if family.children < 2 and rng.random() < 0.6 else "0",
            "preschool": "1" if rng.random() < 0.95 else "0",
            "left_behind": left,
            "needs_aid": "1" if family.rural and rng.random() < 0.15 else "0",
            "receives_subsidy": "1" if boarding and rng.random() < 0.3 else "0",
            "orphan": "0",
            "martyr_family": "0",
            "distance_km": f"{rng.uniform(3, 18) if far else rng.uniform(0.2, 3):.1f}",
            "transport": transport,
            "needs_bus": "1" if transport == "5" else "0",
            "blood": rng.choice("01234"),
            "talent": rng.choice(words()["talent"]) if rng.random() < 0.1 else "",
            "source": "1",
            "disability": disability,
            "bought_place": "0",
            "mainstreamed": {"0": "0", "1": "1", "2": "2", "4": "0", "5": "3"}[disability],
            "migrant_child": "1" if family.migrant else "0",
            "rural_left_behind": "1" if left != "0" else "0",
            "disabled": "1" if disabled else "0",
            "accompanying_child": "1" if family.migrant else "0",
        }

    def _family(self, county: County, birth: dt.date) -> _Family:
        """A family with room for a child born then: now and then one that already has a child here."""
        rng = self._rng
        if self._families and rng.random() < 0.22:
            known = self._families[rng.randrange(len(self._families))]
            if known.children < 3 and all(abs((birth - other).days) > 500 for other in known.born):
                known.children += 1
                known.born.append(birth)
                return known
        family = self._new_family(county, birth)
        self._families.append(family)
        return family

    def _new_family(self, county: County, birth: dt.date) -> _Family:
        rng = self._rng
        migrant = rng.random() < (0.08 if county.code.startswith("6101") else 0.015)
        rural = not migrant and rng.random() < (0.25 if county.code.startswith("6101") else 0.6)
        region = rng.choice(list(elsewhere())) if migrant else county.code
        surname = self._surname()
        word = words()
        place = (
            f"{rng.choice(word['village'])}{rng.randint(1, 9)}组{rng.randint(1, 180)}号"
            if rural
            else f"{rng.choice(word['street'])}{rng.randint(1, 299)}号{rng.choice(word['estate'])}"
            f"{rng.randint(1, 28)}号楼{rng.randint(1, 3)}单元{rng.randint(1, 33)}{rng.randint(1, 4):02d}室"
        )
        return _Family(
            father=self._parent(surname, "father", county, birth, 1),
            mother=self._parent(self._surname(), "mother", county, birth, 2),
            surname=surname,
            region=region,
            address=county.full_name + place,
            postcode=f"7{int(county.code[2:4]) % 10}{int(county.code[4:]) % 100:02d}00",
            rural=rural,
            ethnicity=rng.choices(("01", "03", "11", "02", "07"), (9930, 55, 7, 5, 3))[0],
            migrant=migrant,
            children=1,
            born=[birth],
        )

    def _parent(self, surname: str, kind: str, county: County, child: dt.date, sex: int) -> _Parent:
        rng = self._rng
        birth = child - dt.timedelta(days=rng.randrange(22 * 365, 38 * 365))
        region = rng.choice(self._counties) if rng.random() < 0.2 else county
        self._phones += 1
        return _Parent(
            name=self._name(surname, kind),
            id_number=self._id_number(region.code_on(birth), birth, sex),
            phone=f"{rng.choice(_PREFIXES)}0000{self._phones % 10000:04d}",
            workplace=rng.choice(words()["workplace"]),
        )

    def _surname(self) -> str:
        names, cumulated = surnames()
        return self._rng.choices(names, cum_weights=cumulated)[0]

    def _name(self, surname: str, kind: str) -> str:
        characters = given_characters()[kind]
        rng = self._rng
        first = characters[int(rng.random() * len(characters))]
        if rng.random() < 0.12:
            return surname + first
        return surname + first + characters[int(rng.random() * len(characters))]

    def _id_number(self, region: str, birth: dt.date, sex: int) -> str:
        """The next free number of a region, a day and a sex; at most 500 of each."""
        day = birth.isoformat().replace("-", "")
        key = (region, day, sex % 2)
        number = self._sequences.get(key)
        if (
            number is None
        ):  # born elsewhere: the upper half, so that another county's own children don't collide
            number = self._rng.randrange(10, 200) if region in self._own else self._rng.randrange(250, 480)
        self._sequences[key] = number + 1
        first17 = f"{region}{day}{(number * 2 + (sex % 2 == 1)) % 1000:03d}"
        return first17 + check_character(first17)


def _parents(family: _Family, *, left_behind: bool) -> dict[str, str]:
    """Fields 47 to 70; the mother stands first where the children stay behind, so numbers vary."""
    order = [("51", family.father), ("52", family.mother)]
    if left_behind:
        order.reverse()
    row = {}
    for member, (kinship, parent) in zip(("member1", "member2"), order, strict=True):
        row |= {
            f"{member}_name": parent.name,
            f"{member}_kinship": kinship,
            f"{member}_address": family.address,
            f"{member}_household_region": family.region,
            f"{member}_phone": parent.phone,
            f"{member}_guardian": "1",
            f"{member}_id_type": "1",
            f"{member}_id_number": parent.id_number,
            f"{member}_ethnicity": family.ethnicity,
            f"{member}_workplace": parent.workplace,
        }
    return row
