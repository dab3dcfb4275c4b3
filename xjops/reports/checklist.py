"""A checklist's report as JSON (schema: docs/reference/checklist.md) and as an HTML page."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from xjops import __version__
from xjops.checks.engine import ItemReport, Report
from xjops.checks.result import Result, Status

SCHEMA = 1

CHINESE = {
    Status.PASS: "通过",
    Status.WARN: "警告",
    Status.FAIL: "不通过",
    Status.WAIVED: "豁免",
    Status.ATTESTED: "签署证明",
    Status.NOT_RUN: "未检查",
}


def as_data(report: Report) -> dict[str, Any]:
    """The report as JSON values."""
    profile = report.profile
    return {
        "schema": SCHEMA,
        "xjops": __version__,
        "site": report.site,
        "title": report.title,
        "profile": {
            "name": profile.name,
            "title": profile.title,
            "source": profile.source,
            "seed": profile.seed,
        },
        "started": report.started,
        "finished": report.finished,
        "counts": counts(report),
        "items": [_item(item) for item in report.items],
    }


def counts(report: Report) -> dict[str, int]:
    """How many items ended in each status; every status is there, zero included."""
    found = Counter(report.statuses)
    return {status.value: found[status] for status in Status}


def _item(report: ItemReport) -> dict[str, Any]:
    item = report.item
    results = [_result(result) for result in report.results]
    return {
        "id": item.id,
        "text": item.text,
        "note": item.note,
        "status": report.status.value,
        "results": results,
    }


def _result(result: Result) -> dict[str, Any]:
    evidence = [
        {"host": e.host, "source": e.source, "value": e.value, "time": e.time, "sha256": e.sha256}
        for e in result.evidence
    ]
    return {
        "check": result.check,
        "subject": result.subject,
        "status": result.status.value,
        "value": result.value,
        "message": result.message,
        "evidence": evidence,
    }


def as_json(report: Report) -> str:
    """The report as JSON text."""
    return json.dumps(as_data(report), ensure_ascii=False, indent=2) + "\n"


def as_html(report: Report) -> str:
    """The report as one self-contained page (no script, no outside file), fit for print and signature."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("xjops.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    chinese = {status.value: word for status, word in CHINESE.items()}
    return environment.get_template("checklist.html").render(report=as_data(report), chinese=chinese)


def write(report: Report, folder: Path) -> list[Path]:
    """Write the report to `folder` as `checklist-<profile>.json` and `.html`; the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix, text in (("json", as_json(report)), ("html", as_html(report))):
        path = folder / f"checklist-{report.profile.name}.{suffix}"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written
