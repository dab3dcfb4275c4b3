"""The journal for people's own tools: a table that a spreadsheet opens, or JSON with the chain's lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from xjops.journal.history import Past

COLUMNS = {
    "zh": ("编号", "时间（UTC）", "操作", "操作人", "主机", "结果", "退出码", "耗时（秒）", "参数", "错误"),
    "en": (
        "run",
        "time (UTC)",
        "verb",
        "who",
        "hosts",
        "result",
        "exit code",
        "seconds",
        "parameters",
        "error",
    ),
}
ALL_HOSTS = {"zh": "全部", "en": "all"}
# A spreadsheet takes a cell that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(runs: Iterable[Past], language: str = "zh") -> str:
    """RFC 4180 with a byte order mark, which Excel needs to see UTF-8; no cell is taken for a formula."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(COLUMNS[language])
    for past in runs:
        hosts = " ".join(past.hosts) or ALL_HOSTS[language]
        parameters = json.dumps(past.parameters, ensure_ascii=False, sort_keys=True)
        time = f"{past.time:%Y-%m-%d %H:%M:%S}"
        ended = (
            "" if past.exit_code is None else past.exit_code,
            "" if past.seconds is None else past.seconds,
        )
        cells = (
            past.run,
            time,
            past.verb,
            past.who,
            hosts,
            past.result.value,
            *ended,
            parameters,
            past.error,
        )
        writer.writerow([_harmless(cell) for cell in cells])
    return "\ufeff" + stream.getvalue()


def _harmless(cell: Any) -> Any:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def as_json(site: str, runs: Sequence[Past], entries: Iterable[Any], head: str) -> str:
    """The runs and the very lines of the chain that tell of them, so that a reader can check their hashes."""
    wanted = {line for past in runs for line in past.lines}
    lines = [asdict(entry) for entry in entries if entry.sequence in wanted]
    about = {
        "schema": 1,
        "site": site,
        "head": head,
        "runs": [past.as_data() for past in runs],
        "entries": lines,
    }
    return json.dumps(about, ensure_ascii=False, indent=2) + "\n"
