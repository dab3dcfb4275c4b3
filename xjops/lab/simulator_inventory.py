"""What an administrator prepares on a vCenter before xjops comes, in the simulator: folder and template."""

from __future__ import annotations

from typing import Any

from pyVmomi import vim

from xjops.adapters import vcenter
from xjops.adapters.vcenter import VCenter
from xjops.adapters.vcenter_specs import card_backing
from xjops.adapters.vcenter_tasks import TaskNews, TaskState, Watch
from xjops.core.errors import ConfigurationError, DeadlineError, XjopsError
from xjops.site import Site

# The template as an administrator would make it: smaller than what the site requires, so that clones grow.
TEMPLATE_CPUS = 2
TEMPLATE_MEMORY_MB = 2048
TEMPLATE_DISK_GB = 30
GUEST = "debian12_64Guest"
TASK_SECONDS = 30.0


def prepare(site: Site) -> None:
    """Make the folder and the template where they are missing.

    Raises `ConfigurationError` for names of the site that the simulator's own inventory hasn't.
    """
    with vcenter.connect(site) as session:
        found = session.below(
            [
                (vim.Datacenter, ("name", "vmFolder")),
                (vim.ClusterComputeResource, ("name", "resourcePool")),
                (vim.Network, ("name",)),
                (vim.Folder, ("name", "parent")),
                (vim.VirtualMachine, ("name", "config.template")),
            ],
            session.content.rootFolder,
        )
        center = _named(site, found, vim.Datacenter, "vcenter.datacenter", site.vcenter.datacenter)
        root = found[center]["vmFolder"]
        _folder(found, root, site.vcenter.folder)
        if not any(
            isinstance(item, vim.VirtualMachine) and values.get("name") == site.vcenter.template
            for item, values in found.items()
        ):
            cluster = _named(site, found, vim.ClusterComputeResource, "vcenter.cluster", site.vcenter.cluster)
            network = _named(site, found, vim.Network, "vcenter.network", site.vcenter.network)
            _template(session, root, found[cluster]["resourcePool"], network)


def _named(site: Site, found: vcenter.Found, kind: type[Any], key: str, name: str) -> Any:
    names = {str(values["name"]): item for item, values in found.items() if isinstance(item, kind)}
    if name not in names:
        raise ConfigurationError(
            f"At '{key}' (inventories/{site.name}/group_vars/all/site.yml): the simulator has no {name!r}",
            mend=f"use one of {', '.join(sorted(names))}",
        )
    return names[name]


def _folder(found: vcenter.Found, root: Any, path: str) -> None:
    parent = root
    for part in path.split("/"):
        below = {
            str(values["name"]): item
            for item, values in found.items()
            if isinstance(item, vim.Folder) and values.get("parent") == parent
        }
        parent = below.get(part) or parent.CreateFolder(part)


def _template(session: VCenter, folder: Any, pool: Any, network: Any) -> None:
    wanted = session.site.vcenter
    store = wanted.datastores[0]
    controller = vim.vm.device.ParaVirtualSCSIController(
        key=1000, busNumber=0, sharedBus=vim.vm.device.VirtualSCSIController.Sharing.noSharing
    )
    disk = vim.vm.device.VirtualDisk(
        key=-1,
        controllerKey=1000,
        unitNumber=0,
        capacityInKB=TEMPLATE_DISK_GB * 1024**2,
        backing=vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
            fileName=f"[{store}]", diskMode="persistent", thinProvisioned=True
        ),
    )
    card = vim.vm.device.VirtualVmxnet3(key=-2, backing=card_backing(network, wanted.network))
    kinds = vim.vm.device.VirtualDeviceSpec
    add, create = kinds.Operation.add, kinds.FileOperation.create
    spec = vim.vm.ConfigSpec(
        name=wanted.template,
        guestId=GUEST,
        numCPUs=TEMPLATE_CPUS,
        memoryMB=TEMPLATE_MEMORY_MB,
        files=vim.vm.FileInfo(vmPathName=f"[{store}]"),
        annotation="The lab's template. The hosts themselves are containers of the lab's base image.",
        deviceChange=[
            kinds(operation=add, device=controller),
            kinds(operation=add, fileOperation=create, device=disk),
            kinds(operation=add, device=card),
        ],
    )
    machine = _finish(session, folder.CreateVM_Task(spec, pool, None))
    vim.VirtualMachine(machine, session.stub).MarkAsTemplate()


def _finish(session: VCenter, task: Any) -> str:
    """Wait for one task; the id of the machine it made."""
    watch = Watch(session)
    watch.add(tasks=[task._GetMoId()])
    for _ in range(int(TASK_SECONDS)):
        for news in watch.news(1):
            if isinstance(news, TaskNews) and news.state is TaskState.FAILED:
                raise XjopsError(f"the lab's template was not made: {news.error}", mend="xjops lab up")
            if isinstance(news, TaskNews) and news.state is TaskState.DONE and news.machine:
                return news.machine
    raise DeadlineError(f"the lab's template was not made within {TASK_SECONDS:g} s", mend="xjops lab up")
