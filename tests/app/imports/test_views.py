"""The pages: who may, upload in both ways, live progress, downloads."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from registry.accounts.models import Action, AuditEntry
from registry.imports.models import ImportJob, State
from registry.imports.runner import run

from . import books
from .books import good_rows

pytestmark = pytest.mark.django_db
SCRIPT = {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"}


def upload(client: Any, content: bytes, *, accept: str = "no", **headers: Any) -> Any:
    file = SimpleUploadedFile("学生.xlsx", content)
    return client.post(reverse("imports:upload"), {"file": file, "accept_good": accept}, **headers)


@pytest.fixture
def content(tmp_path: Path, school: Any) -> bytes:
    rows = good_rows(4)
    rows[1]["name"] = ""
    return books.write(tmp_path / "a.xlsx", rows).read_bytes()


@pytest.mark.parametrize("name", ["bob", "adam"])
def test_only_registrars_get_in(world: SimpleNamespace, as_user: Callable[..., Any], name: str) -> None:
    client = as_user(getattr(world, name))
    assert client.get(reverse("imports:list")).status_code == 404
    assert upload(client, b"x").status_code == 404


def test_strangers_get_404_for_a_job(
    world: SimpleNamespace, as_user: Callable[..., Any], process: Callable[..., ImportJob]
) -> None:
    rows = good_rows(2)
    rows[0]["name"] = ""
    job = process(rows)
    for view in ("job", "progress", "report"):
        assert as_user(world.charlie).get(reverse(f"imports:{view}", args=[job.public_id])).status_code == 404
        assert as_user(world.alice).get(reverse(f"imports:{view}", args=[job.public_id])).status_code == 200
    for view in ("accept", "retry", "cancel"):
        address = reverse(f"imports:{view}", args=[job.public_id])
        assert as_user(world.charlie).post(address).status_code == 404
        assert as_user(world.alice).get(address).status_code == 405


def test_upload_by_script_and_by_form(
    world: SimpleNamespace, as_user: Callable[..., Any], content: bytes
) -> None:
    client = as_user(world.alice)
    answer = upload(client, content, **SCRIPT)
    job = ImportJob.objects.get()
    assert answer.json() == {"address": reverse("imports:job", args=[job.public_id])}
    again = upload(client, content)
    assert again.status_code == 302
    assert again.url == answer.json()["address"]


def test_a_bad_file_is_refused_in_one_line(world: SimpleNamespace, as_user: Callable[..., Any]) -> None:
    client = as_user(world.alice)
    answer = upload(client, b"MZ" + b"\0" * 50, **SCRIPT)
    assert answer.status_code == 422
    assert "Windows 程序" in answer.json()["error"]
    page = client.get(upload(client, b"MZ" + b"\0" * 50).url)
    assert "Windows 程序" in page.content.decode()


def test_too_many_bytes_are_refused_unread(
    world: SimpleNamespace, as_user: Callable[..., Any], settings: Any
) -> None:
    settings.IMPORT_MAX_BYTES = 1000
    answer = upload(as_user(world.alice), b"x" * 200_000, **SCRIPT)
    assert answer.status_code == 422
    assert "上限" in answer.json()["error"]


def test_progress_polls_until_the_end(
    world: SimpleNamespace, as_user: Callable[..., Any], content: bytes
) -> None:
    client = as_user(world.alice)
    upload(client, content, **SCRIPT)
    job = ImportJob.objects.get()
    address = reverse("imports:progress", args=[job.public_id])
    waiting = client.get(address)
    assert "hx-get" in waiting.content.decode()
    assert "HX-Refresh" not in waiting.headers
    run(job.pk)
    assert client.get(address).headers["HX-Refresh"] == "true"
    page = client.get(reverse("imports:job", args=[job.public_id])).content.decode()
    assert "必填项为空" in page
    assert "合格的 3 行先入库" in page


def test_accepting_from_the_page(world: SimpleNamespace, as_user: Callable[..., Any], content: bytes) -> None:
    client = as_user(world.alice)
    upload(client, content, **SCRIPT)
    job = ImportJob.objects.get()
    run(job.pk)
    client.post(reverse("imports:accept", args=[job.public_id]))
    run(job.pk)
    job.refresh_from_db()
    assert (job.state, job.loaded_rows) == (State.DONE, 3)


def test_the_report_is_downloaded_and_recorded(
    world: SimpleNamespace, as_user: Callable[..., Any], content: bytes, settings: Any
) -> None:
    client = as_user(world.alice)
    upload(client, content, **SCRIPT)
    job = ImportJob.objects.get()
    run(job.pk)
    address = reverse("imports:report", args=[job.public_id])
    book = openpyxl.load_workbook(io.BytesIO(b"".join(client.get(address).streaming_content)))
    assert book.sheetnames == ["退回的学生", "问题清单"]
    entry = AuditEntry.objects.get(target=f"import:{job.pk}", user=world.alice)
    assert entry.action == Action.DOWNLOAD
    settings.ACCEL_REDIRECT = "/_shared/"
    assert client.get(address).headers["X-Accel-Redirect"].startswith("/_shared/imports/reports/")


@pytest.mark.parametrize("version", ["2013-71", "2014-78", "2017-73"])
def test_templates(world: SimpleNamespace, as_user: Callable[..., Any], version: str) -> None:
    answer = as_user(world.alice).get(reverse("imports:template", args=[version]))
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    assert book.sheetnames == ["学生信息", "填写说明", "代码表"]
    assert book["学生信息"].max_column == int(version[-2:])
    assert as_user(world.alice).get(reverse("imports:template", args=["1999-1"])).status_code == 404


def test_the_templates_own_example_is_valid(
    world: SimpleNamespace, as_user: Callable[..., Any], process: Callable[..., ImportJob], tmp_path: Path
) -> None:
    answer = as_user(world.alice).get(reverse("imports:template", args=["2014-78"]))
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    lines = [[cell.value for cell in row] for row in book["填写说明"].iter_rows()]
    example = {line[1]: line[4] for line in lines if isinstance(line[0], int)}
    sheet = book["学生信息"]
    for column, cell in enumerate(sheet[1], start=1):
        sheet.cell(2, column).value = example[cell.value]
    book.save(tmp_path / "example.xlsx")
    assert process(tmp_path / "example.xlsx").state == State.DONE
