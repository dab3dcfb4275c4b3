"""What the student page shows: the 78 fields in groups, codes by name, personal numbers masked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from registry.regions.models import Region
from registry.students.fields import Field, field_by_key
from registry.students.fields_codes import code_label
from registry.students.models import FamilyMember, Student, StudentNumber
from registry.students.numbers import mask_id, mask_phone


@dataclass(frozen=True)
class Heading:
    """A group of the page: which fields, under which title."""

    title: Any
    icon: str
    keys: tuple[str, ...]


GROUPS = (
    Heading(
        title=gettext_lazy("个人基本信息"),
        icon="user",
        keys=(
            *("name", "name_pinyin", "former_name", "sex", "birth_date", "birth_region", "native_place"),
            *("ethnicity", "nationality", "overseas", "political", "health", "blood"),
            *("id_type", "id_number", "id_valid", "household_type", "household_region"),
        ),
    ),
    Heading(
        title=gettext_lazy("学籍信息"),
        icon="school",
        keys=(
            *("school_code", "campus", "grade", "class_number", "class_roll", "auxiliary_number"),
            *("admission_month", "admission_way", "attendance", "source", "continuation_mark"),
        ),
    ),
    Heading(
        title=gettext_lazy("联系方式"),
        icon="address-book",
        keys=("current_address", "postal_address", "home_address", "phone", "postcode", "email", "homepage"),
    ),
    Heading(
        title=gettext_lazy("扩展信息"),
        icon="heart-handshake",
        keys=(
            *("only_child", "preschool", "left_behind", "rural_left_behind", "migrant_child"),
            *("accompanying_child", "orphan", "martyr_family", "disability", "disabled", "mainstreamed"),
            *("needs_aid", "receives_subsidy", "bought_place", "talent"),
        ),
    ),
    Heading(title=gettext_lazy("上下学交通"), icon="bus", keys=("distance_km", "transport", "needs_bus")),
)
WIDE = {"current_address", "postal_address", "home_address", "address", "talent", "school_code"}
FAMILY_FIELDS = (
    *("name", "kinship", "kinship_note", "guardian", "phone", "id_type", "id_number", "ethnicity"),
    *("household_region", "address", "workplace", "job_title"),
)


@dataclass(frozen=True)
class Item:
    """One field for the page. `code` is what is stored when `value` is its name."""

    number: int
    label: str
    value: str
    code: str = ""
    masked: bool = False
    wide: bool = False


@dataclass(frozen=True)
class Group:
    """Some fields under a heading."""

    title: str
    icon: str
    fields: list[Item]


class Details:
    """Builds the groups of one student; asks for the regions' names once."""

    def __init__(self, student: Student, *, revealed: bool = False) -> None:
        self.student = student
        self.revealed = revealed
        self.family = list(student.family.all())
        self._regions = _region_names(
            [student.birth_region, student.household_region, *(one.household_region for one in self.family)]
        )

    def groups(self) -> list[Group]:
        """The student's own fields."""
        fields = field_by_key()
        return [
            Group(
                str(heading.title),
                heading.icon,
                [self._item(fields[key], self._raw(key), key) for key in heading.keys],
            )
            for heading in GROUPS
        ]

    def members(self) -> list[Group]:
        """The family members' fields."""
        return [self._member(member) for member in self.family]

    def student_number(self) -> str:
        """The student number: a G number holds the citizen id, so it is masked like one."""
        number = self.student.student_number
        return number if self.revealed else mask_id(number)

    def numbers(self) -> list[tuple[StudentNumber, str]]:
        """The history of the student number, each entry with the number as it may be shown."""
        entries = self.student.numbers.all()
        return [(entry, entry.number if self.revealed else mask_id(entry.number)) for entry in entries]

    def _member(self, member: FamilyMember) -> Group:
        fields = field_by_key()
        prefix = f"member{member.position}_"
        items = [self._item(fields[prefix + key], getattr(member, key), key, prefix) for key in FAMILY_FIELDS]
        return Group(title=_("家庭成员 %(number)d") % {"number": member.position}, icon="users", fields=items)

    def _raw(self, key: str) -> Any:
        return self.student.school.code if key == "school_code" else getattr(self.student, key)

    def _item(self, field: Field, raw: Any, key: str, prefix: str = "") -> Item:
        value, code = self._shown(field, raw)
        masked = not self.revealed and field.kind in {"id_number", "phone"} and bool(value)
        if masked:
            value = mask_id(value) if field.kind == "id_number" else mask_phone(value)
        label = _(field.name)
        if prefix:  # 成员1姓名 → 姓名: the heading says whose
            label = str(FamilyMember._meta.get_field(key).verbose_name)
        return Item(field.number, label, value, code, masked, key in WIDE)

    def _shown(self, field: Field, raw: Any) -> tuple[str, str]:
        """The text for the page, and the code behind it where there is one."""
        if raw in {"", None}:
            return "", ""
        if field.code_set:
            return code_label(field.code_set, raw), raw
        if field.kind == "region":
            return self._regions.get(raw[:6], raw), raw
        if field.kind == "school_code":
            return self.student.school.name, raw
        return _PLAIN.get(field.kind, str)(raw), ""


_PLAIN: dict[str, Callable[[Any], str]] = {
    "month": lambda text: f"{text[:4]}-{text[4:]}",
    "date": lambda day: day.isoformat(),
    "decimal_km": lambda distance: f"{distance.normalize():f} km",
}


def _region_names(codes: Iterable[str]) -> dict[str, str]:
    """Full names (province to county) of six-digit codes, in one query; unknown codes are left out."""
    wanted = {code[:6] for code in codes if code}
    above = {code[:2] + "0000" for code in wanted} | {code[:4] + "00" for code in wanted}
    names = dict(Region.objects.filter(code__in=wanted | above).values_list("code", "name"))
    shown = {}
    for code in wanted:
        if code in names:
            line = dict.fromkeys((code[:2] + "0000", code[:4] + "00", code))
            shown[code] = "".join(names.get(part, "") for part in line)
    return shown
