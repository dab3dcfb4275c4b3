"""Eleven machines from nothing on VMware's simulator: xjops against a loop of `vmware_guest`.

Both get an equal simulator of their own, and both make the same machines (checked afterwards): cloned,
sized, started. xjops customizes them as well; of the peer's customization the simulator takes no notice.
The peer, `community.vmware`, comes from the `ansible` package of PyPI, installed for this benchmark alone
into the cache.

- `seconds`: log in, plan and apply, in a process that has its imports done; the median of RUNS.
- `process_seconds`: the whole command `xjops vm apply --yes`, with Python's start and imports.
- `peer_seconds`: the loop's task alone, without Ansible's start; `peer_process_seconds` with it.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[2]
sys.path.insert(0, str(PROJECT))

from _report import report  # noqa: E402 - lies beside this file

from tests.xjops.vcsim import simulator_for  # noqa: E402
from xjops import provision  # noqa: E402
from xjops.adapters import vcenter  # noqa: E402
from xjops.adapters.vcenter_model import Power  # noqa: E402
from xjops.core import paths  # noqa: E402
from xjops.site import Site  # noqa: E402

PEER = (
    "ansible==12.3.0",
    "pyvmomi==9.1.1.0",
    "requests",
)  # community.vmware 5.10, the last with vmware_guest
RUNS = 5

PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.copy: {content: "{{ now().timestamp() }}", dest: "{{ folder }}/start", mode: "0600"}
    - community.vmware.vmware_guest:
        hostname: "{{ vcenter.host }}"
        port: "{{ vcenter.port }}"
        username: "{{ vcenter.username }}"
        password: "{{ password }}"
        validate_certs: false
        datacenter: "{{ vcenter.datacenter }}"
        cluster: "{{ vcenter.cluster }}"
        folder: "/{{ vcenter.datacenter }}/vm/{{ vcenter.folder }}"
        template: "{{ vcenter.template }}"
        name: "{{ item.name }}"
        annotation: "{{ item.role }}"
        datastore: "{{ item.datastore }}"
        hardware: {num_cpus: "{{ item.cpus }}", memory_mb: "{{ item.memory_mb }}"}
        disk: [{size_gb: "{{ item.disk_gb }}", datastore: "{{ item.datastore }}"}]
        networks:
          - name: "{{ vcenter.network }}"
            ip: "{{ item.address }}"
            netmask: 255.255.255.0
            gateway: "{{ gateway }}"
        customization: {hostname: "{{ item.name }}", domain: lab.internal}
        state: poweredon
      loop: "{{ machines }}"
      loop_control: {label: "{{ item.name }}"}
    - ansible.builtin.copy: {content: "{{ now().timestamp() }}", dest: "{{ folder }}/end", mode: "0600"}
"""


def say(text: str) -> None:
    """A line for whoever watches."""
    print(text, flush=True)


def check(site: Site) -> None:
    """The machines are really there, and as the site wants them."""
    with vcenter.connect(site) as session:
        found = {machine.name: machine for machine in session.machines()}
        assert set(found) == {host.name for host in site.virtual_machines}, found
        for host in site.virtual_machines:
            machine = found[host.name]
            assert machine.power is Power.ON, machine
            size = (machine.size.cpus, machine.size.memory_mb, machine.size.disk_gb)
            assert size == (host.cpus, host.memory_mb, host.disk_gb), machine


def ours_inside() -> float:
    """Seconds from the log-in to the last machine that runs."""
    with tempfile.TemporaryDirectory() as folder, simulator_for(Path(folder)) as site:
        started = time.perf_counter()
        with vcenter.connect(site) as session:
            result = provision.apply(provision.plan(site, session=session), session=session)
        seconds = time.perf_counter() - started
        assert result.failed == {}, result.failed
        check(site)
    return seconds


def ours_outside() -> float:
    """Seconds of the whole command."""
    with tempfile.TemporaryDirectory() as folder, simulator_for(Path(folder)) as site:
        command = [sys.executable, "-m", "xjops.cli.main", "vm", "apply", "--yes", "--site", site.name]
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, timeout=300, cwd=PROJECT)
        seconds = time.perf_counter() - started
        check(site)
    return seconds


def peer_environment() -> Path:
    """The peer's own virtual environment in the cache."""
    home = paths.cache() / "bench" / f"ansible-{PEER[0].rpartition('=')[2]}"
    if not (home / "complete").is_file():
        say(f"installing {' '.join(PEER)} into {home}")
        shutil.rmtree(home, ignore_errors=True)
        beside = Path(sys.executable).with_name("uv")
        uv = str(beside) if beside.is_file() else "uv"
        subprocess.run(
            [uv, "venv", "--quiet", "--python", sys.executable, str(home)], check=True, timeout=120
        )
        python = str(home / "bin" / "python")
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *PEER], check=True, timeout=1200)
        (home / "complete").touch()
    return home


def peer(home: Path) -> tuple[float, float]:
    """Seconds of the loop alone, and of the whole `ansible-playbook`."""
    with tempfile.TemporaryDirectory() as text, simulator_for(Path(text) / "lab") as site:
        folder = Path(text)
        playbook, values = folder / "peer.yml", folder / "values.json"
        playbook.write_text(PLAYBOOK)
        values.write_text(json.dumps(peer_values(site, folder)))
        environment = {
            **os.environ,
            "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
            "ANSIBLE_CONFIG": str(folder / "none.cfg"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_PYTHON_INTERPRETER": str(home / "bin" / "python"),
            "ANSIBLE_HOME": str(folder / "home"),
        }
        command = [
            str(home / "bin" / "ansible-playbook"),
            "-i",
            "localhost,",
            str(playbook),
            "-e",
            f"@{values}",
        ]
        started = time.perf_counter()
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=1200, check=False
        )
        whole = time.perf_counter() - started
        if result.returncode:
            raise SystemExit(f"the peer failed: {result.stdout[-3000:]}{result.stderr[-1000:]}")
        check(site)
        loop = float((folder / "end").read_text()) - float((folder / "start").read_text())
    return loop, whole


def peer_values(site: Site, folder: Path) -> dict[str, object]:
    """What the peer's playbook reads."""
    stores = site.vcenter.datastores
    return {
        "folder": str(folder),
        "password": site.secret(vcenter.PASSWORD),
        "gateway": str(site.network.internal.gateway),
        "vcenter": site.vcenter.model_dump(mode="json"),
        "machines": [
            {
                "name": host.name,
                "role": host.groups[-1],
                "cpus": host.cpus,
                "memory_mb": host.memory_mb,
                "disk_gb": host.disk_gb,
                "address": str(host.address),
                "datastore": stores[number % len(stores)],
            }
            for number, host in enumerate(site.virtual_machines)
        ],
    }


def main() -> None:
    home = peer_environment()
    runs = []
    for number in range(RUNS):
        runs.append(ours_inside())
        say(f"xjops, run {number + 1}: {runs[-1]:.2f} s")
    outside = ours_outside()
    say(f"xjops vm apply --yes, the whole command: {outside:.2f} s")
    loop, whole = peer(home)
    say(f"vmware_guest loop: {loop:.1f} s; the whole ansible-playbook: {whole:.1f} s")
    seconds = statistics.median(runs)
    report(
        "vm",
        {
            "seconds": seconds,
            "seconds_best": min(runs),
            "seconds_worst": max(runs),
            "process_seconds": outside,
        },
        {"peer_seconds": loop, "peer_process_seconds": whole},
        {"peer_over_ours": loop / seconds, "peer_process_over_ours": whole / outside},
        at_most={"seconds": 1.0},
        at_least={"peer_over_ours": 30.0},
    )


if __name__ == "__main__":
    main()
