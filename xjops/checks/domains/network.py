"""Addresses (seed 001, item 2: at least 16 internal, 3 public) and the public entrance (seed 000)."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from xjops.checks.registry import Context, check
from xjops.checks.result import Result, Status
from xjops.site.addresses import internal_need, internal_required, usable
from xjops.site.model import Site

SECONDS = 5.0


@check("network.addresses")
def addresses(context: Context, *, internal: int, public: int) -> Iterator[Result]:
    """Enough internal and public addresses are planned: the minimum asked for, and what this site needs."""
    name, site = "network.addresses", context.site
    subnet = site.network.internal.subnet
    planned = usable(subnet)
    claimed = internal_need(site)
    needed = internal_required(site, internal)
    value = f"{planned} in {subnet}, {claimed} needed by this site"
    evidence = context.evidence("control", "site: network.internal, hosts", value)
    status = Status.PASS if planned >= needed else Status.FAIL
    yield Result(name, "internal", status, value, f"at least {needed} (minimum {internal})", evidence)
    outside = [host.name for host in site.hosts if host.address not in subnet]
    if outside:
        yield Result(
            name, "internal", Status.FAIL, f"outside {subnet}: {', '.join(outside)}", "xjops site check"
        )
    prepared = [str(address) for address in site.network.public_addresses]
    status = Status.PASS if len(set(prepared)) >= public else Status.FAIL
    evidence = context.evidence("control", "site: network.public_addresses", ", ".join(prepared))
    yield Result(name, "public", status, f"{len(set(prepared))} prepared", f"at least {public}", evidence)


@check("network.hosts-answer")
def hosts_answer(context: Context) -> Iterator[Result]:
    """Every planned address answers by SSH as the host it is planned for."""
    name = "network.hosts-answer"
    wrong = []
    for host in context.site.hosts:
        facts = context.facts[host.name]
        if facts.error is not None:
            wrong.append(f"{host.name} does not answer")
        elif facts.values["hostname"].split(".")[0] != host.name:
            wrong.append(f"{host.address} answers as {facts.values['hostname']}, planned for {host.name}")
    total = len(context.site.hosts)
    value = f"{total - len(wrong)} of {total} addresses answer as planned"
    evidence = context.evidence("control", "SSH to every address, uname -n", value)
    yield Result(name, "internal", Status.FAIL if wrong else Status.PASS, value, "; ".join(wrong), evidence)


@check("public.entrance")
def entrance(context: Context) -> Iterator[Result]:
    """The balancer has a public address and a domain, and serves the application there over verified TLS."""
    name, site = "public.entrance", context.site
    address, domain = site.balancer.address, site.balancer.domain
    if address is None or domain is None:
        missing = "public address" if address is None else "domain name"
        yield Result(
            name, "balancer", Status.FAIL, f"no {missing}", "set balancer.address and balancer.domain"
        )
        return
    if address not in site.network.public_addresses:
        yield Result(name, str(address), Status.FAIL, "not one of the prepared public addresses", "site.yml")
    try:
        status, certificate = _ask(site, str(address), domain)
    except OSError as error:
        yield Result(name, f"https://{domain}/livez", Status.FAIL, str(error), "xjops apply --limit lb1")
        return
    evidence = context.evidence(
        "control", f"GET https://{domain}/livez at {address}", f"{status}; {certificate}"
    )
    good = " 200 " in status
    yield Result(name, f"https://{domain}/livez", Status.PASS if good else Status.FAIL, status, "", evidence)


@check("public.domain")
def domain_resolves(context: Context) -> Iterator[Result]:
    """The hosts (in production also the control node) resolve the domain to the balancer's address."""
    name, site = "public.domain", context.site
    domain, address = site.balancer.domain, str(site.balancer.address)
    if domain is None:
        yield Result(name, "domain", Status.FAIL, "no domain name", "set balancer.domain")
        return
    seen = {
        host: facts.values["names"].get(domain, "") or "nothing"
        for host, facts in context.facts.items()
        if facts.error is None
    }
    if site.site.kind == "production":
        try:
            seen["control"] = socket.gethostbyname(domain)
        except OSError:
            seen["control"] = "nothing"
    wrong = {host: value for host, value in seen.items() if value != address}
    value = f"{len(seen) - len(wrong)} of {len(seen)} resolve {domain} to {address}"
    evidence = context.evidence("control", f"getent ahostsv4 {domain}", seen)
    status = Status.NOT_RUN if not seen else Status.FAIL if wrong else Status.PASS
    yield Result(name, domain, status, value, f"wrong: {wrong}" if wrong else "", evidence)


def _ask(site: Site, address: str, domain: str) -> tuple[str, str]:
    """Status line of /livez at `address` under the name `domain`, and the certificate's subject and end."""
    authority = site.file(site.balancer.ca_file) if site.balancer.ca_file else None
    verified = ssl.create_default_context(cafile=str(authority) if authority else None)
    with (
        socket.create_connection((address, 443), timeout=SECONDS) as plain,
        verified.wrap_socket(plain, server_hostname=domain) as link,
    ):
        link.sendall(f"GET /livez HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n".encode())
        status = link.recv(4096).decode(errors="replace").splitlines()[0]
        about = link.getpeercert() or {}
    return status + " ", f"certificate valid until {about.get('notAfter')}"
