"""From task results to items."""

from __future__ import annotations

from typing import Any

import pytest

from xjops.ledger.watch import Item, items_of, watchable


@pytest.mark.parametrize(
    ("action", "args", "result", "expected"),
    [
        ("ansible.builtin.apt", {"name": ["nginx-light", "logrotate=3.21"]}, {},
         {("package", "nginx-light"), ("package", "logrotate")}),
        ("ansible.builtin.apt", {"name": "nginx", "update_cache": True}, {}, {("package", "nginx")}),
        ("ansible.builtin.apt", {"update_cache": True}, {}, set()),
        ("ansible.builtin.copy", {"dest": "/etc/haproxy/", "src": "a"}, {"dest": "/etc/haproxy/a"},
         {("file", "/etc/haproxy/a")}),
        ("ansible.builtin.template", {"dest": "/etc/a"}, {"path": "/etc/a"}, {("file", "/etc/a")}),
        ("ansible.builtin.file", {"path": "/srv"}, {"path": "/srv"}, {("file", "/srv")}),
        ("ansible.builtin.user", {"name": "xjops"}, {}, {("account", "xjops")}),
        ("ansible.builtin.user", {"name": "www-data", "groups": ["a"]}, {}, {("member", "www-data:a")}),
        (
            "ansible.builtin.user",
            {"name": "xjops", "groups": "adm,b", "shell": "/bin/bash"},
            {},
            {("account", "xjops"), ("member", "xjops:adm"), ("member", "xjops:b")},
        ),
        ("ansible.builtin.group", {"name": "registry"}, {}, {("group", "registry")}),
        ("ansible.builtin.systemd_service", {"name": "nginx"}, {}, {("unit", "nginx.service")}),
        ("ansible.builtin.systemd_service", {"daemon_reload": True}, {}, set()),
        ("unit", {"names": ["a.timer", "b.service"]}, {}, {("unit", "a.timer"), ("unit", "b.service")}),
        ("host_files", {"files": [{"path": "/etc/a"}, {"path": "/etc/b", "state": "absent"}]}, {},
         {("file", "/etc/a"), ("file", "/etc/b")}),
        ("shared_mount", {"path": "/srv/shared", "state": "ready"}, {}, {("mount", "/srv/shared")}),
        ("shared_mount", {"path": "/srv/shared", "state": "cleared"}, {}, set()),
        ("release_build", {"version": "1"}, {"path": "/opt/registry/releases/1+2"},
         {("tree", "/opt/registry/releases/1+2")}),
        ("gluster_volume", {"name": "v"}, {"ledger": [["probe", "gluster volume info v"]]},
         {("probe", "gluster volume info v")}),
        ("ansible.builtin.debug", {"msg": "x"}, {}, set()),
    ],
)  # fmt: skip
def test_items(action: str, args: dict[str, Any], result: dict[str, Any], expected: set[Item]) -> None:
    assert items_of(action, {}, {"invocation": {"module_args": args}, **result}) == expected


def test_a_skipped_task_leaves_nothing() -> None:
    assert items_of("ansible.builtin.file", {"path": "/srv"}, {"skipped": True}) == set()


def test_the_arguments_count_where_the_result_has_none() -> None:
    assert items_of("unit", {"names": ["a.service"]}, {}) == {("unit", "a.service")}


def test_what_needs_a_word_of_its_own() -> None:
    assert watchable("ansible.builtin.template")
    assert watchable("ansible.builtin.assert")
    assert not watchable("ansible.builtin.command")
    assert not watchable("gluster_volume")
