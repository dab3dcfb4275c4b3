"""Items, registers, exit codes and reports."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
import yaml

from xjops.checks import engine, profile
from xjops.checks.registers import Registers
from xjops.checks.registry import Context
from xjops.checks.result import Result, Status, exit_code, worst
from xjops.core.errors import ConfigurationError, ExitCode
from xjops.reports import checklist
from xjops.site import Site

TODAY = date(2026, 11, 22)


@pytest.fixture
def registers(context: Context) -> Registers:
    return Registers(context.site, TODAY)


@pytest.fixture(autouse=True)
def entrance_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The public entrance is asked over the network; here it answers."""

    def answer(site: Site, address: str, domain: str) -> tuple[str, str]:
        return "HTTP/1.1 200 OK ", "certificate valid until 2036"

    monkeypatch.setattr("xjops.checks.domains.network._ask", answer)


def statuses(context: Context, registers: Registers, name: str) -> dict[str, str]:
    report = engine.run(profile.load(name), context, registers)
    return {item.item.id: item.status.value for item in report.items}


def test_the_healthy_lab_on_both_profiles(context: Context, registers: Registers) -> None:
    k12 = statuses(context, registers, "k12")
    assert {k12.pop("database"), k12.pop("load-balancer")} == {"waived"}
    assert set(k12.values()) == {"pass"}
    assert len(k12) == 14
    assert statuses(context, registers, "vocational") == {
        "equipment": "attested",
        "network": "pass",
        "vcenter": "pass",
        "storage": "pass",
        "software": "waived",
    }


def test_every_item_has_its_original_text_in_the_seed_words() -> None:
    texts = [item.text for item in profile.load("vocational").items]
    assert "网络完成规划，准备16个内网IP和3个公网IP" in texts
    k12 = {item.id: item.text for item in profile.load("k12").items}
    assert "web2到web9这8台服务器映射到硬件负载均衡设备上" in k12["load-balancer"]
    assert len(k12) == 16


def test_without_papers_the_paper_items_are_not_run(context: Context, tmp_path: Path) -> None:
    empty = Registers(context.site.model_copy(update={"folder": tmp_path}), TODAY)
    found = statuses(context, empty, "vocational")
    assert (found["equipment"], found["software"]) == ("not-run", "not-run")
    assert statuses(context, empty, "k12")["database"] == "warn"


def register(folder: Path, **changes: object) -> None:
    papers = folder / "registers"
    papers.mkdir(exist_ok=True)
    (papers / "paper.pdf").write_bytes(b"signed")
    entry = {
        "item": "vocational/equipment",
        "statement": "racked",
        "by_role": "information centre",
        "date": date(2026, 1, 1),
        "expires": date(2027, 1, 1),
        "file": "paper.pdf",
        "sha256": "324f98a3a64e60fb8ddc3a4b95f59cfb1bd2ab36ad1f41bea0b3ea0c9f8e1a0e",
    }
    (papers / "attestations.yml").write_text(yaml.safe_dump([entry | changes]))


@pytest.mark.parametrize(
    ("changes", "status", "word"),
    [
        ({}, Status.ATTESTED, ""),
        ({"expires": date(2026, 11, 21)}, Status.FAIL, "expired"),
        ({"date": date(2026, 12, 1)}, Status.FAIL, "future"),
        ({"file": "gone.pdf"}, Status.FAIL, "missing"),
        ({"sha256": "00"}, Status.FAIL, "hash differs"),
        ({"item": "vocational/other"}, Status.NOT_RUN, "registers/attestations.yml"),
    ],
)
def test_a_paper_counts_only_while_it_is_the_one_that_was_seen(
    context: Context, tmp_path: Path, changes: dict[str, object], status: Status, word: str
) -> None:
    import hashlib

    register(tmp_path, **({"sha256": hashlib.sha256(b"signed").hexdigest()} | changes))
    site = context.site.model_copy(update={"folder": tmp_path})
    result = Registers(site, TODAY).attested("vocational", "equipment", "racked")
    assert result.status is status
    assert word in result.message


def test_an_expired_waiver_waives_nothing(context: Context) -> None:
    later = Registers(context.site, date(2040, 1, 1))
    assert statuses(context, later, "k12")["database"] == "warn"


def test_a_waiver_never_hides_what_was_not_run(registers: Registers) -> None:
    result = Result("database.rac", "database", Status.NOT_RUN, "not asked")
    assert registers.waive("k12", [result]) == [result]


@pytest.mark.parametrize(
    ("states", "fail_on", "code"),
    [
        ([], Status.WARN, ExitCode.NOT_RUN),
        (["pass", "attested", "waived"], Status.WARN, ExitCode.OK),
        (["pass", "warn"], Status.WARN, ExitCode.WARN),
        (["warn", "not-run"], Status.WARN, ExitCode.NOT_RUN),
        (["not-run", "fail", "warn"], Status.WARN, ExitCode.FAIL),
        (["warn", "not-run"], Status.FAIL, ExitCode.OK),
        (["warn"], Status.NOT_RUN, ExitCode.OK),
        (["fail"], Status.FAIL, ExitCode.FAIL),
    ],
)
def test_exit_codes_are_a_contract(states: list[str], fail_on: Status, code: ExitCode) -> None:
    assert exit_code([Status(state) for state in states], fail_on) is code


def test_nothing_looked_at_is_not_run() -> None:
    assert worst([]) is Status.NOT_RUN


def test_reports_carry_every_item_and_its_evidence(
    context: Context, registers: Registers, tmp_path: Path
) -> None:
    report = engine.run(profile.load("k12"), context, registers)
    files = checklist.write(report, tmp_path)
    data = json.loads(files[0].read_text())
    assert data["counts"] == {"pass": 14, "warn": 0, "fail": 0, "waived": 2, "attested": 0, "not-run": 0}
    evidence = [e for item in data["items"] for result in item["results"] for e in result["evidence"]]
    assert len(evidence) > 40
    assert all(len(e["sha256"]) == 64 and e["time"] and e["source"] for e in evidence)
    page = files[1].read_text()
    assert "豁免" in page
    assert page.count('class="item ') == 16
    assert "<script" not in page


def test_a_page_escapes_what_hosts_say(context: Context, registers: Registers) -> None:
    facts = context.facts["web2"]
    evil = replace(facts, values={**facts.values, "os": {"PRETTY_NAME": "<script>alert(1)</script>"}})
    seen = replace(context, facts={**context.facts, "web2": evil})
    assert "<script>" not in checklist.as_html(engine.run(profile.load("k12"), seen, registers))


@pytest.fixture
def broken_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(profile, "folder", lambda: tmp_path)
    return tmp_path / "mine.yml"


@pytest.mark.parametrize(
    ("item", "word"),
    [
        ("{id: a, text: t, checks: [{check: no.such}]}", "unknown check 'no.such'"),
        ("{id: a, text: t, checks: [{check: database.rac, colour: red}]}", "colour"),
        ("{id: a, text: t}", "neither checks nor attest"),
        ("{id: a, text: t, attested: x}", "Extra inputs"),
    ],
)
def test_a_broken_profile_is_refused(broken_profile: Path, item: str, word: str) -> None:
    broken_profile.write_text(f"name: mine\ntitle: t\nsource: s\nseed: '000'\nitems:\n  - {item}\n")
    with pytest.raises(ConfigurationError, match=word):
        profile.load("mine")
