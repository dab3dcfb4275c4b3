"""The database (seed 000: two physical machines as an Oracle RAC; seed 001, item 5: installed and tuned)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xjops.checks.probe import Facts
from xjops.checks.registry import Context, check
from xjops.checks.result import Result, Status


@check("database.physical")
def physical(context: Context, *, machines: int) -> Iterator[Result]:
    """Enough database hosts, none of them a virtual machine by its own word."""
    name, hosts = "database.physical", context.site.group("database_servers")
    status = Status.PASS if len(hosts) >= machines else Status.FAIL
    yield Result(name, "database_servers", status, f"{len(hosts)} machines", f"{machines} required")
    for host in hosts:
        facts = context.facts[host.name]
        if facts.error is not None:
            yield Result(name, host.name, Status.NOT_RUN, "host could not be asked", str(facts.error))
            continue
        on_vcenter = host.name in context.vcenter.machines
        virtual = facts.values["virtual"]
        value = "a VM on vCenter" if on_vcenter else f"systemd-detect-virt: {virtual}"
        # In the lab every host runs on one machine, often a VM itself: only vCenter's word counts there.
        wrong = on_vcenter or (virtual != "none" and context.site.site.kind == "production")
        evidence = context.evidence(host, "systemd-detect-virt --vm; vCenter inventory", value)
        status = Status.FAIL if wrong else Status.PASS
        yield Result(name, host.name, status, value, "a physical machine is required", evidence)


@check("database.rac")
def rac(context: Context) -> Iterator[Result]:
    """Oracle RAC with an instance open on every database host; anything else is said, never passed."""
    name, site = "database.rac", context.site
    if site.database.kind != "oracle":
        message = "Oracle RAC is required; a waiver in registers/waivers.yml may accept this"
        yield Result(name, "database", Status.WARN, f"{site.database.kind} in place of Oracle RAC", message)
        return
    for host in site.group("database_servers"):
        facts = context.facts[host.name]
        if facts.error is not None:
            yield Result(name, host.name, Status.NOT_RUN, "host could not be asked", str(facts.error))
            continue
        answer = facts.values["database"]
        text = answer.get("error") or answer.get("status", "")
        running = f"is running on node {host.name}" in text
        evidence = context.evidence(host, f"srvctl status database -d {site.database.name} -v", text)
        status = Status.PASS if running else Status.FAIL
        yield Result(name, host.name, status, text.splitlines()[0] if text else "no answer", "", evidence)


@check("database.running")
def running(context: Context) -> Iterator[Result]:
    """The database serves on every host: one primary and streaming standbys, or every RAC instance."""
    if context.site.database.kind == "oracle":
        yield from rac(context)
        return
    name, hosts = "database.running", context.site.group("database_servers")
    answers: dict[str, dict[str, Any]] = {}
    for host in hosts:
        result, answer = _postgresql(context, context.facts[host.name])
        answers[host.name] = answer
        yield result
    primaries = [host for host, answer in answers.items() if answer.get("standby") is False]
    streaming = sum(
        answer.get("streaming", 0) for answer in answers.values() if answer.get("standby") is False
    )
    value = f"primary: {', '.join(primaries) or 'none'}, standbys streaming: {streaming}"
    good = len(primaries) == 1 and streaming >= len(hosts) - 1
    evidence = context.evidence("control", "pg_is_in_recovery(), pg_stat_replication", answers)
    mend = "xjops apply --limit database_servers"
    yield Result(name, "cluster", Status.PASS if good else Status.FAIL, value, mend, evidence)


def _postgresql(context: Context, facts: Facts) -> tuple[Result, dict[str, Any]]:
    name = "database.running"
    if facts.error is not None:
        return Result(name, facts.host, Status.NOT_RUN, "host could not be asked", str(facts.error)), {}
    answer: dict[str, Any] = facts.values["database"]
    evidence = context.evidence(facts.host, "psql: server_version, recovery, data_checksums", answer)
    if "error" in answer:
        mend = "systemctl status postgresql"
        return Result(name, facts.host, Status.FAIL, answer["error"], mend, evidence), answer
    part = "standby" if answer["standby"] else "primary"
    value = f"PostgreSQL {answer['version']}, {part}, checksums {answer['checksums']}"
    lost = answer["standby"] and not answer["receiver"]
    status = Status.FAIL if lost else Status.PASS
    return Result(name, facts.host, status, value, "receives no stream" if lost else "", evidence), answer
