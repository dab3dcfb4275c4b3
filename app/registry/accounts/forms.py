"""Forms of signing in and of passwords."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.forms import AuthenticationForm, PasswordChangeForm
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _


class LoginForm(AuthenticationForm):
    """Account and password."""

    error_messages: ClassVar = {
        "invalid_login": _("账号或密码不正确。"),
        "inactive": _("该账号已停用。"),
    }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            field.widget.attrs["class"] = "form-control form-control-lg"
            field.widget.attrs["placeholder"] = _("请输入账号") if name == "username" else _("请输入密码")


class NewPasswordForm(PasswordChangeForm):
    """Old password, new one twice; the new one must differ."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            field.widget.attrs["class"] = "form-control"

    def clean_new_password1(self) -> str:
        """Refuse the old password as the new one."""
        new = self.cleaned_data.get("new_password1", "")
        if new and new == self.cleaned_data.get("old_password"):
            raise ValidationError(_("新密码不能与原密码相同。"), code="same")
        return new
