"""/livez and /healthz."""

from __future__ import annotations

import datetime as dt
import ipaddress
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from registry.health import probes


@pytest.fixture
def broken_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that refuses every connection."""

    def refuse() -> str:
        raise OperationalError('connection to server at "db1" failed: Connection refused\n\tIs it running?')

    monkeypatch.setattr(probes, "_database", refuse)


def task(**values: Any) -> DBTaskResult:
    values = {
        "task_path": "registry.imports.tasks.run",
        "args_kwargs": {"args": [], "kwargs": {}},
        "backend_name": "default",
        "run_after": timezone.now() - dt.timedelta(hours=1),
    } | values
    enqueued = values.pop("enqueued_at", timezone.now())
    row = DBTaskResult.objects.create(**values)
    DBTaskResult.objects.filter(pk=row.pk).update(enqueued_at=enqueued)
    return row


def test_livez_asks_nothing_but_this_process(client: Client) -> None:
    response = client.get("/livez", headers={"host": "10.58.7.12"})  # no database fixture: it would raise
    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.django_db
def test_all_is_well(client: Client) -> None:
    response = client.get("/healthz", headers={"host": "any.name"})
    assert response.status_code == 200
    body = response.json()
    assert body["status"] == "ok"
    assert {name: check["status"] for name, check in body["checks"].items()} == {
        "database": "ok",
        "storage": "ok",
        "queue": "ok",
    }


@pytest.mark.django_db
def test_strangers_learn_the_status_only(client: Client, settings: Any) -> None:
    settings.MANAGEMENT_NETWORKS = [ipaddress.ip_network("10.58.7.0/24")]
    assert client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.usefixtures("broken_database")
def test_a_dead_database_is_503_with_its_cause_in_one_line(client: Client) -> None:
    response = client.get("/healthz")
    assert response.status_code == 503
    check = response.json()["checks"]["database"]
    assert check["status"] == "fail"
    assert check["detail"] == 'OperationalError: connection to server at "db1" failed: Connection refused'
    assert "queue" not in response.json()["checks"]
    assert client.get("/livez").status_code == 200


@pytest.mark.django_db
def test_storage_that_is_gone_is_503(client: Client, shared_root: Path, settings: Any) -> None:
    settings.DEPLOYED = True
    shutil.rmtree(shared_root)
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["checks"]["storage"]["status"] == "fail"


@pytest.mark.django_db
def test_storage_that_hangs_is_503_within_the_deadline(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    monkeypatch.setattr(probes, "STORAGE_DEADLINE_SECONDS", 0.2)
    monkeypatch.setattr(probes.os, "fsync", lambda _fd: release.wait(20))
    try:
        first, second = client.get("/healthz"), client.get("/healthz")
    finally:
        release.set()
    assert first.status_code == second.status_code == 503
    assert "no answer within" in first.json()["checks"]["storage"]["detail"]
    assert "still hangs" in second.json()["checks"]["storage"]["detail"]
    for thread in threading.enumerate():
        if thread.name == "storage-look":
            thread.join(10)


@pytest.mark.django_db
def test_a_task_that_nobody_takes_is_503(client: Client) -> None:
    task(enqueued_at=timezone.now() - dt.timedelta(hours=1))
    response = client.get("/healthz")
    assert response.status_code == 503
    assert "no worker" in response.json()["checks"]["queue"]["detail"]


@pytest.mark.django_db
def test_a_long_queue_behind_a_running_task_is_fine(client: Client) -> None:
    task(enqueued_at=timezone.now() - dt.timedelta(hours=1))
    task(status="RUNNING")
    assert client.get("/healthz").json()["checks"]["queue"]["detail"] == "1 waiting, 1 running"
