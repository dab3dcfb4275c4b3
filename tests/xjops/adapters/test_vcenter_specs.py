"""What vCenter is asked to do: pure, so that what the simulator ignores is checked all the same."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest
from pyVmomi import vim

from xjops.adapters import vcenter_specs as specs
from xjops.adapters.vcenter_model import Machine, Power, Size, Stage

MARKS = specs.Marks("lab", "web_servers", "xjops: site=lab role=web_servers", Stage.CLONED)
GB = 1024**2  # KiB


def disk(size_gb: int, key: int = 2000, unit: int = 0) -> Any:
    return vim.vm.device.VirtualDisk(
        key=key,
        controllerKey=1000,
        unitNumber=unit,
        capacityInKB=size_gb * GB,
        capacityInBytes=size_gb * GB * 1024,
    )


def before(cpus: int, memory_mb: int, disk_gb: int, power: Power = Power.ON) -> Machine:
    return Machine("vm-2", "web2", "DC0/vm/web2", size=Size(cpus, memory_mb, disk_gb), power=power)


def card() -> Any:
    return vim.vm.device.VirtualVmxnet3(
        key=4000, backing=vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="old")
    )


def clone(devices: list[Any], size: Size = Size(4, 8192, 50)) -> Any:  # noqa: B008 - frozen
    backing = vim.vm.device.VirtualEthernetCard.NetworkBackingInfo(deviceName="LAN")
    return specs.clone(specs.Location("ds", "pool", None, backing), devices, size, MARKS)


def options(spec: Any) -> dict[str, str]:
    return {item.key: item.value for item in spec.extraConfig}


@pytest.fixture(autouse=True)
def _plain_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let specs hold plain strings where vCenter's references would be."""
    real = vim.vm.RelocateSpec

    def relocate(**values: Any) -> Any:
        assert set(values) == {"datastore", "pool", "host"}
        return real()

    monkeypatch.setattr(vim.vm, "RelocateSpec", relocate)


def test_a_clone_has_its_cpus_marks_and_network_from_the_start() -> None:
    spec = clone([disk(30), card()])
    assert (spec.config.numCPUs, spec.config.memoryMB) == (4, 8192)
    assert spec.config.annotation == MARKS.annotation
    assert options(spec.config) == {
        "xjops.site": "lab",
        "xjops.role": "web_servers",
        "xjops.stage": "cloned",
    }
    assert spec.config.cpuHotAddEnabled
    assert spec.config.memoryHotAddEnabled
    (network,) = (change.device for change in spec.config.deviceChange)
    assert network.backing.deviceName == "LAN"
    assert network.connectable.startConnected
    assert spec.powerOn is False
    assert spec.template is False


def test_the_templates_devices_are_not_touched() -> None:
    devices = [disk(30), card()]
    clone(devices)
    specs.change(devices, before(4, 8192, 30), Size(4, 8192, 50), MARKS)
    assert devices[0].capacityInKB == 30 * GB
    assert devices[1].backing.deviceName == "old"


def test_a_disk_is_never_shrunk() -> None:
    assert specs.change([disk(80)], before(4, 8192, 80), Size(4, 8192, 80), MARKS).deviceChange == []


def test_the_first_disk_grows_not_the_second() -> None:
    spec = specs.change(
        [disk(200, key=2001, unit=1), disk(30, key=2000, unit=0)],
        before(4, 8192, 30),
        Size(4, 8192, 50),
        MARKS,
    )
    (change,) = spec.deviceChange
    assert change.device.key == 2000
    assert change.operation == "edit"
    assert change.device.capacityInBytes == 50 * GB * 1024


def test_a_change_holds_only_what_differs() -> None:
    spec = specs.change([], before(4, 8192, 50), Size(4, 8192, 50), MARKS)
    assert (spec.numCPUs, spec.memoryMB) == (None, None)
    spec = specs.change([], before(2, 8192, 50), Size(4, 8192, 50), MARKS)
    assert (spec.numCPUs, spec.memoryMB) == (4, None)
    spec = specs.change([], before(4, 4096, 50), Size(4, 8192, 50), MARKS)
    assert (spec.numCPUs, spec.memoryMB) == (None, 8192)


def test_hot_add_is_switched_on_where_it_can_be() -> None:
    size = Size(4, 8192, 50)
    running = specs.change([], before(4, 8192, 50), size, MARKS)
    assert (running.cpuHotAddEnabled, running.memoryHotAddEnabled) == (None, None)
    stopped = specs.change([], before(4, 8192, 50, Power.OFF), size, MARKS)
    assert (stopped.cpuHotAddEnabled, stopped.memoryHotAddEnabled) == (True, True)


def test_customization_says_who_the_guest_becomes() -> None:
    spec = specs.customization(
        specs.Identity(
            name="web2",
            domain="lab.internal",
            address=IPv4Address("10.58.7.12"),
            subnet=IPv4Network("10.58.7.0/24"),
            gateway=IPv4Address("10.58.7.1"),
            dns_servers=(IPv4Address("10.58.7.53"),),
            timezone="Asia/Shanghai",
        )
    )
    assert spec.identity.hostName.name == "web2"
    assert spec.identity.domain == "lab.internal"
    assert spec.identity.timeZone == "Asia/Shanghai"
    assert spec.globalIPSettings.dnsServerList == ["10.58.7.53"]
    (mapping,) = spec.nicSettingMap
    assert mapping.adapter.ip.ipAddress == "10.58.7.12"
    assert mapping.adapter.subnetMask == "255.255.255.0"
    assert mapping.adapter.gateway == ["10.58.7.1"]


def test_a_card_on_a_distributed_port_group(monkeypatch: pytest.MonkeyPatch) -> None:
    group = vim.dvs.DistributedVirtualPortgroup("dvportgroup-1")
    settings = SimpleNamespace(key="dvportgroup-1", distributedVirtualSwitch=SimpleNamespace(uuid="50 2e"))
    monkeypatch.setattr(vim.dvs.DistributedVirtualPortgroup, "config", settings)
    backing = specs.card_backing(group, "LAN")
    assert (backing.port.portgroupKey, backing.port.switchUuid) == ("dvportgroup-1", "50 2e")


def test_a_card_on_an_nsx_segment(monkeypatch: pytest.MonkeyPatch) -> None:
    summary = SimpleNamespace(opaqueNetworkId="seg-7", opaqueNetworkType="nsx.LogicalSwitch")
    monkeypatch.setattr(vim.OpaqueNetwork, "summary", summary)
    backing = specs.card_backing(vim.OpaqueNetwork("network-o1"), "LAN")
    assert (backing.opaqueNetworkId, backing.opaqueNetworkType) == ("seg-7", "nsx.LogicalSwitch")


def test_a_template_without_card_or_disk_gives_no_device_change() -> None:
    assert clone([]).config.deviceChange == []
