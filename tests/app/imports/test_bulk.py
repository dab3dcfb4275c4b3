"""The bulk loaders: what they send, and that it arrives."""

from __future__ import annotations

import datetime as dt
from contextlib import contextmanager
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, connection
from django.db.utils import DatabaseErrorWrapper

from registry.imports.bulk import Constant, loader_for
from registry.imports.bulk.oracle import OracleLoader
from registry.imports.bulk.postgresql import PostgresqlLoader, _block
from registry.orgs.models import Campus
from registry.students.models import Student


@pytest.mark.django_db
def test_rows_arrive_with_every_awkward_character(world: SimpleNamespace) -> None:
    school = world.schools["near"]
    names = ["a\tb", "c\\d", "e\nf", "\\N", "引号'\"", ""]
    loader = loader_for(connection)
    ids = loader.reserve_ids(Campus, len(names))
    columns = {"id": ids, "number": [str(at) for at in range(6)], "name": names}
    assert (
        loader.insert(Campus, {**columns, "school": Constant(school.pk), "address": Constant("同一处")}) == 6
    )
    rows = Campus.objects.order_by("number").values_list("pk", "name", "address", "school")
    assert list(rows) == [(pk, name, "同一处", school.pk) for pk, name in zip(ids, names, strict=True)]


@pytest.mark.django_db
def test_columns_must_be_of_one_length(world: SimpleNamespace) -> None:
    with pytest.raises(ValueError, match="different lengths"):
        loader_for(connection).insert(Campus, {"number": ["1", "2"], "name": ["a"]})


def test_a_database_we_do_not_serve() -> None:
    with pytest.raises(KeyError):
        loader_for(SimpleNamespace(vendor="mysql"))


def test_copy_text() -> None:
    assert _block([["a", "b"], "\\N", ["x\ty", None]], 0, 2) == "a\t\\N\tx\\ty\nb\t\\N\t\\N\n"
    assert _block([["a", "b", "c"]], 1, 2) == "b\n"


def test_postgresql_reports_a_double_as_django_does() -> None:
    """psycopg reports what COPY ran into as the block ends, past the calls that Django watches."""

    @contextmanager
    def copy(_statement: str) -> Any:
        yield SimpleNamespace(write=lambda _block: None)
        raise psycopg.errors.UniqueViolation("student_active_key_uniq")

    @contextmanager
    def cursor() -> Any:
        yield SimpleNamespace(copy=copy, execute=lambda _sql: None)

    server = SimpleNamespace(
        ops=connection.ops,
        cursor=cursor,
        wrap_database_errors=DatabaseErrorWrapper(SimpleNamespace(Database=psycopg, errors_occurred=False)),
    )
    with pytest.raises(IntegrityError):
        PostgresqlLoader(server).insert(Campus, {"number": ["1"]})


class FakeOracle:
    """Keeps what the loader sends; quotes as Django's Oracle backend does."""

    vendor = "oracle"

    def __init__(self) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.ops = SimpleNamespace(
            quote_name=lambda name: f'"{name.upper()}"', _get_sequence_name=lambda *_: "ISEQ$$_1"
        )

    @contextmanager
    def cursor(self) -> Any:
        yield SimpleNamespace(
            execute=lambda sql, binds: self.sent.append((sql, binds)),
            executemany=lambda sql, rows: self.sent.append((sql, rows)),
            fetchall=lambda: [(41,), (42,)],
        )


def test_oracle_gets_one_statement_with_array_binds(monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = FakeOracle()
    loader = OracleLoader(oracle)
    monkeypatch.setattr(loader, "constant", lambda model, name, value: value)
    columns = {
        "name": ["张三", "李四"],
        "birth_date": ["2015-03-01", ""],
        "distance_km": ["1.5", None],
        "status": Constant("active"),
    }
    assert loader.insert(Student, columns) == 2
    assert oracle.sent == [
        (
            'INSERT INTO "STUDENTS_STUDENT" ("NAME", "BIRTH_DATE", "DISTANCE_KM", "STATUS")'
            " VALUES (%s, %s, %s, %s)",
            [
                ("张三", dt.datetime(2015, 3, 1), Decimal("1.5"), "active"),  # noqa: DTZ001
                ("李四", None, None, "active"),
            ],
        )
    ]


def test_oracle_takes_ids_from_the_identity_columns_sequence() -> None:
    oracle = FakeOracle()
    assert OracleLoader(oracle).reserve_ids(Student, 2) == [41, 42]
    assert oracle.sent == [('SELECT "ISEQ$$_1".NEXTVAL FROM DUAL CONNECT BY LEVEL <= %s', [2])]
