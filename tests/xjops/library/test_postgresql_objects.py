"""Roles, databases and slots: only what differs, and no password on its way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
from typing import Any

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "postgresql_objects", paths.project() / "library" / "postgresql_objects.py"
)
assert specification
assert specification.loader
postgresql_objects = importlib.util.module_from_spec(specification)
specification.loader.exec_module(postgresql_objects)

ObjectError = postgresql_objects.ObjectError
PASSWORD = "a word of 20 letters"


def verifier(password: str = PASSWORD) -> str:
    return str(postgresql_objects.scram(password, b"0123456789abcdef"))


def role(**more: Any) -> dict[str, Any]:
    return {"name": "registry", "password": PASSWORD, "replication": False, **more}


def found_role(**more: Any) -> dict[str, Any]:
    return {"password": verifier(), "login": True, "replication": False, "super": False, **more}


def database(**more: Any) -> dict[str, Any]:
    return {"name": "registry", "owner": "registry", "collation": "C", "character_type": "C.UTF-8", **more}


def found_database(**more: Any) -> dict[str, Any]:
    usual = {"owner": "registry", "encoding": "UTF8", "collation": "C", "character_type": "C.UTF-8"}
    return {**usual, "open": False, **more}


def facts(**more: Any) -> dict[str, Any]:
    usual = {
        "standby": False,
        "roles": {"registry": found_role()},
        "databases": {"registry": found_database()},
    }
    return {**usual, "slots": {"db2": "physical"}, **more}


def wanted(**more: Any) -> dict[str, Any]:
    return {"roles": [role()], "databases": [database()], "slots": ["db2"], **more}


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """The RFC's example exchange: our ServerKey signs it, and its proof leads to our StoredKey."""
    nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    message = (
        f"n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}".encode()
    )
    text = postgresql_objects.scram("pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="))
    assert text.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$")
    stored, server = (base64.b64decode(part) for part in text.rpartition("$")[2].split(":"))
    signature = hmac.digest(server, message, "sha256")
    assert base64.b64encode(signature) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
    proof = base64.b64decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    client = bytes(a ^ b for a, b in zip(proof, hmac.digest(stored, message, "sha256"), strict=True))
    assert hashlib.sha256(client).digest() == stored


def test_a_server_that_is_right_is_left_alone() -> None:
    assert postgresql_objects.steps_for(wanted(), facts()) == []


def test_an_empty_server_gets_everything_in_order() -> None:
    steps = postgresql_objects.steps_for(wanted(), facts(roles={}, databases={}, slots={}))
    assert [what for what, _ in steps] == [
        "create role registry",
        "create database registry",
        "close database registry to others",
        "create slot db2",
    ]
    assert "LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' TEMPLATE template0" in steps[1][1]
    assert steps[3][1] == "SELECT pg_create_physical_replication_slot('db2', true)"


def test_no_password_is_in_any_statement_or_action() -> None:
    steps = postgresql_objects.steps_for(wanted(), facts(roles={}))
    assert PASSWORD not in str(steps)
    assert "SCRAM-SHA-256$4096:" in steps[0][1]


@pytest.mark.parametrize(
    ("found", "what"),
    [
        (found_role(password=verifier("another word")), "set the password of role registry"),
        (found_role(password=None), "set the password of role registry"),
        (found_role(password="md5abcdef"), "set the password of role registry"),
        (found_role(super=True), "set the attributes of role registry"),
        (found_role(login=False), "set the attributes of role registry"),
        (found_role(replication=True), "set the attributes of role registry"),
    ],
)
def test_a_role_that_differs_is_mended(found: dict[str, Any], what: str) -> None:
    assert [step for step, _ in postgresql_objects.role_steps(role(), found)] == [what]


def test_a_database_open_to_everybody_is_closed() -> None:
    steps = postgresql_objects.database_steps(database(), found_database(open=True))
    assert [sql for _, sql in steps] == ['REVOKE ALL ON DATABASE "registry" FROM PUBLIC']


def test_a_database_of_another_owner_is_given_back() -> None:
    steps = postgresql_objects.database_steps(database(), found_database(owner="postgres"))
    assert [sql for _, sql in steps] == ['ALTER DATABASE "registry" OWNER TO "registry"']


@pytest.mark.parametrize(
    "other", [{"encoding": "SQL_ASCII"}, {"collation": "zh_CN.UTF-8"}, {"character_type": "C"}]
)
def test_what_cant_be_changed_is_refused(other: dict[str, str]) -> None:
    with pytest.raises(ObjectError, match=r"wanted is UTF8 C C\.UTF-8 → "):
        postgresql_objects.database_steps(database(), found_database(**other))


@pytest.mark.parametrize(
    ("parameters", "state", "message"),
    [
        (wanted(), facts(standby=True), "the server is a standby"),
        (wanted(slots=["db2"]), facts(slots={"db2": "logical"}), "slot db2 is logical"),
        (wanted(slots=["db-2; DROP"]), facts(), "is no plain name"),
        (wanted(roles=[role(name='a"b')]), facts(), "is no plain name"),
        (wanted(roles=[role(password="short")]), facts(), "8 or more printable ASCII"),
        (wanted(roles=[role(password="口令口令口令口令")]), facts(), "8 or more printable ASCII"),
        (wanted(databases=[database(name="new", collation="C'; --")]), facts(), "is no locale"),
    ],
)
def test_bad_input_is_refused_with_its_mend(
    parameters: dict[str, Any], state: dict[str, Any], message: str
) -> None:
    with pytest.raises(ObjectError, match=f"{message}.*→"):
        postgresql_objects.steps_for(parameters, state)
