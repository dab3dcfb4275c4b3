"""The pages in Debian's Chromium, at a desktop's and a phone's width: sign in, search, student page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.urls import reverse

from registry.accounts.models import Action, AuditEntry
from registry.regions.models import Region
from registry.regions.services import load_regions

from . import factories

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
BUILD = Path(__file__).parents[2] / "app/assets/build"
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--no-default-browser-check", "--disable-features=Translate"),
)
WIDTHS = {"desktop": (1440, 900), "phone": (390, 844)}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(
        not shutil.which(CHROMIUM), reason=f"not run: no {CHROMIUM} → apt-get install chromium"
    ),
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium, with the assets built."""
    subprocess.run([sys.executable, str(BUILD)], check=True, timeout=700)
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright keeps an event loop in this thread
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(params=WIDTHS)
def page(request: pytest.FixtureRequest, chromium: Any, live_server: Any) -> Iterator[Any]:
    """A page of that width that fails the test on any console message, script error or failed request."""
    width, height = WIDTHS[request.param]
    phone = request.param == "phone"
    context = chromium.new_context(
        base_url=live_server.url,
        viewport={"width": width, "height": height},
        is_mobile=phone,
        has_touch=phone,
        locale="zh-CN",
    )
    context.set_default_timeout(20_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on(
        "console",
        lambda message: troubles.append(message.text) if message.type in {"error", "warning"} else None,
    )
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("response", lambda answer: troubles.append(answer.url) if answer.status >= 400 else None)
    yield page
    context.close()
    assert not troubles


@pytest.fixture
def here(transactional_db: None, shared_root: Path) -> SimpleNamespace:
    """A school with some students, one of them with a photo, and its county's registrar."""
    load_regions(Region)  # a transactional test before this one may have emptied the tables
    school = factories.make_school("610113", name="雁塔第一小学")
    student = factories.make_student(school, name="单小雨", family=True, photo="one.png")
    for name in ("张子涵", "张子轩", "王思远"):
        factories.make_student(school, name=name)
    from PIL import Image

    Image.new("RGB", (240, 320), "#7aa").save(shared_root / "photos/one.png")
    user = factories.make_user("alice", region="610113", must_change_password=True)
    return SimpleNamespace(school=school, student=student, user=user)


def fits(page: Any) -> bool:
    """Whether nothing sticks out sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def sign_in(page: Any, password: str) -> None:
    page.goto("/")
    page.fill("input[name=username]", "alice")
    page.fill("input[name=password]", password)
    assert fits(page)
    page.click("button.btn-primary")


def test_from_the_first_sign_in_to_the_student(page: Any, here: SimpleNamespace) -> None:
    sign_in(page, factories.PASSWORD)
    page.wait_for_url("**" + reverse("accounts:password_change"))
    new = "Zhong-lou 2050 drum"
    page.fill("input[name=old_password]", factories.PASSWORD)
    page.fill("input[name=new_password1]", new)
    page.fill("input[name=new_password2]", new)
    page.click("main button[type=submit]")
    page.wait_for_selector("h1:has-text('雁塔区')")
    assert fits(page)

    page.click("text=查找学生")
    from playwright.sync_api import expect

    search, rows = page.locator("input[type=search]"), page.locator("#results tbody tr")
    search.press_sequentially("sxy", delay=20)
    expect(rows).to_have_count(1)
    assert "单小雨" in page.inner_text("#results")
    assert fits(page)
    search.fill("张")
    expect(rows).to_have_count(2)
    search.fill(here.student.student_number)
    page.wait_for_selector("#results >> text=单小雨")

    page.click("text=单小雨")
    page.wait_for_selector("text=个人基本信息")
    assert fits(page)
    assert page.evaluate("document.querySelector('img.photo').naturalWidth") == 240
    assert here.student.id_number not in page.content()

    page.once("dialog", lambda dialog: dialog.accept())
    page.click("text=显示完整号码")
    page.wait_for_selector(f"text={here.student.phone}")
    assert here.student.id_number in page.inner_text("#details")
    assert AuditEntry.objects.filter(action=Action.REVEAL, user=here.user).count() == 1


def test_more_rows_and_the_way_back(page: Any, here: SimpleNamespace) -> None:
    from playwright.sync_api import expect

    for _ in range(40):
        factories.make_student(here.school, name="赵云")
    here.user.must_change_password = False
    here.user.save()
    sign_in(page, factories.PASSWORD)
    page.wait_for_selector("h1:has-text('雁塔区')")
    page.goto(reverse("students:list"))
    with page.expect_response(lambda answer: answer.request.method == "POST"):
        page.fill("input[type=search]", "zhaoyun")
    rows = page.locator("#results tbody tr:not(.more)")
    expect(page.locator("#results tbody tr.more")).to_have_count(1)
    expect(rows).to_have_count(25)
    page.click("text=显示更多")
    expect(rows).to_have_count(40)
    assert "zhaoyun" not in page.url
    rows.nth(30).locator("a").click()
    page.wait_for_selector("text=个人基本信息")
    page.go_back()
    expect(page.locator("input[type=search]")).to_have_value("zhaoyun")
    expect(rows).to_have_count(25)


def test_declining_to_show_shows_and_records_nothing(page: Any, here: SimpleNamespace) -> None:
    here.user.must_change_password = False
    here.user.save()
    sign_in(page, factories.PASSWORD)
    page.wait_for_selector("h1:has-text('雁塔区')")
    page.goto(reverse("students:page", args=[here.student.pk]))
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.click("text=显示完整号码")
    assert here.student.phone not in page.content()
    assert not AuditEntry.objects.filter(action=Action.REVEAL).exists()


def test_the_menu_works_at_both_widths(page: Any, here: SimpleNamespace) -> None:
    here.user.must_change_password = False
    here.user.save()
    sign_in(page, factories.PASSWORD)
    page.wait_for_selector("h1:has-text('雁塔区')")
    toggler = page.locator("button.navbar-toggler")
    if toggler.is_visible():
        toggler.click()
    page.click("nav#menu >> text=学校")
    page.wait_for_selector("main >> text=雁塔第一小学")
    assert fits(page)
    page.click("button.language-switch")
    page.wait_for_selector("h1:has-text('Schools'), h1:has-text('School')")
    page.click("a[aria-label='Account menu']")
    page.click("text=Sign out")
    page.wait_for_selector("text=Sign in")
