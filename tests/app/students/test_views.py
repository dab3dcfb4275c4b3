"""Student pages: who may open them, what they show, what is recorded."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from registry.accounts.models import Action, AuditEntry, Kind
from registry.students.fields import all_fields

from .. import factories

HTMX = {"HX-Request": "true"}
MAY = ("alice", "bob", "dora", "paula", "mina")
STRANGERS = ("charlie", "adam")
PAGES = ("page", "photo")


@pytest.fixture
def photo(world: SimpleNamespace, shared_root: Path) -> bytes:
    """A photo of the student at `near`, on the shared storage."""
    student = world.students["near"]
    student.photo = "6101/a b.jpg"
    student.save()
    (shared_root / "photos/6101").mkdir()
    content = b"\xff\xd8\xff\xe0 a photo"
    (shared_root / "photos/6101/a b.jpg").write_bytes(content)
    return content


@pytest.mark.parametrize("view", PAGES)
def test_anonymous_visitors_are_sent_to_the_login_page(
    world: SimpleNamespace, client: Client, view: str
) -> None:
    address = reverse(f"students:{view}", args=[world.students["near"].pk])
    response = client.get(address)
    assert response.status_code == 302
    assert response.url == f"{reverse('accounts:login')}?next={address}"


@pytest.mark.parametrize("username", STRANGERS)
@pytest.mark.parametrize("view", [*PAGES, "reveal"])
@pytest.mark.usefixtures("photo")
def test_strangers_get_404(world: SimpleNamespace, as_user: Any, username: str, view: str) -> None:
    client = as_user(getattr(world, username))
    address = reverse(f"students:{view}", args=[world.students["near"].pk])
    response = client.post(address) if view == "reveal" else client.get(address)
    assert response.status_code == 404
    assert not AuditEntry.objects.filter(action=Action.REVEAL).exists()


@pytest.mark.parametrize("username", MAY)
@pytest.mark.usefixtures("photo")
def test_the_units_above_and_the_school_may_open_it(
    world: SimpleNamespace, as_user: Any, username: str
) -> None:
    client = as_user(getattr(world, username))
    for view in PAGES:
        assert client.get(reverse(f"students:{view}", args=[world.students["near"].pk])).status_code == 200


def test_all_fields_are_on_the_page(world: SimpleNamespace, as_user: Any) -> None:
    student = world.students["near"]
    other = student.family.get()
    other.pk, other.position = None, 2
    other.save()
    html = as_user(world.alice).get(reverse("students:page", args=[student.pk])).content.decode()
    for field in all_fields():
        assert f">{field.number}</span>" in html, field


def test_personal_numbers_are_masked(world: SimpleNamespace, as_user: Any) -> None:
    student = world.students["near"]
    member = student.family.get()
    html = as_user(world.alice).get(reverse("students:page", args=[student.pk])).content.decode()
    for secret in (student.id_number, student.student_number, student.phone, member.phone, member.id_number):
        assert secret not in html
    assert student.id_number[:6] + "**********" + student.id_number[-2:] in html


def test_showing_them_is_recorded(world: SimpleNamespace, as_user: Any) -> None:
    student = world.students["near"]
    response = as_user(world.alice).post(
        reverse("students:reveal", args=[student.pk]), headers=HTMX, REMOTE_ADDR="203.0.113.9"
    )
    html = response.content.decode()
    for number in (student.id_number, student.student_number, student.phone, student.family.get().id_number):
        assert number in html
    entry = AuditEntry.objects.get(action=Action.REVEAL)
    assert (entry.user, entry.target, entry.address) == (world.alice, f"student:{student.pk}", "203.0.113.9")
    assert student.id_number not in str(vars(entry))


def test_showing_needs_a_post_with_a_token(world: SimpleNamespace, as_user: Any) -> None:
    address = reverse("students:reveal", args=[world.students["near"].pk])
    assert as_user(world.alice).get(address).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(world.alice)
    assert strict.post(address).status_code == 403
    assert not AuditEntry.objects.filter(action=Action.REVEAL).exists()


def test_the_photo_comes_from_the_shared_storage(world: SimpleNamespace, as_user: Any, photo: bytes) -> None:
    response = as_user(world.alice).get(reverse("students:photo", args=[world.students["near"].pk]))
    assert b"".join(response.streaming_content) == photo
    assert response["Content-Type"] == "image/jpeg"
    assert "private" in response["Cache-Control"]


@pytest.mark.usefixtures("photo")
def test_nginx_sends_the_photo_where_it_can(world: SimpleNamespace, as_user: Any, settings: Any) -> None:
    settings.ACCEL_REDIRECT = "/_shared/"
    response = as_user(world.alice).get(reverse("students:photo", args=[world.students["near"].pk]))
    assert response["X-Accel-Redirect"] == "/_shared/photos/6101/a%20b.jpg"
    assert response.content == b""


@pytest.mark.parametrize("accel", ["", "/_shared/"])
@pytest.mark.parametrize("path", ["../secret.txt", "/etc/hostname", "6101/../../secret.txt", ""])
def test_a_photo_never_leaves_its_folder(
    world: SimpleNamespace, as_user: Any, settings: Any, shared_root: Path, path: str, accel: str
) -> None:
    settings.ACCEL_REDIRECT = accel
    (shared_root / "secret.txt").write_text("secret")
    student = world.students["near"]
    student.photo = path
    student.save()
    assert as_user(world.alice).get(reverse("students:photo", args=[student.pk])).status_code == 404


def test_a_photo_that_is_gone_is_404(world: SimpleNamespace, as_user: Any) -> None:
    student = world.students["near"]
    student.photo = "gone.jpg"
    student.save()
    assert as_user(world.alice).get(reverse("students:photo", args=[student.pk])).status_code == 404


# The list ------------------------------------------------------------------------------------


@pytest.mark.usefixtures("world")
def test_the_list_needs_a_login(client: Client) -> None:
    assert client.get(reverse("students:list")).status_code == 302


def test_administrators_have_no_student_list(world: SimpleNamespace, as_user: Any) -> None:
    assert as_user(world.adam).get(reverse("students:list")).status_code == 404


@pytest.mark.parametrize(
    ("username", "found", "hidden"),
    [("alice", "张小雨", "张小雪"), ("charlie", "张小雪", "张小雨"), ("dora", "张小雨", "王子涵")],
)
def test_the_list_shows_only_the_own_subtree(
    world: SimpleNamespace, as_user: Any, username: str, found: str, hidden: str
) -> None:
    client = as_user(getattr(world, username))
    for words in ("", "张", "zhang", found):
        html = client.post(reverse("students:list"), {"q": words}).content.decode()
        assert found in html, words
        assert f'fw-medium">{hidden}<' not in html, words


def test_names_and_numbers_never_stand_in_addresses(world: SimpleNamespace, as_user: Any) -> None:
    for _ in range(30):
        factories.make_student(world.schools["near"], name="赵云")
    client = as_user(world.alice)
    html = client.post(reverse("students:list"), {"q": "赵云"}).content.decode()
    assert "after=" not in html
    assert 'name="after"' in html
    ignored = client.get(reverse("students:list"), {"q": "不存在"})
    assert ignored.context["q"] == ""
    assert len(ignored.context["page"].rows) == 25


def test_htmx_gets_the_results_alone(world: SimpleNamespace, as_user: Any) -> None:
    client = as_user(world.alice)
    html = client.post(reverse("students:list"), {"q": "zxy"}, headers=HTMX).content.decode()
    assert "张小雨" in html
    assert "<html" not in html
    assert world.students["near"].id_number not in html


def test_a_strangers_school_can_not_be_listed(world: SimpleNamespace, as_user: Any) -> None:
    address = reverse("students:list") + f"?school={world.schools['near'].code}"
    assert as_user(world.alice).get(address).status_code == 200
    assert as_user(world.charlie).get(address).status_code == 404


def test_more_rows_are_fetched_by_cursor(world: SimpleNamespace, as_user: Any) -> None:
    for _ in range(30):
        factories.make_student(world.schools["near"], name="赵云")
    client = as_user(world.alice)
    first = client.post(reverse("students:list"), {"q": "赵"})
    second = client.post(
        reverse("students:list"), {"q": "赵", "after": first.context["page"].after}, headers=HTMX
    )
    rows = [*first.context["page"].rows, *second.context["page"].rows]
    assert len({row.pk for row in rows}) == len(rows) == 30
    assert second.context["page"].after == ""


def test_an_ended_session_sends_htmx_to_the_login_page(client: Client, world: SimpleNamespace) -> None:
    response = client.post(reverse("students:list"), {"q": "张"}, headers=HTMX)
    assert response.status_code == 204
    assert response["HX-Redirect"].startswith(reverse("accounts:login"))


def test_query_counts_do_not_grow_with_the_rows(
    world: SimpleNamespace, as_user: Any, django_assert_num_queries: Any
) -> None:
    for _ in range(20):
        factories.make_student(world.schools["near"], name="赵云")
    client = as_user(world.alice)
    client.get(reverse("students:list"))
    with django_assert_num_queries(3):  # session, account, page
        client.post(reverse("students:list"), {"q": "赵云"})
    with django_assert_num_queries(4):  # pinyin and initials
        client.post(reverse("students:list"), {"q": "zy"})
    with django_assert_num_queries(7):  # session, account, student, regions, family, names, numbers
        client.get(reverse("students:page", args=[world.students["near"].pk]))


@pytest.mark.django_db
def test_a_leader_of_the_school_sees_its_students(world: SimpleNamespace, as_user: Any) -> None:
    leader = factories.make_user("lena", school=world.schools["near"], kind=Kind.LEADER)
    assert as_user(leader).get(reverse("students:page", args=[world.students["near"].pk])).status_code == 200
