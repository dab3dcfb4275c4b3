"""Signing in, throttling, forced password change, the audit log."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.urls import reverse

from registry.accounts.models import Action, AuditEntry, User
from registry.regions.models import Region

from .. import factories

LOGIN = "/login/"
NEW = "Zhong-lou 2050 drum"


def sign_in(client: Client, username: str, password: str = factories.PASSWORD, **extra: Any) -> Any:
    return client.post(LOGIN, {"username": username, "password": password}, **extra)


def test_a_good_password_leads_home_and_is_recorded(world: SimpleNamespace, client: Client) -> None:
    response = sign_in(client, "alice", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="198.51.100.7")
    assert response.url == reverse("web:home")
    entry = AuditEntry.objects.get(action=Action.LOGIN)
    assert (entry.user, entry.address) == (world.alice, "198.51.100.7")


@pytest.mark.parametrize("username", ["alice", "nobody"])
@pytest.mark.usefixtures("world")
def test_a_bad_password_says_the_same_for_every_name(client: Client, username: str) -> None:
    response = sign_in(client, username, "wrong")
    assert "账号或密码不正确" in response.content.decode()
    assert AuditEntry.objects.get(action=Action.LOGIN_FAILED).username == username
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("world")
def test_an_inactive_account_can_not_sign_in(client: Client) -> None:
    User.objects.filter(username="alice").update(is_active=False)
    sign_in(client, "alice")
    assert "_auth_user_id" not in client.session


@pytest.mark.usefixtures("world")
def test_too_many_failures_close_an_account_even_for_the_right_password(
    client: Client, settings: Any
) -> None:
    for _ in range(settings.LOGIN_FAILURES_PER_ACCOUNT):
        assert sign_in(client, "alice", "wrong").status_code == 200
    response = sign_in(client, "alice")
    assert response.status_code == 429
    assert "15 分钟" in response.content.decode()
    assert AuditEntry.objects.filter(action=Action.LOGIN_BLOCKED, username="alice").exists()
    assert sign_in(client, "bob").status_code == 302


@pytest.mark.usefixtures("world")
def test_a_success_forgives_the_accounts_failures(client: Client, settings: Any) -> None:
    for _ in range(2):
        for _ in range(settings.LOGIN_FAILURES_PER_ACCOUNT - 1):
            sign_in(client, "alice", "wrong")
        assert sign_in(client, "alice").status_code == 302
        client.post(reverse("accounts:logout"))


@pytest.mark.usefixtures("world")
def test_an_address_that_tries_many_accounts_is_closed(client: Client, settings: Any) -> None:
    settings.LOGIN_FAILURES_PER_ADDRESS = 5
    for number in range(5):
        sign_in(client, f"guess{number}", "wrong", REMOTE_ADDR="203.0.113.5")
    assert sign_in(client, "alice", REMOTE_ADDR="203.0.113.5").status_code == 429
    assert sign_in(client, "alice", REMOTE_ADDR="203.0.113.6").status_code == 302


@pytest.mark.usefixtures("world")
def test_a_stranger_can_not_hide_behind_a_forged_header(client: Client, settings: Any) -> None:
    settings.LOGIN_FAILURES_PER_ADDRESS = 3
    for number in range(3):
        forged = f"10.0.0.{number}"
        sign_in(client, f"guess{number}", "wrong", REMOTE_ADDR="203.0.113.5", HTTP_X_FORWARDED_FOR=forged)
    assert sign_in(client, "alice", REMOTE_ADDR="203.0.113.5").status_code == 429


@pytest.mark.usefixtures("world")
def test_next_never_leads_to_another_site(client: Client) -> None:
    data = {"username": "alice", "password": factories.PASSWORD, "next": "https://evil.example/"}
    assert client.post(LOGIN, data).url == reverse("web:home")


def test_a_handed_out_password_must_be_changed_first(world: SimpleNamespace, as_user: Any) -> None:
    fresh = factories.make_user("fresh", region="610113", must_change_password=True)
    client = as_user(fresh)
    for address in ("/", "/students/", "/schools/", f"/students/{world.students['near'].pk}/"):
        assert client.get(address).url == reverse("accounts:password_change"), address
    data = {"old_password": factories.PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert client.post(reverse("accounts:password_change"), data).url == reverse("web:home")
    assert client.get("/").status_code == 200
    fresh.refresh_from_db()
    assert fresh.password_changed_at is not None
    assert AuditEntry.objects.filter(action=Action.PASSWORD_CHANGED, user=fresh).exists()


@pytest.mark.parametrize(
    "new", [factories.PASSWORD, "short1!", "1234567890123", "password123", "registrar-610113"]
)
@pytest.mark.usefixtures("world")
def test_weak_and_unchanged_passwords_are_refused(as_user: Any, new: str) -> None:
    user = factories.make_user("registrar610113", region="610113")
    data = {"old_password": factories.PASSWORD, "new_password1": new, "new_password2": new}
    response = as_user(user).post(reverse("accounts:password_change"), data)
    assert response.context["form"].errors
    user.refresh_from_db()
    assert user.check_password(factories.PASSWORD)


def test_signing_out_needs_a_post(world: SimpleNamespace, as_user: Any) -> None:
    client = as_user(world.alice)
    assert client.get(reverse("accounts:logout")).status_code == 405
    client.post(reverse("accounts:logout"))
    assert client.get("/").status_code == 302
    assert AuditEntry.objects.filter(action=Action.LOGOUT, user=world.alice).exists()


@pytest.mark.parametrize(
    ("username", "status"), [("adam", 200), ("alice", 404), ("bob", 404), ("paula", 404), ("dora", 404)]
)
def test_the_audit_log_is_the_administrators(
    world: SimpleNamespace, as_user: Any, username: str, status: int
) -> None:
    assert as_user(getattr(world, username)).get(reverse("accounts:audit")).status_code == status


def test_the_audit_log_shows_the_own_subtree(world: SimpleNamespace, as_user: Any, client: Client) -> None:
    for username in ("alice", "charlie", "dora", "nobody"):
        sign_in(client, username, "wrong" if username == "nobody" else factories.PASSWORD)
        client.post(reverse("accounts:logout"))
    local = factories.make_user("local", region="610113", kind="administrator")
    rows = as_user(local).get(reverse("accounts:audit"), {"action": "login"}).context["page"].rows
    assert {entry.username for entry in rows} == {"alice", "dora"}


@pytest.mark.parametrize("unit", ["none", "both"])
def test_an_account_belongs_to_exactly_one_unit(world: SimpleNamespace, unit: str) -> None:
    region = Region.objects.get(pk="610113") if unit == "both" else None
    school = world.schools["near"] if unit == "both" else None
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("broken", "x", kind="leader", display_name="x", region=region, school=school)
