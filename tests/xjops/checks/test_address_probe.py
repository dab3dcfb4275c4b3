"""What answers, against what is planned: the judgement, on answers made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Any

import pytest

from xjops.adapters import probing
from xjops.adapters.probing import Answer, Bounds
from xjops.adapters.ssh import known_hosts
from xjops.checks.address_probe import Probe, Seen, probe
from xjops.core.errors import NotRunError
from xjops.site import Site

UP = Answer(echo=True, port="open")
SILENT = Answer(echo=False)
KEYS = {"web1": "ssh-ed25519 AAAA1", "web2": "ssh-ed25519 AAAA2", "db1": "ssh-rsa AAAA3"}
Asked = dict[str, Any]
Ask = Callable[..., Probe]


@pytest.fixture
def asked() -> Asked:
    return {}


@pytest.fixture
def ask(lab_site: Site, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """A probe of the lab whose network gives these answers and keys, by address."""
    file = known_hosts(lab_site)
    file.parent.mkdir(parents=True)
    lines = ["# web9 AAAA9", *(f"{lab_site.host(name).address},{name} {key} x" for name, key in KEYS.items())]
    file.write_text("\n".join(lines) + "\n")

    def look(answers: Mapping[str, Answer], keys: Mapping[str, str | None], site: Site = lab_site) -> Probe:
        def sweep(ports: Any, bounds: Bounds, *, seconds: float) -> Any:
            bounds.check(ports)
            asked.update(ports=dict(ports), bounds=bounds)
            return {address: answers.get(str(address), SILENT) for address in ports}

        def host_keys(ports: Any, kinds: Any, bounds: Bounds) -> Any:
            asked.update(keys=dict(ports), kinds=dict(kinds))
            return {address: keys.get(str(address)) for address in ports}

        monkeypatch.setattr(probing, "sweep", sweep)
        monkeypatch.setattr(probing, "host_keys", host_keys)
        return probe(site)

    return look


def at(found: tuple[Seen, ...], address: str) -> Seen:
    (seen,) = [item for item in found if str(item.address) == address]
    return seen


def test_a_host_with_its_own_key(ask: Ask, asked: Asked) -> None:
    seen = at(ask({"10.58.7.11": UP}, {"10.58.7.11": KEYS["web1"]}).planned, "10.58.7.11")
    assert (seen.owner, seen.status, seen.key) == ("web1", "pass", "as known")
    assert asked["kinds"] == {IPv4Address("10.58.7.11"): {"ssh-ed25519"}}


@pytest.mark.parametrize(
    ("key", "status", "word", "text"),
    [
        (KEYS["web2"], "fail", "another", "another machine answers: its host key is that of web2"),
        (
            "ssh-ed25519 AAAA9",
            "fail",
            "another",
            "another machine answers: its host key is not the known one",
        ),
        ("ssh-rsa AAAA1", "fail", "another", "another machine answers: its host key is not the known one"),
        (None, "warn", "none", "answers, but proves no SSH host key"),
    ],
)
def test_a_host_with_another_key_is_another_machine(
    ask: Ask, key: str | None, status: str, word: str, text: str
) -> None:
    seen = at(ask({"10.58.7.11": UP}, {"10.58.7.11": key}).planned, "10.58.7.11")
    assert (seen.status, seen.key, seen.text) == (status, word, text)


def test_a_host_whose_key_was_never_learned(ask: Ask) -> None:
    seen = at(ask({"10.58.7.13": UP}, {"10.58.7.13": "ssh-ed25519 AAAA7"}).planned, "10.58.7.13")
    assert (seen.status, seen.key) == ("warn", "unknown")


@pytest.mark.parametrize(
    "answer", [Answer(echo=True), Answer(echo=False, port="refused"), Answer(port="refused")]
)
def test_a_sign_of_life_without_ssh(ask: Ask, asked: Asked, answer: Answer) -> None:
    found = ask({"10.58.7.11": answer, "10.58.7.1": answer}, {})
    assert at(found.planned, "10.58.7.11").text == "answers, but proves no SSH host key"
    gateway = at(found.planned, "10.58.7.1")
    assert (gateway.status, gateway.text, gateway.key) == (
        "pass",
        "answers",
        "",
    )  # no key is known of gateways
    assert asked["keys"] == {}


def test_every_planned_address_and_every_other_of_the_internal_subnet_is_asked(
    ask: Ask, asked: Asked, lab_site: Site
) -> None:
    found = ask({"10.58.7.77": UP, "10.58.7.78": UP}, {"10.58.7.78": KEYS["db1"]})
    internal, public = lab_site.network.internal.subnet, ("10.58.107.1", "10.58.107.10")
    assert set(asked["ports"]) == {*internal.hosts(), *map(IPv4Address, public)}
    assert asked["bounds"] == Bounds((internal, lab_site.network.public.subnet), local=True)
    assert {item.status for item in found.planned} == {"warn"}
    assert [(str(item.address), item.text) for item in found.unplanned] == [
        ("10.58.7.77", "answers, but is not planned"),
        ("10.58.7.78", "answers with the host key of db1, but is not planned"),
    ]


def test_hosts_are_asked_at_their_own_port(ask: Ask, asked: Asked, lab_site: Site) -> None:
    moved = [
        host.model_copy(update={"port": 2222}) if host.name == "web1" else host for host in lab_site.hosts
    ]
    ask({}, {}, lab_site.model_copy(update={"hosts": tuple(moved)}))
    assert asked["ports"][IPv4Address("10.58.7.11")] == 2222
    assert set(asked["ports"].values()) == {22, 2222}


def test_no_way_at_all_is_not_run(ask: Ask, lab_site: Site) -> None:
    nowhere = {str(address): Answer(way=False) for address in lab_site.network.internal.subnet}
    nowhere |= {str(address): Answer(way=False) for address in lab_site.network.public.subnet}
    with pytest.raises(NotRunError, match=r"no way to 10\.58\.7\.0/24, 10\.58\.107\.0/24: nothing was asked"):
        ask(nowhere, {})
    del nowhere["10.58.7.11"]
    found = ask(nowhere, {})
    assert at(found.planned, "10.58.7.12").status == "not-run"
    assert at(found.planned, "10.58.7.11").status == "warn"


def with_subnets(site: Site, internal: str, public: str) -> Site:
    parts = {
        "internal": site.network.internal.model_copy(update={"subnet": internal}),
        "public": site.network.public.model_copy(update={"subnet": public}),
    }
    return Site.model_validate(
        site.model_dump()
        | {"network": site.network.model_dump() | {k: v.model_dump() for k, v in parts.items()}}
    )


def test_documentation_ranges_are_never_asked(ask: Ask, asked: Asked, lab_site: Site) -> None:
    with pytest.raises(NotRunError, match="are documentation ranges: nothing was asked"):
        ask({}, {}, with_subnets(lab_site, "192.0.2.0/24", "203.0.113.0/24"))
    assert asked == {}
    found = ask({}, {}, with_subnets(lab_site, "192.0.2.0/24", "10.58.107.0/24"))
    assert [str(address) for address in asked["ports"]] == ["10.58.107.1", "10.58.107.10"]
    assert [item.subject for item in found.findings] == ["unplanned addresses", "addresses elsewhere"]


def test_a_large_subnet_is_not_searched(ask: Ask, asked: Asked, lab_site: Site) -> None:
    found = ask({}, {}, with_subnets(lab_site, "10.58.0.0/18", "10.58.107.0/24"))
    assert len(asked["ports"]) == 18 + 2
    (finding,) = found.findings
    assert (finding.status, finding.text) == (
        "not-run",
        "10.58.0.0/18 was not searched: more than 1024 addresses",
    )


def test_addresses_elsewhere_are_said_not_asked(ask: Ask, asked: Asked, lab_site: Site) -> None:
    storage = lab_site.storage.model_copy(update={"export": "10.5.58.11:/vol"})
    found = ask({}, {}, lab_site.model_copy(update={"storage": storage}))
    assert IPv4Address("10.5.58.11") not in asked["ports"]
    assert [item.text for item in found.findings] == [
        "not asked, for they are outside the site's own subnets: shared storage"
    ]


def test_name_servers_in_the_subnet_are_no_strangers(ask: Ask, lab_site: Site) -> None:
    network = lab_site.network.model_copy(update={"dns_servers": (IPv4Address("10.58.7.2"),)})
    found = ask({"10.58.7.2": UP}, {}, lab_site.model_copy(update={"network": network}))
    assert found.unplanned == ()
    assert at(found.planned, "10.58.7.2").owner == "name server"


def test_without_leave_to_send_echoes_it_is_said(ask: Ask, lab_site: Site) -> None:
    everywhere = [*lab_site.network.internal.subnet, *lab_site.network.public.subnet]
    found = ask({str(address): Answer() for address in everywhere}, {})
    assert [finding.subject for finding in found.findings] == ["echo"]
