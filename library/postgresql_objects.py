#!/usr/bin/python
"""Ansible module: roles, databases and replication slots of the PostgreSQL primary on this host.

Talks to the server by psql as the account postgres (peer), so that hosts need no Python driver. Passwords
never reach the server or its log: what is sent is the SCRAM verifier, and what is stored is compared by
computing it again.
"""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: postgresql_objects
short_description: Roles, databases and replication slots of a PostgreSQL primary
description:
  - Makes what is missing and mends what differs; nothing is ever dropped.
  - An existing database with another encoding or collation is refused, because neither can be changed.
options:
  port: {description: Port of the server., type: int, default: 5432}
  roles:
    description: Roles that log in.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      password: {description: Password in printable ASCII., type: str, required: true}
      replication: {description: May it stream?, type: bool, default: false}
  databases:
    description: Databases, closed to everybody but their owner.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {description: Name., type: str, required: true}
      owner: {description: Owning role., type: str, required: true}
      collation: {description: LC_COLLATE., type: str, default: C}
      character_type: {description: LC_CTYPE., type: str, default: C.UTF-8}
  slots: {description: Physical replication slots., type: list, elements: str, default: []}
author: [xjops]
"""

EXAMPLES = r"""
- name: The application's role and database
  postgresql_objects:
    roles: [{name: registry, password: "{{ postgresql_password }}"}]
    databases: [{name: registry, owner: registry}]
    slots: [db2]
"""

RETURN = r"""
actions: {description: What was (or would be) done, in order., type: list, elements: str, returned: always}
ledger:
  description: What the host's ledger watches of it afterwards (kind, name).
  returned: success
  type: list
  elements: list
"""

NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")
ROUNDS = 4096

# Names and rights only: what the host's ledger watches must tell nothing secret.
WATCHED = (
    "select rolname, rolsuper, rolreplication, rolcanlogin from pg_roles where oid > 16383 order by 1;"
    " select datname, pg_get_userbyid(datdba) from pg_database where oid > 16383 order by 1;"
    " select slot_name from pg_replication_slots order by 1"
)
FACTS = """
SELECT json_build_object(
  'standby', pg_is_in_recovery(),
  'roles', (SELECT coalesce(json_object_agg(rolname, json_build_object(
      'password', rolpassword, 'login', rolcanlogin, 'replication', rolreplication, 'super', rolsuper)), '{}')
    FROM pg_authid),
  'databases', (SELECT coalesce(json_object_agg(datname, json_build_object(
      'owner', pg_get_userbyid(datdba), 'encoding', pg_encoding_to_char(encoding), 'collation', datcollate,
      'character_type', datctype, 'open', has_database_privilege('public', oid, 'CONNECT'))), '{}')
    FROM pg_database),
  'slots', (SELECT coalesce(json_object_agg(slot_name, slot_type), '{}') FROM pg_replication_slots));
"""


class ObjectError(Exception):
    """What can't be brought about, in one line with its mend."""


def quoted(name: str) -> str:
    """A name that is safe in SQL."""
    if not NAME.fullmatch(name):
        raise ObjectError(f"{name!r} is no plain name → use lower-case letters, digits and underscores")
    return f'"{name}"'


def scram(password: str, salt: bytes, rounds: int = ROUNDS) -> str:
    """The verifier that PostgreSQL stores for SCRAM-SHA-256 (RFC 5802, RFC 7677)."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    words = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(rounds, *words)


def matches(password: str, verifier: str | None) -> bool:
    """Is `verifier` made of `password`?"""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([^$]+)\$.+", verifier or "")
    if not found:
        return False
    return hmac.compare_digest(scram(password, base64.b64decode(found[2]), int(found[1])), verifier or "")


def role_steps(role: dict[str, Any], found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """(what, SQL) for one role; `found` is its state or None."""
    name, password = role["name"], role["password"]
    # PostgreSQL normalises other characters (SASLprep) before it hashes them; plain ones are what they are
    if not re.fullmatch(r"[ -~]{8,}", password):
        raise ObjectError(
            f"the password of role {name} must be 8 or more printable ASCII characters → change it"
        )
    attributes = "LOGIN NOSUPERUSER " + ("REPLICATION" if role["replication"] else "NOREPLICATION")
    verifier = scram(password, os.urandom(16))
    if found is None:
        return [(f"create role {name}", f"CREATE ROLE {quoted(name)} {attributes} PASSWORD '{verifier}'")]
    steps = []
    if not found["login"] or found["super"] or found["replication"] != role["replication"]:
        steps.append((f"set the attributes of role {name}", f"ALTER ROLE {quoted(name)} {attributes}"))
    if not matches(password, found["password"]):
        steps.append((f"set the password of role {name}", f"ALTER ROLE {quoted(name)} PASSWORD '{verifier}'"))
    return steps


def database_steps(database: dict[str, Any], found: dict[str, Any] | None) -> list[tuple[str, str]]:
    """(what, SQL) for one database; `found` is its state or None."""
    name, owner = quoted(database["name"]), quoted(database["owner"])
    steps = []
    if found is None:
        for value in (database["collation"], database["character_type"]):
            if not re.fullmatch(r"[A-Za-z0-9_.@-]+", value):
                raise ObjectError(f"{value!r} is no locale → use C, C.UTF-8 or a name of `locale -a`")
        steps.append(
            (
                f"create database {database['name']}",
                f"CREATE DATABASE {name} OWNER {owner} ENCODING 'UTF8' LC_COLLATE '{database['collation']}' "
                f"LC_CTYPE '{database['character_type']}' TEMPLATE template0",
            )
        )
    else:
        wanted = ("UTF8", database["collation"], database["character_type"])
        real = (found["encoding"], found["collation"], found["character_type"])
        if wanted != real:
            raise ObjectError(
                f"database {database['name']} has {' '.join(real)}, wanted is {' '.join(wanted)} "
                "→ correct the variables, or dump and restore it (neither can be changed)"
            )
        if found["owner"] != database["owner"]:
            steps.append(
                (f"give database {database['name']} to {owner}", f"ALTER DATABASE {name} OWNER TO {owner}")
            )
    if found is None or found["open"]:
        steps.append(
            (f"close database {database['name']} to others", f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        )
    return steps


def steps_for(parameters: dict[str, Any], facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Every (what, SQL) that brings the server from `facts` to `parameters`."""
    if facts["standby"]:
        raise ObjectError(
            "the server is a standby, nothing can be made on it → name the real postgresql_primary"
        )
    steps = []
    for role in parameters["roles"]:
        steps += role_steps(role, facts["roles"].get(role["name"]))
    for database in parameters["databases"]:
        steps += database_steps(database, facts["databases"].get(database["name"]))
    for slot in parameters["slots"]:
        quoted(slot)
        if slot not in facts["slots"]:
            # reserve at once: the copy that comes next must find all of its WAL
            steps.append(
                (f"create slot {slot}", f"SELECT pg_create_physical_replication_slot('{slot}', true)")
            )
        elif facts["slots"][slot] != "physical":
            raise ObjectError(
                f"slot {slot} is {facts['slots'][slot]}, not physical → drop it by hand, then run again"
            )
    return steps


def psql(module: AnsibleModule, statement: str) -> str:
    """Output of one statement as the account postgres."""
    command = ["runuser", "-u", "postgres", "--", "timeout", "--kill-after=5", "90", "psql"]
    command += ["-XqAt", "-v", "ON_ERROR_STOP=1", "-p", str(module.params["port"]), "-d", "postgres"]
    code, out, err = module.run_command(
        command,
        data=statement,
        cwd="/",
        environ_update={
            "PGCONNECT_TIMEOUT": "10",
            "PGOPTIONS": "-c lock_timeout=30s -c statement_timeout=80s",
            "LC_ALL": "C.UTF-8",
        },
    )
    if code:
        last = "; ".join(line for line in err.strip().splitlines() if line)[:300]
        raise ObjectError(f"psql on port {module.params['port']}: {last} → journalctl, /var/log/postgresql")
    return str(out)


def main() -> None:
    """Entry point."""
    text = {"type": "str", "required": True}
    module = AnsibleModule(
        argument_spec={
            "port": {"type": "int", "default": 5432},
            "roles": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": text,
                    "password": {**text, "no_log": True},
                    "replication": {"type": "bool", "default": False},
                },
            },
            "databases": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": text,
                    "owner": text,
                    "collation": {"type": "str", "default": "C"},
                    "character_type": {"type": "str", "default": "C.UTF-8"},
                },
            },
            "slots": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    if module.check_mode and not shutil.which("psql"):
        module.exit_json(changed=True, actions=["make roles, databases and slots"])
    done = []
    try:
        try:
            facts = json.loads(psql(module, FACTS))
        except ObjectError:
            if (
                module.check_mode
            ):  # installed by a killed run but not running; the run itself starts it before
                module.exit_json(changed=True, actions=["make roles, databases and slots"])
            raise
        steps = steps_for(module.params, facts)
        for what, statement in steps:
            if not module.check_mode:
                psql(module, statement)
            done.append(what)
    except ObjectError as error:
        module.fail_json(msg=str(error), actions=done)
    look = f'runuser -u postgres -- psql -XqAt -p {module.params["port"]} -d postgres -c "{WATCHED}"'
    module.exit_json(changed=bool(done), actions=done, ledger=[["probe", look]])


if __name__ == "__main__":
    main()
