"""The servers: there, running, at least as large as required (seed 000, the required table)."""

from __future__ import annotations

from collections.abc import Iterator

from xjops.adapters.vcenter_model import Power
from xjops.checks.registry import Context, check
from xjops.checks.result import Result, Status
from xjops.site.model import Host

GB = 1024  # MiB in a GiB


@check("machine.size")
def size(
    context: Context, *, host: str, os: str, cpus: int, memory_gb: int, disk_gb: int
) -> Iterator[Result]:
    """A virtual machine's CPU, memory and disk on vCenter, and its operating system by its own word."""
    name = "machine.size"
    view = context.vcenter
    if view.error is not None:
        yield Result(name, host, Status.NOT_RUN, "vCenter could not be asked", str(view.error))
    elif host not in view.machines:
        yield Result(name, host, Status.FAIL, "not on vCenter", "xjops vm apply")
    else:
        machine = view.machines[host]
        there, powered_on = machine.size, machine.power is Power.ON
        value = f"{there.cpus} CPU, {there.memory_mb / GB:g}G, {there.disk_gb:g}G"
        wanted = f"at least {cpus} CPU, {memory_gb}G memory, {disk_gb}G disk"
        large = there.cpus >= cpus and there.memory_mb >= memory_gb * GB and there.disk_gb >= disk_gb
        if not powered_on:
            value += ", powered off"
        status = Status.PASS if large and powered_on else Status.FAIL
        evidence = context.evidence("vcenter", f"VirtualMachine.config.hardware of {host}", value)
        yield Result(name, host, status, value, wanted, evidence)
    yield _operating_system(context, host, os)


def _operating_system(context: Context, host: str, wanted: str) -> Result:
    name = "machine.os"
    facts = context.facts.get(host)
    if facts is None:
        return Result(name, host, Status.FAIL, "not in the inventory", f"add {host} to hosts.yml")
    if facts.error is not None:
        return Result(name, host, Status.NOT_RUN, "host could not be asked", str(facts.error))
    system = facts.values["system"]
    value = f"{facts.values['os'].get('PRETTY_NAME', system)}, kernel {facts.values['kernel']}"
    evidence = context.evidence(host, "/etc/os-release, uname", value)
    status = Status.PASS if system.lower() == wanted.lower() else Status.FAIL
    return Result(name, host, status, value, f"{wanted} required", evidence)


@check("machine.running")
def running(context: Context, *, group: str = "all") -> Iterator[Result]:
    """Every host of the group answers, and its system is up without a failed unit."""
    name = "machine.running"
    hosts = context.site.hosts if group == "all" else context.site.group(group)
    if not hosts:
        yield Result(name, group, Status.FAIL, "no host in the group", f"add hosts to the group {group}")
    for host in hosts:
        yield _running(context, name, host)


def _running(context: Context, name: str, host: Host) -> Result:
    facts = context.facts[host.name]
    if facts.error is not None:
        return Result(name, host.name, Status.FAIL, "does not answer", str(facts.error))
    failed = facts.values["failed_units"]
    hours = facts.values["uptime_seconds"] / 3600
    value = f"up {hours:.1f} h" + (f", failed: {', '.join(failed)}" if failed else "")
    evidence = context.evidence(host, "systemctl list-units --failed", value)
    status = Status.WARN if failed else Status.PASS
    mend = f"xjops lab shell {host.name} systemctl status {failed[0]}" if failed else ""
    return Result(name, host.name, status, value, mend, evidence)


@check("vcenter.deployed")
def vcenter_deployed(context: Context) -> Iterator[Result]:
    """vCenter answers over verified TLS, lets us log in, and carries every VM of the site."""
    name, view = "vcenter.deployed", context.vcenter
    if view.error is not None:
        yield Result(name, context.site.vcenter.host, Status.NOT_RUN, "could not be asked", str(view.error))
        return
    evidence = context.evidence("vcenter", "ServiceInstance.content.about.fullName", view.product)
    yield Result(name, context.site.vcenter.host, Status.PASS, view.product, "", evidence)
    wanted = [host.name for host in context.site.virtual_machines]
    missing = [host for host in wanted if host not in view.machines]
    value = f"{len(wanted) - len(missing)} of {len(wanted)} virtual machines"
    status = Status.FAIL if missing else Status.PASS
    seen = context.evidence("vcenter", "VirtualMachine names", ", ".join(sorted(view.machines)))
    yield Result(name, "virtual machines", status, value, f"missing: {missing}" if missing else "", seen)
