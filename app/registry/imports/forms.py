"""The upload form."""

from __future__ import annotations

from django import forms
from django.utils.translation import gettext_lazy as _

ROOM = 64 * 1024  # of the request around the file


class UploadForm(forms.Form):
    """A workbook, and what becomes of its good rows when others are bad."""

    file = forms.FileField(label=_("工作簿"), error_messages={"required": _("请选择要导入的工作簿（.xlsx）")})
    accept_good = forms.ChoiceField(
        label=_("有问题时"),
        choices=[("no", _("全部合格才入库")), ("yes", _("合格行先入库，问题行退回"))],
        initial="no",
    )
