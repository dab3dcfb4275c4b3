"""Signs of life of the workers, so that a dead one's task is given to another."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class WorkerBeat(models.Model):
    """One running worker; its row is refreshed every few seconds and removed when it ends."""

    worker_id = models.CharField(_("工作进程"), max_length=64, primary_key=True)
    node = models.CharField(_("节点"), max_length=64)
    pid = models.PositiveIntegerField(_("进程号"))
    beat_at = models.DateTimeField(_("最近心跳"))

    class Meta:
        verbose_name = _("工作进程")
        verbose_name_plural = _("工作进程")

    def __str__(self) -> str:
        return self.worker_id
