"""Signing in and out, passwords, and the audit log."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import LoginView, LogoutView, PasswordChangeView
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from django.views.i18n import set_language

from registry.accounts import throttle
from registry.accounts.audit import record
from registry.accounts.forms import LoginForm, NewPasswordForm
from registry.accounts.models import Action, AuditEntry
from registry.web.addresses import client_address
from registry.web.paging import page_of


class Login(LoginView):
    """The login page; too many failures of an account or an address close it for a while."""

    template_name = "accounts/login.html"
    authentication_form = LoginForm
    redirect_authenticated_user = True

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Refuse blocked accounts and addresses before any password is looked at."""
        username = request.POST.get("username", "")
        if throttle.is_blocked(username, client_address(request)):
            record(Action.LOGIN_BLOCKED, request, username=username)
            context = self.get_context_data(form=self.authentication_form(request), blocked=True)
            return self.render_to_response(context, status=429)
        return super().post(request, *args, **kwargs)

    def form_valid(self, form: LoginForm) -> HttpResponse:
        """Sign in and record it."""
        record(Action.LOGIN, self.request, user=form.get_user())
        return super().form_valid(form)

    def form_invalid(self, form: LoginForm) -> HttpResponse:
        """Record the failure under the name that was typed."""
        record(Action.LOGIN_FAILED, self.request, username=form.data.get("username", ""))
        return super().form_invalid(form)


class Logout(LogoutView):
    """Signing out (POST only)."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Record it, then end the session."""
        if request.user.is_authenticated:
            record(Action.LOGOUT, request, user=request.user)
        return super().post(request, *args, **kwargs)


@method_decorator(transaction.atomic, name="dispatch")
class PasswordChange(PasswordChangeView):
    """The password page; the only one that an account with a handed-out password reaches."""

    template_name = "accounts/password.html"
    form_class = NewPasswordForm
    success_url = reverse_lazy("web:home")

    def form_valid(self, form: NewPasswordForm) -> HttpResponse:
        """Save, lift the duty to change, and record it."""
        form.user.must_change_password = False
        form.user.password_changed_at = timezone.now()
        record(Action.PASSWORD_CHANGED, self.request, user=form.user)
        messages.success(self.request, _("密码已修改。"))
        return super().form_valid(form)


@login_not_required
def set_page_language(request: HttpRequest) -> HttpResponse:
    """Switch the language (POST); works before signing in too."""
    return set_language(request)


@require_safe
def audit(request: HttpRequest) -> HttpResponse:
    """The audit log of the accounts in a system administrator's subtree."""
    if request.user.does_registry_business:
        raise Http404
    entries = AuditEntry.objects.visible_to(request.user).select_related("user")
    action = request.GET.get("action", "")
    if action in Action.values:
        entries = entries.filter(action=action)
    page = page_of(entries, ("-id",), request.GET.get("after", ""))
    template = "accounts/audit_rows.html" if request.htmx else "accounts/audit.html"
    return render(request, template, {"page": page, "actions": Action.choices, "action": action})
