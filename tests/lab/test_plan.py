"""The ledger as an oracle: whatever is damaged on a host is named by the plan and mended by apply.


from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import XJOPS, run
from xjops.adapters.ssh import Fleet
from xjops.site import Site

pytestmark = pytest.mark.lab
HOST = "web3"
LEDGER = "sudo -n cat /var/lib/xjops/ledger.json"
# Appends a comment to every file of its argument (a JSON list).
EDIT = """
import json, os, sys
for path in json.loads(sys.argv[1]):
    with open(path, "a") as file:
        file.write("# damaged\\n")
"""


def plan(*words: str, code: int) -> dict[str, Any]:
    done = subprocess.run(
        [XJOPS, "plan", "--format", "json", *words], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def named(found: dict[str, Any], host: str = HOST) -> set[tuple[str, str]]:
    """The items that the plan names on a host."""
    (about,) = [one for one in found["hosts"] if one["name"] == host]
    return {(drift["kind"], drift["name"]) for item in about["due"] for drift in item["drift"]}


def on(site: Site, line: str, host: str = HOST) -> str:
    with Fleet(site) as fleet:
        output = fleet.run([site.host(host)], line, seconds=120)[host]
    assert output.error is None
    assert output.exit_code == 0, output.stderr
    return output.stdout


def items(site: Site, kind: str) -> list[str]:
    """What the host's ledger watches of a kind, and is there."""
    entries = json.loads(on(site, LEDGER))["entries"].values()
    return sorted({name for entry in entries for k, name, state in entry["items"] if k == kind and state})


def mended(site: Site) -> None:
    run("apply", "--yes", "--limit", HOST)
    assert not named(plan(code=0))


def test_nothing_is_to_be_done_on_a_finished_province(province: Site) -> None:
    found = plan(code=0)
    assert found["vcenter"]["summary"]
    assert not [host for host in found["hosts"] if host["due"] or host["error"]]
    assert "primary" in found["parts"]["database db1"]
    assert found["parts"]["balancer lb1"] == "8 of 8 members up"
    assert "on 11 hosts" in found["parts"]["application"]


def test_the_ledger_is_for_root_alone(province: Site) -> None:
    assert on(province, "stat -c '%U %a' /var/lib/xjops/ledger.json").strip() == "root 600"
    assert province.secret("vault_database_password") not in on(province, LEDGER)


def test_every_edited_file_is_named_and_mended(province: Site) -> None:
    files = [path for path in items(province, "file") if not path.endswith("/current")]
    regular = on(
        province, f"for f in {' '.join(files)}; do sudo -n test -f $f -a ! -L $f && echo $f; done; true"
    ).split()
    assert len(regular) > 10
    on(province, f"sudo -n python3 -c '{EDIT}' '{json.dumps(regular)}'")
    assert named(plan("--limit", HOST, code=3)) == {("file", path) for path in regular}
    mended(province)


def test_mode_owner_link_unit_package_account_and_mount(province: Site) -> None:
    link = "/opt/registry/current"
    mount = str(province.storage.mount_point)
    damage = {
        ("file", "/usr/local/bin/registry"): "chmod 700 /usr/local/bin/registry",
        ("file", "/etc/registry/registry.env"): "chown nobody /etc/registry/registry.env",
        ("file", link): f"ln -sfn /tmp {link}",
        ("unit", "nginx.service"): "systemctl stop nginx.service",
        ("unit", "registry-web.service"): "systemctl disable registry-web.service",
        ("package", "logrotate"): "dpkg --remove --force-depends logrotate",
        ("account", "registry"): "usermod -s /bin/sh registry",
        ("mount", mount): f"umount -l {mount}",
    }
    for command in damage.values():
        on(province, f"sudo -n {command}")
    assert damage.keys() <= named(plan("--limit", HOST, code=3))
    mended(province)


def test_an_empty_plan_means_that_a_full_dry_run_changes_nothing(province: Site) -> None:
    plan(code=0)
    done = subprocess.run(
        [XJOPS, "apply", "--full", "--check", "--format", "json"],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    outcome = json.loads(done.stdout)
    assert sum(host["changed"] for host in outcome["hosts"]) == 0
    assert outcome["exit_code"] == 0


def test_a_saved_plan_is_refused_once_the_site_has_changed(province: Site, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    on(province, "sudo -n chmod 700 /usr/local/bin/registry")
    plan("--limit", HOST, "-o", str(file), code=3)
    on(province, "sudo -n chmod 711 /usr/local/bin/registry")
    done = subprocess.run(
        [XJOPS, "apply", str(file), "--yes"], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 1
    assert "has changed since" in done.stderr
    plan("--limit", HOST, "-o", str(file), code=3)
    run("apply", str(file), "--yes")
    assert on(province, "stat -c %a /usr/local/bin/registry").strip() == "755"
