"""The world of the tests: two counties of one city and one of another, with schools, students, accounts.

alice is the registrar of Yanta county, bob the registry leader of the city above it, charlie the registrar
of a county elsewhere (the stranger), dora the registrar of one school, adam a system administrator of the
province, and paula its registrar.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import hypothesis
import pytest
from django.test import Client

from registry.accounts.models import Kind

from . import factories

hypothesis.settings.register_profile("shared machine", deadline=None)
hypothesis.settings.load_profile("shared machine")


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    """Real hashing takes a tenth of a second a login."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def shared_root(settings: Any, tmp_path: Path) -> Path:
    """A shared storage of the test's own."""
    settings.SHARED_ROOT = tmp_path / "shared"
    (settings.SHARED_ROOT / "photos").mkdir(parents=True)
    return settings.SHARED_ROOT


@pytest.fixture
def world(db: None) -> SimpleNamespace:
    """Schools `near`, `next_door` (same county), `city` (directly under it), `far`; a student in each."""
    schools = {
        "near": factories.make_school("610113", name="雁塔第一小学"),
        "next_door": factories.make_school("610113", name="雁塔第二小学"),
        "city": factories.make_school("610100", name="西安市直属中学"),
        "far": factories.make_school("610802", name="榆阳第一小学"),
    }
    students = {
        "near": factories.make_student(schools["near"], family=True, name="张小雨"),
        "next_door": factories.make_student(schools["next_door"], name="王子涵"),
        "city": factories.make_student(schools["city"], name="单思远"),
        "far": factories.make_student(schools["far"], name="张小雪"),
    }
    accounts = {
        "alice": factories.make_user("alice", region="610113"),
        "bob": factories.make_user("bob", region="610100", kind=Kind.LEADER),
        "charlie": factories.make_user("charlie", region="610802"),
        "dora": factories.make_user("dora", school=schools["near"]),
        "adam": factories.make_user("adam", region="610000", kind=Kind.ADMINISTRATOR),
        "paula": factories.make_user("paula", region="610000"),
        "mina": factories.make_user("mina", region="000000"),
    }
    return SimpleNamespace(schools=schools, students=students, **accounts)


@pytest.fixture
def as_user() -> Any:
    """`as_user(account)`: a client signed in as that account."""

    def sign_in(account: Any) -> Client:
        client = Client()
        client.force_login(account)
        return client

    return sign_in
