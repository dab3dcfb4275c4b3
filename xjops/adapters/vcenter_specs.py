"""Build what vCenter is asked to do, out of plain types. Pure: no call goes out from here."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from pyVmomi import vim

from xjops.adapters.vcenter_inventory import system_disk
from xjops.adapters.vcenter_model import ROLE_KEY, SITE_KEY, STAGE_KEY, Machine, Power, Size, Stage


@dataclass(frozen=True)
class Identity:
    """Who a machine becomes at its first boot."""

    name: str
    domain: str
    address: IPv4Address
    subnet: IPv4Network
    gateway: IPv4Address
    dns_servers: tuple[IPv4Address, ...]
    timezone: str


@dataclass(frozen=True)
class Marks:
    """What tells a machine of ours from a foreign one."""

    site: str
    role: str
    annotation: str
    stage: Stage


@dataclass(frozen=True)
class Location:
    """vCenter's own references of where a machine goes, and how its network card hangs on the network."""

    datastore: Any
    pool: Any
    host: Any  # None where DRS chooses
    backing: Any


def clone(location: Location, template: Iterable[Any], size: Size, marks: Marks) -> Any:
    """CloneSpec: a full copy with its CPUs, memory, network and marks, not powered on.

    `template` are the template's devices. The disk grows and the guest is customized by tasks of their
    own: a disk can only be changed under its own file's name, which is the copy's, and a run killed in
    between can go on.
    """
    config = vim.vm.ConfigSpec(
        numCPUs=size.cpus,
        memoryMB=size.memory_mb,
        # so that growing later needs no restart
        cpuHotAddEnabled=True,
        memoryHotAddEnabled=True,
        annotation=marks.annotation,
        extraConfig=_options(marks),
        deviceChange=_network(location.backing, list(template)),
    )
    relocate = vim.vm.RelocateSpec(datastore=location.datastore, pool=location.pool, host=location.host)
    return vim.vm.CloneSpec(location=relocate, config=config, powerOn=False, template=False)


def change(devices: Iterable[Any], before: Machine, after: Size, marks: Marks) -> Any:
    """ConfigSpec that brings a machine to a size and writes its marks; only what differs is in it."""
    config = vim.vm.ConfigSpec(annotation=marks.annotation, extraConfig=_options(marks))
    if before.power is Power.OFF:
        config.cpuHotAddEnabled = config.memoryHotAddEnabled = True
    if after.cpus > before.size.cpus:
        config.numCPUs = after.cpus
    if after.memory_mb > before.size.memory_mb:
        config.memoryMB = after.memory_mb
    if after.disk_gb > before.size.disk_gb:
        config.deviceChange = _disk(list(devices), after.disk_gb)
    return config


def customization(identity: Identity) -> Any:
    """Specification of the first boot: host name, address, gateway, DNS, time zone; for one network card."""
    kinds = vim.vm.customization
    servers = [str(server) for server in identity.dns_servers]
    adapter = kinds.IPSettings(
        ip=kinds.FixedIp(ipAddress=str(identity.address)),
        subnetMask=str(identity.subnet.netmask),
        gateway=[str(identity.gateway)],
        dnsDomain=identity.domain,
        dnsServerList=servers,
    )
    return kinds.Specification(
        identity=kinds.LinuxPrep(
            hostName=kinds.FixedName(name=identity.name),
            domain=identity.domain,
            timeZone=identity.timezone,
            hwClockUTC=True,
        ),
        globalIPSettings=kinds.GlobalIPSettings(dnsSuffixList=[identity.domain], dnsServerList=servers),
        nicSettingMap=[kinds.AdapterMapping(adapter=adapter)],
    )


def extra_configuration(values: Mapping[str, str]) -> Any:
    """ConfigSpec that sets only entries of the extra configuration."""
    return vim.vm.ConfigSpec(
        extraConfig=[vim.option.OptionValue(key=key, value=value) for key, value in values.items()]
    )


def _options(marks: Marks) -> list[Any]:
    values = {SITE_KEY: marks.site, ROLE_KEY: marks.role, STAGE_KEY: marks.stage.value}
    return [vim.option.OptionValue(key=key, value=value) for key, value in values.items()]


def _disk(devices: list[Any], wanted_gb: int) -> list[Any]:
    disk = system_disk(devices)
    wanted_kb = wanted_gb * 1024**2
    if disk is None or disk.capacityInKB >= wanted_kb:
        return []
    disk = copy.copy(disk)
    disk.capacityInKB = wanted_kb
    disk.capacityInBytes = wanted_kb * 1024
    return [_edit(disk)]


def _network(backing: Any, devices: list[Any]) -> list[Any]:
    card = next((item for item in devices if isinstance(item, vim.vm.device.VirtualEthernetCard)), None)
    if card is None:
        return []
    card = copy.copy(card)  # the template's devices serve for the next machine as well
    card.backing = backing
    card.connectable = vim.vm.device.VirtualDevice.ConnectInfo(
        startConnected=True, allowGuestControl=True, connected=False
    )
    return [_edit(card)]


def _edit(device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(
        operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=device
    )


def card_backing(network: Any, name: str) -> Any:
    """How a network card hangs on a standard network, a distributed port group or an NSX segment."""
    cards = vim.vm.device.VirtualEthernetCard
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        settings = network.config
        return cards.DistributedVirtualPortBackingInfo(
            port=vim.dvs.PortConnection(
                portgroupKey=settings.key, switchUuid=settings.distributedVirtualSwitch.uuid
            )
        )
    if isinstance(network, vim.OpaqueNetwork):
        return cards.OpaqueNetworkBackingInfo(
            opaqueNetworkId=network.summary.opaqueNetworkId,
            opaqueNetworkType=network.summary.opaqueNetworkType,
        )
    return cards.NetworkBackingInfo(network=network, deviceName=name)
