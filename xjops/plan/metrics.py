"""What a look found, as metrics in the text form that node_exporter's textfile collector reads."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

from xjops.ledger.compare import Why
from xjops.plan.look import Look


def write(seen: Look, path: Path) -> None:
    """Write the metrics, replacing the file whole.

    `xjops_plan_due{site,why}` steps that would run, `xjops_plan_unreachable{site}` hosts that could not be
    asked, `xjops_plan_machines{site}` machines to change (NaN where vCenter could not be asked),
    `xjops_plan_time_seconds{site}` when this was.
    """
    registry = CollectorRegistry()
    site = seen.site.name

    def gauge(name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"xjops_plan_{name}", text, ("site", *labels), registry=registry)

    due = gauge("due", "Steps that differ from the plan, by reason.", "why")
    for why in Why:
        due.labels(site, why.value.replace(" ", "_")).set(sum(item.why is why for item in seen.due))
    gauge("unreachable", "Hosts that could not be asked.").labels(site).set(len(seen.unreachable))
    machines = float("nan") if seen.machines.error else float(len(seen.machines.changes))
    gauge("machines", "Virtual machines that differ from the plan.").labels(site).set(machines)
    gauge("time_seconds", "When the site was looked at.").labels(site).set_to_current_time()
    write_to_textfile(str(path), registry)
