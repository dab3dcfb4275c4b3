"""Students and their family members: the 78 fields of the standard as columns.

The number in the comment behind a column is that of the field in the standard. Field 1 (学校标识码) is
`school`; fields 47 to 58 and 59 to 70 are the two rows of `FamilyMember`. Codes are kept as the standard
writes them (`registry.students.fields` has their tables); yes and no are "1" and "0", empty is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.fields import BytewiseCharField
from registry.orgs.models import School
from registry.scope import limit_to_unit
from registry.students.names import search_keys

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User


class Status(models.TextChoices):
    """Where a registration stands. `active` and `suspended` are the ones that hold their student number."""

    ACTIVE = "active", _("在校")
    SUSPENDED = "suspended", _("休学")
    GRADUATED = "graduated", _("毕业")
    LEFT = "left", _("离校")
    VOID = "void", _("作废")


HOLDS_NUMBER = (Status.ACTIVE, Status.SUSPENDED)


class StudentQuerySet(models.QuerySet["Student"]):
    """Look-ups on students."""

    def visible_to(self, user: User | AnonymousUser) -> StudentQuerySet:
        """The students of the user's unit; a system administrator sees no student at all."""
        if not user.is_authenticated or not user.does_registry_business:
            return self.none()
        return limit_to_unit(self, user, path="region_path", school="school")


class Student(models.Model):
    """A student's registration. `id` never changes and is never reused; the student number may."""

    # What the registry itself keeps
    school = models.ForeignKey(School, models.PROTECT, related_name="students", verbose_name=_("学校"))  # 1
    region_path = BytewiseCharField(_("区划路径"), max_length=18, blank=True, editable=False)
    status = models.CharField(_("学籍状态"), max_length=10, choices=Status.choices, default=Status.ACTIVE)
    student_number = BytewiseCharField(_("学籍号"), max_length=19, blank=True)
    # Indexes of text columns stand in Meta: `db_index` and `unique` would make a second one for LIKE.
    # Oracle drops conditional unique constraints: so the number again, or NULL when it isn't held.
    active_key = BytewiseCharField(max_length=19, null=True, editable=False)
    search_pinyin = BytewiseCharField(_("拼音检索"), max_length=120, blank=True, editable=False)
    search_initials = BytewiseCharField(_("首字母检索"), max_length=36, blank=True, editable=False)
    photo = models.CharField(_("照片"), max_length=120, blank=True)  # below SHARED_ROOT/photos
    created_at = models.DateTimeField(_("登记时间"), default=timezone.now, editable=False)
    updated_at = models.DateTimeField(_("更新时间"), auto_now=True)

    # The person
    name = BytewiseCharField(_("姓名"), max_length=36)  # 2
    sex = models.CharField(_("性别"), max_length=1)  # 3
    birth_date = models.DateField(_("出生日期"))  # 4
    birth_region = models.CharField(_("出生地行政区划"), max_length=12)  # 5
    native_place = models.CharField(_("籍贯"), max_length=20)  # 6
    ethnicity = models.CharField(_("民族"), max_length=2)  # 7
    nationality = models.CharField(_("国籍/地区"), max_length=3)  # 8
    id_type = models.CharField(_("身份证件类型"), max_length=1)  # 9
    overseas = models.CharField(_("港澳台侨外"), max_length=2)  # 10
    health = models.CharField(_("健康状况"), max_length=2)  # 11
    political = models.CharField(_("政治面貌"), max_length=2, blank=True)  # 12
    id_number = BytewiseCharField(_("身份证件号"), max_length=20, blank=True)  # 13
    household_type = models.CharField(_("户口性质"), max_length=1)  # 14
    household_region = models.CharField(_("户口所在地行政区划"), max_length=12)  # 15

    # The registration
    class_number = models.CharField(_("班号"), max_length=4)  # 16
    admission_month = models.CharField(_("入学年月"), max_length=6)  # 17, YYYYMM
    admission_way = models.CharField(_("入学方式"), max_length=2)  # 18
    attendance = models.CharField(_("就读方式"), max_length=1)  # 19

    # Where to reach
    current_address = models.CharField(_("现住址"), max_length=180)  # 20
    postal_address = models.CharField(_("通信地址"), max_length=180)  # 21
    home_address = models.CharField(_("家庭地址"), max_length=180)  # 22
    phone = models.CharField(_("联系电话"), max_length=30)  # 23
    postcode = models.CharField(_("邮政编码"), max_length=6)  # 24

    # Circumstances
    only_child = models.CharField(_("是否独生子女"), max_length=1)  # 25
    preschool = models.CharField(_("是否受过学前教育"), max_length=1)  # 26
    left_behind = models.CharField(_("是否留守儿童"), max_length=1)  # 27
    needs_aid = models.CharField(_("是否需要申请资助"), max_length=1)  # 28
    receives_subsidy = models.CharField(_("是否享受一补"), max_length=1)  # 29
    orphan = models.CharField(_("是否孤儿"), max_length=1)  # 30
    martyr_family = models.CharField(_("是否烈士或优抚子女"), max_length=1)  # 31
    distance_km = models.DecimalField(_("上下学距离"), max_digits=5, decimal_places=2)  # 32
    transport = models.CharField(_("上下学交通方式"), max_length=1)  # 33
    needs_bus = models.CharField(_("是否需要乘坐校车"), max_length=1)  # 34

    # More about the person
    former_name = models.CharField(_("曾用名"), max_length=36, blank=True)  # 35
    id_valid = models.CharField(_("身份证件有效期"), max_length=17, blank=True)  # 36
    blood = models.CharField(_("血型"), max_length=2, blank=True)  # 37
    talent = models.CharField(_("特长"), max_length=120, blank=True)  # 38
    auxiliary_number = models.CharField(_("学籍辅号"), max_length=30, blank=True)  # 39
    class_roll = models.CharField(_("班内学号"), max_length=4, blank=True)  # 40
    source = models.CharField(_("学生来源"), max_length=1, blank=True)  # 41
    email = models.CharField(_("电子信箱"), max_length=40, blank=True)  # 42
    homepage = models.CharField(_("主页地址"), max_length=60, blank=True)  # 43
    disability = models.CharField(_("残疾类型"), max_length=1, blank=True)  # 44
    bought_place = models.CharField(_("是否由政府购买学位"), max_length=1, blank=True)  # 45
    mainstreamed = models.CharField(_("随班就读"), max_length=1, blank=True)  # 46

    # Later additions to the standard
    migrant_child = models.CharField(_("是否进城务工人员随迁子女"), max_length=1)  # 71
    continuation_mark = models.CharField(_("学籍接续标识"), max_length=30, blank=True)  # 72
    campus = models.CharField(_("校区号"), max_length=4, blank=True)  # 73
    rural_left_behind = models.CharField(_("是否农村留守儿童"), max_length=1, blank=True)  # 74
    disabled = models.CharField(_("是否残疾人"), max_length=1, blank=True)  # 75
    accompanying_child = models.CharField(_("是否随迁子女"), max_length=1, blank=True)  # 76
    grade = models.CharField(_("年级"), max_length=4, blank=True)  # 77
    name_pinyin = models.CharField(_("姓名拼音"), max_length=60, blank=True)  # 78

    objects = StudentQuerySet.as_manager()

    class Meta:
        verbose_name = _("学生")
        verbose_name_plural = _("学生")
        indexes = (
            models.Index(fields=["region_path", "search_pinyin"], name="student_path_idx"),
            models.Index(fields=["search_pinyin"], name="student_pinyin_idx"),
            models.Index(fields=["search_initials", "search_pinyin"], name="student_initials_idx"),
            models.Index(fields=["student_number"], name="student_number_idx"),
            models.Index(fields=["name", "birth_date"], name="student_name_idx"),
            models.Index(fields=["id_number"], name="student_id_number_idx"),
        )
        constraints = (
            models.UniqueConstraint(fields=["active_key"], name="student_active_key_uniq"),
            models.CheckConstraint(
                name="student_active_key",
                condition=Q(active_key__isnull=True) | Q(active_key=F("student_number")),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save with the derived columns (path, active key, search keys) brought up to date."""
        derived = self.derive()
        if kwargs.get("update_fields") is not None:
            kwargs["update_fields"] = {*kwargs["update_fields"], *derived}
        super().save(*args, **kwargs)

    def derive(self) -> tuple[str, ...]:
        """Fill the columns that follow from others, and return their names; bulk writers call it too."""
        self.region_path = self.school.region_path
        holds = self.student_number and self.status in HOLDS_NUMBER
        self.active_key = self.student_number if holds else None
        self.name_pinyin, self.search_pinyin, self.search_initials = search_keys(self.name, self.name_pinyin)
        return ("region_path", "active_key", "name_pinyin", "search_pinyin", "search_initials")


class FamilyMember(models.Model):
    """A family member; `position` 1 is fields 47 to 58 of the standard, 2 is fields 59 to 70."""

    student = models.ForeignKey(  # the constraint below begins with it: an index of its own would be a second
        Student, models.CASCADE, related_name="family", db_index=False, verbose_name=_("学生")
    )
    position = models.PositiveSmallIntegerField(_("序号"))
    name = models.CharField(_("姓名"), max_length=36)  # 47, 59
    kinship = models.CharField(_("关系"), max_length=2, blank=True)  # 48, 60
    kinship_note = models.CharField(_("关系说明"), max_length=20, blank=True)  # 49, 61
    address = models.CharField(_("现住址"), max_length=180, blank=True)  # 50, 62
    household_region = models.CharField(_("户口所在地行政区划"), max_length=12, blank=True)  # 51, 63
    phone = models.CharField(_("联系电话"), max_length=30, blank=True)  # 52, 64
    guardian = models.CharField(_("是否监护人"), max_length=1, blank=True)  # 53, 65
    id_type = models.CharField(_("身份证件类型"), max_length=1, blank=True)  # 54, 66
    id_number = models.CharField(_("身份证件号"), max_length=20, blank=True)  # 55, 67
    ethnicity = models.CharField(_("民族"), max_length=2, blank=True)  # 56, 68
    workplace = models.CharField(_("工作单位"), max_length=80, blank=True)  # 57, 69
    job_title = models.CharField(_("职务"), max_length=30, blank=True)  # 58, 70

    class Meta:
        verbose_name = _("家庭成员")
        verbose_name_plural = _("家庭成员")
        ordering = ("position",)
        constraints = (models.UniqueConstraint(fields=["student", "position"], name="family_position_uniq"),)

    def __str__(self) -> str:
        return self.name


class NumberKind(models.TextChoices):
    """What a student number is made of: its first letter."""

    CITIZEN = "G", _("身份证号")
    SELF_MADE = "J", _("自编号")
    TEMPORARY = "L", _("临时学籍号")


class StudentNumber(models.Model):
    """One entry in the history of a student's number: which number since when, and why."""

    student = models.ForeignKey(Student, models.CASCADE, related_name="numbers", verbose_name=_("学生"))
    kind = models.CharField(_("类别"), max_length=1, choices=NumberKind.choices)
    number = BytewiseCharField(_("学籍号"), max_length=19)
    since = models.DateTimeField(_("启用时间"), default=timezone.now)
    reason = models.CharField(_("原因"), max_length=120, blank=True)
    by = models.ForeignKey(
        "accounts.User",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("经办账号"),
    )

    class Meta:
        verbose_name = _("学籍号历史")
        verbose_name_plural = _("学籍号历史")
        ordering = ("since", "id")
        indexes = (models.Index(fields=["number"], name="student_number_history_idx"),)

    def __str__(self) -> str:
        return self.number
