"""What the database itself guards."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import IntegrityError, transaction

from registry.students.models import HOLDS_NUMBER, Status, Student

from .. import factories


def test_one_active_registration_per_number(world: SimpleNamespace) -> None:
    number = world.students["near"].student_number
    with pytest.raises(IntegrityError), transaction.atomic():
        factories.make_student(world.schools["far"], student_number=number)


@pytest.mark.parametrize("status", [status for status in Status if status not in HOLDS_NUMBER])
def test_a_number_is_free_again_when_its_holder_has_left(world: SimpleNamespace, status: Status) -> None:
    holder = world.students["near"]
    holder.status = status
    holder.save(update_fields=["status"])
    again = factories.make_student(world.schools["far"], student_number=holder.student_number)
    assert Student.objects.get(active_key=holder.student_number) == again


def test_many_students_may_have_no_number_yet(world: SimpleNamespace) -> None:
    for _ in range(2):
        factories.make_student(world.schools["near"], student_number="")
    assert Student.objects.filter(active_key__isnull=True).count() == 2


def test_the_active_key_can_only_be_the_number(world: SimpleNamespace) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Student.objects.filter(pk=world.students["near"].pk).update(active_key="G0")


def test_saving_keeps_the_derived_columns_in_step(world: SimpleNamespace) -> None:
    student = world.students["near"]
    student.name, student.name_pinyin = "王明", ""
    student.school = world.schools["far"]
    student.save()
    student.refresh_from_db()
    assert (student.search_pinyin, student.search_initials) == ("wangming", "wm")
    assert student.region_path == world.schools["far"].region_path


def test_a_student_has_one_family_member_at_a_position(world: SimpleNamespace) -> None:
    member = world.students["near"].family.get()
    member.pk = None
    with pytest.raises(IntegrityError), transaction.atomic():
        member.save()
