"""What every page has: security headers, the client's address, languages, paging."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from registry.accounts.models import AuditEntry
from registry.web.addresses import client_address, from_management
from registry.web.paging import page_of


@pytest.mark.django_db
def test_no_page_allows_inline_script_or_style(client: Client) -> None:
    policy = client.get("/login/")["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy


@pytest.mark.django_db
def test_the_other_security_headers(client: Client) -> None:
    response = client.get("/login/")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["X-Frame-Options"] == "DENY"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"


def test_templates_hold_no_inline_style_or_handler() -> None:
    import registry

    templates = sorted(Path(registry.__file__).parent.glob("**/templates/**/*.html"))
    assert len(templates) > 20
    for path in templates:
        text = path.read_text("utf-8")
        assert " style=" not in text, path
        assert " onclick=" not in text, path
        assert "<script>" not in text, path
        assert "://" not in text.replace("http://www.w3.org", ""), f"{path}: nothing from another server"


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.5", "", "203.0.113.5"),
        ("203.0.113.5", "10.0.0.1", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "1.2.3.4, 203.0.113.5", "203.0.113.5"),
        ("127.0.0.1", "203.0.113.5, 127.0.0.1", "203.0.113.5"),
        ("", "203.0.113.5", "203.0.113.5"),
        ("", "", ""),
        ("", "nonsense", ""),
        ("127.0.0.1", "1.2.3.4, nonsense", "127.0.0.1"),
        ("::1", "2001:db8::7", "2001:db8::7"),
    ],
)
def test_the_address_is_believed_only_from_proxies(peer: str, forwarded: str, expected: str) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert client_address(request) == expected


def test_management_networks(settings: Any) -> None:
    import ipaddress

    settings.MANAGEMENT_NETWORKS = [ipaddress.ip_network("10.58.7.0/24")]
    inside = RequestFactory().get("/", REMOTE_ADDR="", HTTP_X_FORWARDED_FOR="10.58.7.61")
    outside = RequestFactory().get("/", REMOTE_ADDR="10.58.8.1", HTTP_X_FORWARDED_FOR="10.58.7.61")
    assert from_management(inside)
    assert not from_management(outside)


def test_the_language_can_be_switched_before_and_after_signing_in(
    world: SimpleNamespace, client: Client, as_user: Any
) -> None:
    for visitor, address in ((client, "/login/"), (as_user(world.alice), "/")):
        assert 'lang="zh-CN"' in visitor.get(address).content.decode()
        visitor.post(reverse("accounts:language"), {"language": "en", "next": address})
        assert '<html lang="en">' in visitor.get(address).content.decode()


@pytest.mark.django_db
def test_pages_are_chinese_whatever_the_browser_prefers(client: Client) -> None:
    html = client.get("/login/", headers={"accept-language": "en-US,en;q=0.9"}).content.decode()
    assert 'lang="zh-CN"' in html
    assert "请使用本单位账号登录" in html


def test_the_node_is_in_the_footer(world: SimpleNamespace, as_user: Any, settings: Any) -> None:
    settings.REGISTRY_NODE = "web7"
    assert "web7" in as_user(world.alice).get("/").content.decode()


@pytest.mark.django_db
def test_paging_downwards_by_time_and_id() -> None:
    for number in range(60):
        AuditEntry.objects.create(action="login", username=f"user{number}")
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = page_of(AuditEntry.objects.all(), ("-at", "-id"), cursor, size=20)
        seen += [entry.username for entry in page.rows]
        cursor = page.after
        if not cursor:
            break
    assert seen == [f"user{number}" for number in reversed(range(60))]


def test_unknown_addresses_are_404_in_the_pages_style(world: SimpleNamespace, as_user: Any) -> None:
    response = as_user(world.alice).get("/nothing/here/")
    assert response.status_code == 404
    assert "页面不存在" in response.content.decode()
