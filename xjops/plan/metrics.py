"""What a look or a watch found, as metrics in the text form that node_exporter's textfile collector reads."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from xjops.core.errors import XjopsError
from xjops.ledger.compare import Why
from xjops.plan.look import Look
from xjops.plan.watched import Attempt, Watched

LISTED = 200  # steps with a series of their own; a site's first plan has several hundred
NAN = float("nan")


def write(seen: Look, path: Path) -> None:
    """Write a look's metrics, replacing the file whole (0644). Raises `XjopsError` when it can't be written.

    `xjops_plan_due{site,why}` steps that would run, `xjops_plan_unreachable{site}` hosts that could not be
    asked, `xjops_plan_machines{site}` machines to change (NaN where vCenter could not be asked),
    `xjops_plan_problems{site}` what stands against vCenter's plan, `xjops_plan_time_seconds{site}` when this
    was, and `xjops_plan_due_step{site,host,step}` 1 for each of the first `LISTED` steps.
    """
    metrics = _Metrics(seen.site.name)
    metrics.look(seen.summary, [(item.host, item.step) for item in seen.due])
    metrics.set("time_seconds", "When the site was looked at.", time.time())
    metrics.replace(path)


def write_watched(watched: Watched, path: Path) -> None:
    """The same of the latest look that a watch knows of, and how the watch itself fares.

    `xjops_plan_success{site}` 0 when the latest watch failed, `xjops_plan_apply_running{site}` 1 when it
    didn't look because of an apply, `xjops_plan_attempt_time_seconds{site}` when it was,
    `xjops_plan_look_seconds{site}` how long the latest look took, `xjops_plan_differs_since_seconds{site}`
    since when something differs (NaN when nothing does).
    """
    metrics = _Metrics(watched.site)
    if watched.time is not None:
        steps = [
            (item.subject, item.what) for item in watched.differs if item.kind == "step" and item.current
        ]
        metrics.look(watched.summary, steps)
        metrics.set("time_seconds", "When the site was looked at.", watched.time)
        metrics.set("look_seconds", "How long the latest look took.", watched.seconds)
        since = watched.differs_since
        text = "Since when something differs from the plan, NaN when nothing does."
        metrics.set("differs_since_seconds", text, NAN if since is None else since)
    failed, applying = watched.attempt is Attempt.FAILED, watched.attempt is Attempt.APPLY
    metrics.set("success", "Whether the latest watch ended without an error.", not failed)
    metrics.set("apply_running", "Whether the latest watch left the site to a running apply.", applying)
    metrics.set(
        "attempt_time_seconds", "When the latest watch was, with a look or without.", watched.attempted
    )
    metrics.replace(path)


class _Metrics:
    """The gauges of one site."""

    def __init__(self, site: str) -> None:
        self.site, self.registry = site, CollectorRegistry()

    def family(self, name: str, text: str, *labels: str) -> Gauge:
        """A gauge whose series have labels besides `site`, the first of all."""
        return Gauge(f"xjops_plan_{name}", text, ("site", *labels), registry=self.registry)

    def set(self, name: str, text: str, value: float) -> None:
        """A gauge of the site as a whole."""
        self.family(name, text).labels(self.site).set(value)

    def look(self, summary: dict[str, Any], steps: Sequence[tuple[str, str]]) -> None:
        """What a look found: `summary` as in `Look.summary`, `steps` by host."""
        due = self.family("due", "Steps that differ from the plan, by reason.", "why")
        for why in Why:
            due.labels(self.site, why.value.replace(" ", "_")).set(summary["due"][why.value])
        step = self.family(
            "due_step", f"A step that differs from the plan; the first {LISTED}.", "host", "step"
        )
        for host, name in steps[:LISTED]:
            step.labels(self.site, host, name).set(1)
        self.set("unreachable", "Hosts that could not be asked.", summary["hosts"]["unreachable"])
        machines = summary["machines"]
        self.set(
            "machines", "Virtual machines that differ from the plan.", NAN if machines is None else machines
        )
        self.set("problems", "What stands in the way of vCenter's plan.", summary["problems"])

    def replace(self, path: Path) -> None:
        """Write the file whole; the exporter can read it whatever our umask. Raises `XjopsError`."""
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            partial.write_bytes(generate_latest(self.registry))
            partial.chmod(0o644)
            partial.replace(path)
        except OSError as error:
            mend = f"make {path.parent} and let this account write there"
            raise XjopsError(f"the metrics {path} can't be written: {error.strerror}", mend=mend) from None
