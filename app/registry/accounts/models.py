"""Accounts of units, and the log of who signed in and who looked at personal data."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import ASCIIUsernameValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.orgs.models import School
from registry.regions.models import Level, Region
from registry.scope import subtree


class Kind(models.TextChoices):
    """The three kinds of account of every unit, kept apart (S2 1.5(1))."""

    REGISTRAR = "registrar", _("学籍管理员")
    LEADER = "leader", _("学籍主管领导")
    ADMINISTRATOR = "administrator", _("系统管理员")


class UserManager(BaseUserManager["User"]):
    """Makes accounts; there is no superuser: nobody stands above the scope rule."""

    def create_user(self, username: str, password: str | None = None, **fields: Any) -> User:
        """Create an account of one unit: exactly one of `region` and `school`."""
        user = self.model(username=self.model.normalize_username(username), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_queryset(self) -> models.QuerySet[User]:
        """Users together with their unit: the scope rule needs it in every request."""
        return super().get_queryset().select_related("region", "school")


class User(AbstractBaseUser):
    """An account: a kind at a unit (a region of any level, or a school), bound to a named person."""

    username = models.CharField(
        _("账号"),
        max_length=40,
        unique=True,
        validators=[ASCIIUsernameValidator()],
        error_messages={"unique": _("该账号已存在")},
    )
    display_name = models.CharField(_("姓名"), max_length=36)
    kind = models.CharField(_("账号类型"), max_length=14, choices=Kind.choices)
    region = models.ForeignKey(
        Region, models.PROTECT, null=True, blank=True, related_name="accounts", verbose_name=_("所属区划")
    )
    school = models.ForeignKey(
        School, models.PROTECT, null=True, blank=True, related_name="accounts", verbose_name=_("所属学校")
    )
    is_active = models.BooleanField(_("启用"), default=True)
    must_change_password = models.BooleanField(_("须修改密码"), default=True)
    password_changed_at = models.DateTimeField(_("密码修改时间"), null=True, blank=True)
    created_at = models.DateTimeField(_("创建时间"), default=timezone.now, editable=False)

    objects = UserManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS = ("display_name", "kind")

    class Meta:
        verbose_name = _("账号")
        verbose_name_plural = _("账号")
        constraints = (
            models.CheckConstraint(
                name="user_one_unit",
                condition=Q(region__isnull=False, school__isnull=True)
                | Q(region__isnull=True, school__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return self.username

    @property
    def level(self) -> str:
        """The unit's level: ministry, province, city, county or school (`Level`)."""
        return Level.SCHOOL.value if self.school_id else self.region.level

    @property
    def level_label(self) -> str:
        """The level in the reader's language."""
        return str(Level(self.level).label)

    @property
    def unit(self) -> Region | School:
        """The region or the school that the account belongs to."""
        return self.school or self.region

    @property
    def does_registry_business(self) -> bool:
        """Whether the account may see students at all: a system administrator never may."""
        return self.kind != Kind.ADMINISTRATOR

    @property
    def may_import(self) -> bool:
        """Whether the account may enter students: registrars only."""
        return self.kind == Kind.REGISTRAR

    def get_full_name(self) -> str:
        """The person's name."""
        return self.display_name

    def get_short_name(self) -> str:
        """The person's name."""
        return self.display_name


class Action(models.TextChoices):
    """What the audit log records."""

    LOGIN = "login", _("登录")
    LOGIN_FAILED = "login_failed", _("登录失败")
    LOGIN_BLOCKED = "login_blocked", _("登录受限")
    LOGOUT = "logout", _("退出")
    PASSWORD_CHANGED = "password_changed", _("修改密码")
    REVEAL = "reveal", _("查看敏感信息")
    DOWNLOAD = "download", _("下载含个人信息的文件")


class AuditEntryQuerySet(models.QuerySet["AuditEntry"]):
    """Look-ups on the audit log."""

    def visible_to(self, user: User) -> AuditEntryQuerySet:
        """Entries of accounts in the user's subtree; those under unknown names are the ministry's alone."""
        if not user.is_authenticated:
            return self.none()
        if user.school_id is not None:
            return self.filter(user__school=user.school_id)
        if not user.region.path:
            return self
        inside = subtree(user.region.path, "user__region__path") | subtree(
            user.region.path, "user__school__region_path"
        )
        return self.filter(inside)


class AuditEntry(models.Model):
    """One line of the audit log; written once, never changed by the application."""

    at = models.DateTimeField(_("时间"), default=timezone.now)
    action = models.CharField(_("操作"), max_length=20, choices=Action.choices)
    user = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="audit_entries", verbose_name=_("账号")
    )
    username = models.CharField(_("账号名"), max_length=40, blank=True)
    address = models.CharField(_("来源地址"), max_length=39, blank=True)
    target = models.CharField(_("对象"), max_length=60, blank=True)
    detail = models.CharField(_("说明"), max_length=200, blank=True)
    node = models.CharField(_("节点"), max_length=64, blank=True)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("审计日志")
        verbose_name_plural = _("审计日志")
        ordering = ("-at", "-id")
        indexes = (
            models.Index(fields=["username", "action", "at"], name="audit_username_idx"),
            models.Index(fields=["address", "action", "at"], name="audit_address_idx"),
            models.Index(fields=["target", "at"], name="audit_target_idx"),
        )

    def __str__(self) -> str:
        return f"{self.at:%F %T} {self.username} {self.action} {self.target}"
