"""The load balancer (seed 000: web2 to web9, these eight, mapped on a hardware balancer; web1 is not)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from xjops.adapters.balancing import Health
from xjops.balancer import open_balancer
from xjops.checks.registry import Context, check
from xjops.checks.result import Evidence, Result, Status
from xjops.core.errors import XjopsError
from xjops.site.model import Host


@check("balancer.hardware")
def hardware(context: Context) -> Iterator[Result]:
    """A hardware balancer, by the site's word; a software one is said, never passed."""
    kind = context.site.balancer.kind
    evidence = context.evidence("control", "site: balancer.kind", kind)
    status, message = Status.PASS, ""
    if kind != "f5":
        status = Status.WARN
        message = "a hardware balancer is required; a waiver in registers/waivers.yml may accept this"
    yield Result("balancer.hardware", "balancer", status, kind, message, evidence)


@check("balancer.members")
def members(context: Context, *, mapped: list[str], unmapped: list[str]) -> Iterator[Result]:
    """Exactly the `mapped` web servers are members, by the balancer's own word, and all of them are up."""
    name, site = "balancer.members", context.site
    planned = set(site.balancer.members)
    status = Status.PASS if planned == set(mapped) else Status.FAIL
    evidence = context.evidence("control", "site: balancer.members", sorted(planned))
    yield Result(name, "plan", status, f"{len(planned)} members planned", f"exactly {mapped}", evidence)
    if site.balancer.kind != "haproxy":
        yield from _driver(context, mapped, unmapped)
        return
    hosts = site.group("balancers")
    if not hosts:
        yield Result(name, "balancers", Status.FAIL, "no balancer host", "add one to the group balancers")
    for host in hosts:
        yield from _haproxy(context, host, mapped, unmapped)


def _haproxy(context: Context, host: Host, mapped: list[str], unmapped: list[str]) -> Iterator[Result]:
    name, facts = "balancer.members", context.facts[host.name]
    if facts.error is not None:
        yield Result(name, host.name, Status.NOT_RUN, "host could not be asked", str(facts.error))
        return
    answer: dict[str, Any] = facts.values["balancer"]
    source = "show stat (HAProxy runtime API)"
    if "error" in answer:
        evidence = context.evidence(host, source, answer["error"])
        yield Result(name, host.name, Status.FAIL, answer["error"], "systemctl status haproxy", evidence)
        return
    # By address: a member's name may say web2 while its address is another machine's.
    names = {str(machine.address): machine.name for machine in context.site.hosts}
    seen = {
        names.get(row["address"].rpartition(":")[0], row["address"] or row["member"]): row["status"]
        for row in answer["members"]
    }
    up = {member for member, state in seen.items() if state.startswith("UP")}
    yield _judged(host.name, seen, up, mapped, unmapped, context.evidence(host, source, seen))


def _driver(context: Context, mapped: list[str], unmapped: list[str]) -> Iterator[Result]:
    """Ask a balancer that is no host of ours by its driver."""
    name, source = "balancer.members", "members and statistics (iControl REST)"
    try:
        with open_balancer(context.site) as balancers:
            looks = balancers.look()
    except XjopsError as error:
        yield Result(name, "balancer", Status.NOT_RUN, error.what, error.mend)
        return
    for look in looks:
        if look.error is not None:
            yield Result(name, look.balancer, Status.NOT_RUN, look.error.what, look.error.mend)
            continue
        seen = {member.name: f"{member.state}, {member.health}" for member in look.members}
        up = {member.name for member in look.members if member.serves and member.health is Health.UP}
        evidence = context.evidence("control", f"{look.balancer}: {source}", seen)
        yield _judged(look.balancer, seen, up, mapped, unmapped, evidence)
        for what, mend in look.problems:
            yield Result(name, look.balancer, Status.FAIL, what, mend, evidence)


def _judged(
    subject: str,
    seen: Mapping[str, str],
    up: set[str],
    mapped: list[str],
    unmapped: list[str],
    evidence: tuple[Evidence, ...],
) -> Result:
    """Exactly the `mapped` ones are members, and all of them are up."""
    missing = sorted(set(mapped) - up)
    foreign = sorted((set(seen) - set(mapped)) | (set(seen) & set(unmapped)))
    value = f"{len(up & set(mapped))} of {len(mapped)} up" + (f", also mapped: {foreign}" if foreign else "")
    status = Status.FAIL if missing or foreign else Status.PASS
    mend = f"not up: {missing}; look at their /livez" if missing else ""
    return Result("balancer.members", subject, status, value, mend, evidence)
