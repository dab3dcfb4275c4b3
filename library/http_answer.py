#!/usr/bin/python
"""Ansible module: wait with a deadline until a URL answers as it should."""

# SPDX-License-Identifier: Apache-2.0

from __future__ import annotations

DOCUMENTATION = r"""
module: http_answer
short_description: Wait with a deadline until a URL answers as it should
description:
  - Asks a URL from the host until the answer has the wanted status (and text), at most O(seconds) long.
  - The failure shows the URL, the last status or error, the beginning of the last answer and the end of the
    journal of O(unit), so that the cause is read where the failure is.
  - It changes nothing. In check mode it says that it was not run, because what it would ask may not be there.
options:
  url:
    description: The URL to ask, C(http) or C(https).
    type: str
    required: true
  connect_to:
    description: Address to connect to instead of the URL's host; the URL's host is still sent and verified.
    type: str
  ca:
    description: Certificate (PEM) of the authority that must have signed the server's certificate.
    type: str
  headers:
    description: Request headers.
    type: dict
    default: {}
  status:
    description: Accepted status codes.
    type: list
    elements: int
    default: [200]
  contains:
    description: Text that the answer must contain.
    type: str
    default: ''
  seconds:
    description: Deadline in seconds for everything.
    type: int
    default: 60
  unit:
    description: Unit whose journal explains a failure.
    type: str
author:
  - xjops
"""

EXAMPLES = r"""
- name: Wait until the application is healthy
  http_answer:
    url: http://127.0.0.1/healthz
    headers: {Host: xueji.example.cn}
    unit: registry-web.service
"""

RETURN = r"""
status:
  description: Status of the last answer.
  returned: success
  type: int
elapsed:
  description: Seconds until the answer came.
  returned: success
  type: float
"""

import contextlib
import http.client
import socket
import ssl
import subprocess
import time
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule

MOST_BYTES = 65536
ONE_TRY = 10.0  # seconds: a server that accepts and says nothing must not eat the whole deadline


def connection(params: dict[str, Any], timeout: float) -> http.client.HTTPConnection:
    """A connection to the URL's host, or to `connect_to` under the URL's name."""
    parts = urlsplit(params["url"])
    host = parts.hostname or ""
    target = params["connect_to"] or host
    if parts.scheme == "http":
        return http.client.HTTPConnection(target, parts.port or 80, timeout=timeout)
    context = ssl.create_default_context(cadata=params["ca"])
    secure = http.client.HTTPSConnection(host, parts.port or 443, timeout=timeout, context=context)

    def create(_address: tuple[str, int], *_: Any) -> socket.socket:
        return socket.create_connection((target, parts.port or 443), timeout)

    # HTTPSConnection verifies the name it was made for; only the address it dials is ours
    secure._create_connection = create  # type: ignore[attr-defined]
    return secure


def ask(params: dict[str, Any], timeout: float) -> tuple[int, str]:
    """Status and beginning of the answer; raises OSError or http.client.HTTPException."""
    parts = urlsplit(params["url"])
    asked = connection(params, timeout)
    headers = {"Host": parts.netloc, "User-Agent": "xjops", **params["headers"]}
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    with contextlib.closing(asked):
        asked.request("GET", path, headers=headers)
        answer = asked.getresponse()
        return answer.status, answer.read(MOST_BYTES).decode("utf-8", "replace")


def journal_tail(unit: str) -> str:
    try:
        result = subprocess.run(
            ["journalctl", "--no-pager", "--output=cat", "--lines=20", f"--unit={unit}"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"(journal not readable: {error})"
    return result.stdout.strip() or "(journal empty)"


def wait(params: dict[str, Any]) -> tuple[int | None, str, float]:
    """(status, "", elapsed) when the answer is right, else (last status, what was wrong, elapsed)."""
    begin = time.monotonic()
    end = begin + params["seconds"]
    while True:
        status: int | None = None
        left = end - time.monotonic()
        try:
            status, body = ask(params, max(1.0, min(ONE_TRY, left)))
        except (OSError, http.client.HTTPException) as error:
            problem = f"{type(error).__name__}: {error}"
        else:
            if status in params["status"] and params["contains"] in body:
                return status, "", time.monotonic() - begin
            problem = f"status {status}, answer: {' '.join(body.split())[:500] or '(empty)'}"
        if time.monotonic() + 0.5 >= end:
            return status, problem, time.monotonic() - begin
        time.sleep(0.5)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "connect_to": {"type": "str"},
            "ca": {"type": "str"},
            "headers": {"type": "dict", "default": {}},
            "status": {"type": "list", "elements": "int", "default": [200]},
            "contains": {"type": "str", "default": ""},
            "seconds": {"type": "int", "default": 60},
            "unit": {"type": "str"},
        },
        supports_check_mode=True,
    )
    params = module.params
    if urlsplit(params["url"]).scheme not in ("http", "https") or not urlsplit(params["url"]).hostname:
        module.fail_json(msg=f"url must be http://host/… or https://host/…, not {params['url']!r}")
    if module.check_mode:
        module.exit_json(changed=False, skipped=True, msg=f"not run in check mode: {params['url']}")
    status, problem, elapsed = wait(params)
    if not problem:
        module.exit_json(changed=False, status=status, elapsed=round(elapsed, 3))
    journal = (
        f"\nThe end of the journal of {params['unit']}:\n{journal_tail(params['unit'])}"
        if params["unit"]
        else ""
    )
    module.fail_json(
        msg=f"{params['url']} did not answer {'/'.join(map(str, params['status']))} within "
        f"{params['seconds']} s; last: {problem}{journal}",
        last_status=status,
    )


if __name__ == "__main__":
    main()
