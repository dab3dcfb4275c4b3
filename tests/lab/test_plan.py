"""The ledger as an oracle: whatever is damaged on a host is named by the plan and mended by apply."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import XJOPS, run
from xjops.adapters.ssh import Fleet
from xjops.site import Site

pytestmark = pytest.mark.lab
HOST = "web3"
LEDGER = "sudo -n cat /var/lib/xjops/ledger.json"
# Damages every path of its second argument (a JSON list) in the way that its first names.
DAMAGE = """
import json, os, sys
how, paths = sys.argv[1], json.loads(sys.argv[2])
for path in paths:
    if how == "content":
        with open(path, "a") as file:
            file.write("# damaged\\n")
    elif how == "mode":
        os.chmod(path, os.stat(path).st_mode ^ 0o004)
    else:
        os.chown(path, 65534, 65534, follow_symlinks=False)
"""
# Without these nobody could get onto the host to look at it.
ACCESS = {("package", "sudo"), ("file", "/etc/sudoers.d/xjops")}


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
    found = {(drift["kind"], drift["name"]) for item in about["due"] for drift in item["drift"]}
    return {(kind, name) for kind, name in found if kind != "followed"}


def on(site: Site, line: str, host: str = HOST) -> str:
    with Fleet(site) as fleet:
        output = fleet.run([site.host(host)], line, seconds=120)[host]
    assert output.error is None
    assert output.exit_code == 0, output.stderr
    return output.stdout


def items(site: Site, kind: str) -> dict[str, dict[str, Any]]:
    """What the host's ledger watches of a kind, each with its state; what is to be absent is left out."""
    entries = json.loads(on(site, LEDGER))["entries"].values()
    return {name: state for entry in entries for k, name, state in entry["items"] if k == kind and state}


def damage(site: Site, how: str, paths: Iterable[str]) -> set[tuple[str, str]]:
    """Damage all these files; the items that a plan has to name for it."""
    chosen = sorted(paths)
    on(site, f"sudo -n python3 -c '{DAMAGE}' {how} '{json.dumps(chosen)}'")
    return {("file", path) for path in chosen}


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


def test_every_file_edited_every_unit_stopped_and_every_account_changed(province: Site) -> None:
    files, units = items(province, "file"), items(province, "unit")
    accounts, trees = items(province, "account"), items(province, "tree")
    members = items(province, "member")
    assert len(files) > 10
    assert min(len(units), len(accounts), len(trees), len(members)) > 0
    harmed = damage(province, "content", [path for path, state in files.items() if "sha256" in state])
    on(province, f"sudo -n systemctl stop {' '.join(units)}")
    for name in accounts:
        on(province, f"sudo -n usermod -s /bin/sh {name}")
    for name in members:
        on(province, f"sudo -n gpasswd -d {name.replace(':', ' ')}")
    for folder in trees:
        on(
            province,
            f"echo '# damaged' | sudo -n tee -a {folder}/lib/python3*/site-packages/registry/settings.py",
        )
    harmed |= {("unit", name) for name in units} | {("account", name) for name in accounts}
    harmed |= {("tree", folder) for folder in trees} | {("member", name) for name in members}
    assert harmed <= named(plan("--limit", HOST, code=3))  # the mount goes with its unit
    mended(province)
    line = f"grep -c damaged {' '.join(trees)}/lib/python3*/site-packages/registry/settings.py || true"
    assert on(province, line).strip() == "0"


def test_every_mode_package_enabled_unit_and_mount(province: Site) -> None:
    files, packages = items(province, "file"), items(province, "package").keys()
    units = [name for name, state in items(province, "unit").items() if state["enabled"] == "enabled"]
    (mount,) = items(province, "mount")
    harmed = damage(province, "mode", [path for path, state in files.items() if "link" not in state])
    gone = {("package", name) for name in packages} - ACCESS
    assert min(len(gone), len(units)) > 2
    on(province, f"sudo -n dpkg --remove --force-depends {' '.join(sorted(name for _, name in gone))}")
    on(province, f"sudo -n systemctl disable {' '.join(units)}")
    on(province, f"sudo -n umount -l {mount}")
    harmed |= gone | {("unit", name) for name in units} | {("mount", mount)}
    assert harmed <= named(
        plan("--limit", HOST, code=3)
    )  # what a lost package or mount takes along is named too
    mended(province)


def test_every_owner_and_link_and_what_should_be_absent(province: Site) -> None:
    files = items(province, "file")
    link, absent = "/opt/registry/current", "/etc/nginx/sites-enabled/default"
    owned = [path for path in files if ("file", path) not in ACCESS]
    harmed = damage(province, "owner", owned)
    assert link in owned
    on(province, f"sudo -n ln -sfn /tmp {link}; sudo -n touch {absent}")
    assert named(plan("--limit", HOST, code=3)) == harmed | {("file", absent)}
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
