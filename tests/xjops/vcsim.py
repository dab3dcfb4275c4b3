"""A real vCenter API for tests: VMware's simulator on a free port, with a site of its own.

`vcenter_site` gives a site whose vCenter holds the folder and the template and nothing else. The
simulator itself is shared by all tests of a session; tests that need one of another kind
(`simulator_for`) start their own.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from pyVmomi import vim

from xjops.adapters import vcenter
from xjops.core import paths
from xjops.lab import certificates, credentials, simulator
from xjops.site import Site

PASSWORD = "not-a-real-password"


def free_port() -> int:
    """A port of loopback that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_site(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A copy of the lab's inventory under `folder`, with certificates, a password and a free port."""
    inventories = folder / "inventories"
    unwanted = shutil.ignore_patterns("vault.yml", "files")
    source = paths.project() / "inventories" / "lab"
    shutil.copytree(source, inventories / "labtest", ignore=unwanted)
    monkeypatch.setenv("XJOPS_INVENTORIES", str(inventories))
    monkeypatch.setenv("XJOPS_STATE", str(folder / "state"))
    settings = inventories / "labtest" / "group_vars" / "all" / "site.yml"
    settings.write_text(settings.read_text().replace("port: 18989", f"port: {free_port()}"))
    (settings.parent / "vault.yml").write_text(f"{vcenter.PASSWORD}: {PASSWORD}\n")  # plain: only a test
    site = Site.load("labtest")
    (site.folder / "files").mkdir()
    authority, _ = certificates.ensure_authority(
        site.folder / "files" / "lab-ca.pem", credentials.lab_folder(site.name) / "ca.key", "test"
    )
    pem, key = credentials.vcenter_certificate(site)
    certificates.ensure_certificate(authority, pem, key, [IPv4Address("127.0.0.1")])
    assert site.vcenter.ca_file is not None
    site.file(site.vcenter.ca_file).write_bytes(authority.pem)
    return site


@contextmanager
def simulator_for(folder: Path, *options: str) -> Iterator[Site]:
    """A simulator of one's own with these options of its program, and its site."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        site = make_site(folder, monkeypatch)
        simulator.start(site, options)
        try:
            yield site
        finally:
            simulator.stop(site)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The session's simulator; the environment stays the tests' own while it runs."""
    before = {name: os.environ.get(name) for name in ("XJOPS_INVENTORIES", "XJOPS_STATE")}
    with simulator_for(tmp_path_factory.mktemp("vcenter")) as site, pytest.MonkeyPatch.context() as outside:
        for name, value in before.items():
            if value is None:
                outside.delenv(name, raising=False)
            else:
                outside.setenv(name, value)
        yield site


@pytest.fixture
def vcenter_site(simulated: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """The session's simulator without any machine but the template, and a state folder of one's own."""
    monkeypatch.setenv("XJOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("XJOPS_INVENTORIES", str(simulated.folder.parent))
    with vcenter.connect(simulated) as session:
        clear(session)
    return simulated


def clear(session: vcenter.VCenter) -> None:
    """Remove every machine but the template."""
    paths_ = ("name", "config.template", "runtime.powerState")
    for machine, values in session.below([(vim.VirtualMachine, paths_)], session.content.rootFolder).items():
        if values.get("name") == session.site.vcenter.template:
            continue
        if values.get("config.template"):
            cluster = next(iter(session.below([(vim.ResourcePool, ("name",))], session.content.rootFolder)))
            machine.MarkAsVirtualMachine(cluster)
        if values.get("runtime.powerState") == "poweredOn":
            finish(session, machine.PowerOffVM_Task())
        finish(session, machine.Destroy_Task())
    # the simulator doesn't give the space of a removed disk back
    for store in session.below([(vim.Datastore, ("name",))], session.content.rootFolder):
        store.RefreshDatastore()


def finish(session: vcenter.VCenter, task: Any) -> Any:
    """Wait for a task; its result, or its error raised."""
    for _ in range(2000):
        info = session.retrieve([(vim.Task, ("info",))], [task])[task]["info"]
        if info.state == "success":
            return info.result
        if info.state == "error":
            raise info.error
    raise AssertionError(f"{task} does not end")


def machine_named(session: vcenter.VCenter, name: str) -> Any:
    """The one machine of this name."""
    found = session.below([(vim.VirtualMachine, ("name",))], session.content.rootFolder)
    (machine,) = [item for item, values in found.items() if values["name"] == name]
    return machine


def reconfigure(session: vcenter.VCenter, name: str, **settings: Any) -> None:
    """Change a machine behind xjops' back."""
    finish(session, machine_named(session, name).ReconfigVM_Task(vim.vm.ConfigSpec(**settings)))


def add_foreign(session: vcenter.VCenter, name: str, folder: str = "vm", **settings: Any) -> Any:
    """A machine that somebody else made, in the VM folder of this name."""
    found = session.below(
        [(vim.Folder, ("name",)), (vim.ClusterComputeResource, ("resourcePool",))],
        session.content.rootFolder,
    )
    (place,) = [item for item, values in found.items() if values.get("name") == folder]
    (pool,) = [values["resourcePool"] for values in found.values() if "resourcePool" in values]
    spec = vim.vm.ConfigSpec(
        name=name,
        guestId="debian12_64Guest",
        numCPUs=settings.pop("numCPUs", 1),
        memoryMB=settings.pop("memoryMB", 512),
        files=vim.vm.FileInfo(vmPathName="[LocalDS_0]"),
        **settings,
    )
    return finish(session, place.CreateVM_Task(spec, pool, None))


def network_card() -> Any:
    """A change that adds a network card."""
    card = vim.vm.device.VirtualEthernetCard
    device = vim.vm.device.VirtualVmxnet3(key=-1, backing=card.NetworkBackingInfo(deviceName="VM Network"))
    kinds = vim.vm.device.VirtualDeviceSpec
    return kinds(operation=kinds.Operation.add, device=device)
