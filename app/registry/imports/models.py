"""Import jobs and their staging.

A job goes through its states in order, and each step is either repeatable or recorded in the same
transaction as its effect; see `registry.imports.runner`. Staging is one row per chunk of the sheet
(`ImportChunk`), written once with everything the later steps need, so that a killed worker goes on after the
last chunk it had checked.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.accounts.models import Kind
from registry.scope import subtree

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import AnonymousUser

    from registry.accounts.models import User


class State(models.TextChoices):
    """Where a job stands. The last four are final."""

    QUEUED = "queued", _("等待处理")
    READING = "reading", _("读取工作簿")
    CHECKING = "checking", _("逐列检查")
    COMPARING = "comparing", _("查重")
    LOADING = "loading", _("写入学籍库")
    REPORTING = "reporting", _("生成退回表")
    DONE = "done", _("已完成")
    REJECTED = "rejected", _("未通过检查")
    FAILED = "failed", _("处理失败")
    CANCELLED = "cancelled", _("已取消")


FINAL = (State.DONE, State.REJECTED, State.FAILED, State.CANCELLED)


class ImportJobQuerySet(models.QuerySet["ImportJob"]):
    """Look-ups on jobs."""

    def visible_to(self, user: User | AnonymousUser) -> ImportJobQuerySet:
        """The jobs of the registrar's own unit and of the units below it.

        A job's files hold personal data, so leaders and system administrators see none.
        """
        if not user.is_authenticated or not user.is_active or user.kind != Kind.REGISTRAR:
            return self.none()
        if user.school_id is not None:
            return self.filter(unit_school=user.school_id)
        return self.filter(subtree(user.region.path, "unit_path"))

    def unfinished(self) -> ImportJobQuerySet:
        """The jobs on which there is still work to do."""
        return self.exclude(state__in=FINAL)


class ImportJob(models.Model):
    """One uploaded workbook.

    `key` makes an upload one job however often it is sent: hash of content and unit.
    `attempts` is raised by every run and by a cancellation, and every write of a run asks for its own number:
    a worker that was taken for dead, or whose job was cancelled, can write nothing more.
    """

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    key = models.CharField(max_length=64, unique=True, editable=False)
    uploader = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="import_jobs", verbose_name=_("上传账号")
    )
    unit_path = models.CharField(max_length=18, blank=True, editable=False)
    unit_school = models.BigIntegerField(null=True, editable=False)
    file_name = models.CharField(_("文件名"), max_length=160)
    file_path = models.CharField(max_length=120)  # below SHARED_ROOT
    file_size = models.BigIntegerField(_("大小"))
    file_digest = models.CharField(max_length=64)
    accept_good = models.BooleanField(_("合格行先入库"), default=False)

    state = models.CharField(_("状态"), max_length=10, choices=State.choices, default=State.QUEUED)
    message = models.CharField(_("说明"), max_length=400, blank=True)
    columns = models.JSONField(default=list)  # field keys in the order of the sheet's columns
    template = models.CharField(_("模板版本"), max_length=12, blank=True)
    sheet = models.CharField(_("工作表"), max_length=64, blank=True)
    total_rows = models.IntegerField(_("总行数"), default=0)
    checked_rows = models.IntegerField(_("已检查行数"), default=0)
    rejected_rows = models.IntegerField(_("退回行数"), default=0)
    bad_cells = models.IntegerField(_("问题单元格数"), default=0)
    loaded_rows = models.IntegerField(_("入库行数"), default=0)
    notices = models.JSONField(default=list)  # lines the uploader should know, e.g. missing optional columns
    summary = models.JSONField(default=list)  # [[field name, text, how many], …], most frequent first
    preview = models.JSONField(default=list)  # [[sheet row, field name, value, text], …], the first hundred
    timings = models.JSONField(default=dict)  # {step: seconds}
    report_path = models.CharField(max_length=120, blank=True)

    attempts = models.IntegerField(default=0)
    created_at = models.DateTimeField(_("上传时间"), default=timezone.now)
    started_at = models.DateTimeField(_("开始时间"), null=True, blank=True)
    committed_at = models.DateTimeField(_("入库时间"), null=True, blank=True)
    finished_at = models.DateTimeField(_("完成时间"), null=True, blank=True)

    objects = ImportJobQuerySet.as_manager()

    class Meta:
        verbose_name = _("导入任务")
        verbose_name_plural = _("导入任务")
        ordering = ("-created_at", "-id")
        indexes = (
            models.Index(fields=["unit_path", "created_at"], name="import_job_unit_idx"),
            models.Index(fields=["state"], name="import_job_state_idx"),
        )

    def __str__(self) -> str:
        return self.file_name

    @property
    def path(self) -> Path:
        """The uploaded workbook."""
        return settings.SHARED_ROOT / self.file_path

    @property
    def report(self) -> Path | None:
        """The workbook of rejected rows, once there is one."""
        return settings.SHARED_ROOT / self.report_path if self.report_path else None

    @property
    def colour(self) -> str:
        """The colour of the state's badge."""
        colours = {State.DONE: "green", State.REJECTED: "yellow", State.FAILED: "red"}
        return colours.get(State(self.state), "secondary" if self.finished else "blue")

    @property
    def finished(self) -> bool:
        """Whether nothing more happens by itself."""
        return self.state in FINAL

    @property
    def good_rows(self) -> int:
        """Rows that passed every check so far."""
        return self.checked_rows - self.rejected_rows

    @property
    def percent(self) -> int:
        """How far the job is, 0 to 100: reading 0-25, checking 25-75, comparing and writing 75-95."""
        fixed = {
            State.QUEUED: 0,
            State.READING: 5,
            State.COMPARING: 76,
            State.LOADING: 82,
            State.REPORTING: 95,
        }
        if self.state == State.CHECKING:
            return 25 + (50 * self.checked_rows // self.total_rows if self.total_rows else 0)
        return fixed.get(State(self.state), 100)


class ImportChunk(models.Model):
    """Staging: one checked chunk of the sheet.

    `payload`, `rejects` and `errors` are compressed JSON (see `registry.imports.staging`). The payload is
    dropped in the transaction that loads it.
    """

    job = models.ForeignKey(ImportJob, models.CASCADE, related_name="chunks")
    number = models.IntegerField()
    rows = models.IntegerField()
    rejected = models.IntegerField()
    bad_cells = models.IntegerField()
    keys = models.BinaryField()
    payload = models.BinaryField(null=True)
    rejects = models.BinaryField(null=True)
    errors = models.BinaryField(null=True)

    class Meta:
        verbose_name = _("导入分块")
        verbose_name_plural = _("导入分块")
        ordering = ("number",)
        constraints = (models.UniqueConstraint(fields=["job", "number"], name="import_chunk_uniq"),)

    def __str__(self) -> str:
        return f"{self.job_id}#{self.number}"


class ImportGate(models.Model):
    """A single row that every loading transaction locks: two imports never write at once.

    Without it two workbooks holding the same child, loaded side by side, would each find no duplicate.
    """

    id = models.PositiveSmallIntegerField(primary_key=True)
    passed = models.BigIntegerField(default=0)

    class Meta:
        verbose_name = _("写入闸")
        verbose_name_plural = _("写入闸")

    def __str__(self) -> str:
        return str(self.passed)

    @classmethod
    def enter(cls) -> None:
        """Wait for the gate and hold it until the surrounding transaction ends."""
        row: Any = cls.objects.select_for_update().get(pk=1)
        row.passed += 1
        row.save(update_fields=["passed"])
