"""A whole province on this machine: lab and bundle side by side, then the site, its sample, its checklists.

Every stage can be killed and run again: each looks at what is there and goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from xjops.adapters.ssh import Fleet
from xjops.bundle.build import build, default_folder
from xjops.checks import engine, profile
from xjops.checks.registers import Registers
from xjops.checks.result import exit_code
from xjops.core import paths
from xjops.core.errors import ExitCode, XjopsError
from xjops.core.progress import Progress
from xjops.lab import credentials, simulator
from xjops.lab.up import up
from xjops.plan.apply import Options, Pipeline
from xjops.plan.outcome import Outcome
from xjops.reports import checklist
from xjops.site import Site

SAMPLE_SECONDS = 900.0
SEED = 2026


class SampleError(XjopsError):
    """The sample province could not be loaded."""


@dataclass
class Province:
    """What came up: the site's outcome, the sample's figures, the checklists, seconds by stage."""

    site: Site
    outcome: Outcome = field(default_factory=Outcome)
    sample: dict[str, Any] = field(default_factory=dict)
    reports: list[engine.Report] = field(default_factory=list)
    written: list[Path] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def exit_code(self) -> ExitCode:
        """The worst of the site's outcome and the checklists."""
        codes = {self.outcome.exit_code}
        codes |= {exit_code(report.statuses) for report in self.reports}
        order = (ExitCode.FAIL, ExitCode.NOT_RUN, ExitCode.WARN)
        return next((code for code in order if code in codes), ExitCode.OK)

    def as_data(self) -> dict[str, Any]:
        """JSON values: what the journal keeps of it."""
        counts = {report.profile.name: checklist.counts(report) for report in self.reports}
        seconds = {name: round(value, 1) for name, value in self.seconds.items()}
        figures = {key: self.sample.get(key) for key in ("students", "schools", "imported", "rejected")}
        return {"seconds": seconds, "sample": figures, "checklists": counts, **self.outcome.as_data()}


def raise_up(name: str, students: int, log: Path, progress: Progress) -> Province:
    """Bring everything up; raises `XjopsError` where a stage leaves nothing to go on with."""
    started = time.monotonic()
    credentials.ensure(name)
    site = Site.load(name)
    province = Province(site)
    with ThreadPoolExecutor(2) as pool:
        lab = pool.submit(_timed, province, "lab", progress, lambda: _lab(name, progress))
        bundle = pool.submit(_timed, province, "bundle", progress, lambda: _bundle(site, progress))
        bundle.result()
        lab.result()
    options = Options(no_vcenter=simulator.absence(site))
    _timed(province, "site", progress, lambda: _apply(province, options, log, progress))
    if province.outcome.exit_code is not ExitCode.FAIL and students:
        _timed(province, "sample", progress, lambda: _sample(province, students, progress))
    _timed(province, "checklists", progress, lambda: _checklists(province))
    province.seconds["all"] = time.monotonic() - started
    return province


def _timed(province: Province, stage: str, progress: Progress, work: Callable[[], str]) -> None:
    began = time.monotonic()
    progress(stage, "running")
    try:
        detail = work()
    except XjopsError as error:
        progress(stage, "failed", str(error))
        raise
    finally:
        province.seconds[stage] = time.monotonic() - began
    progress(stage, "done", detail)


def _lab(name: str, progress: Progress) -> str:
    def tell(subject: str, stage: str, detail: str = "") -> None:
        progress("lab", "running", f"{subject} {stage} {detail}")

    outcome = up(name, tell)
    return f"{len(outcome.changed)} hosts started" + (
        f"; vCenter not-run: {outcome.no_vcenter}" if outcome.no_vcenter else ""
    )


def _bundle(site: Site, progress: Progress) -> str:
    def tell(subject: str, stage: str, detail: str = "") -> None:
        progress("bundle", "running", f"{subject} {stage} {detail}")

    built = build(site, default_folder(), progress=tell)
    what = "built" if built.changed else "nothing changed"
    return f"{what}: {len(built.bundle.files)} files, {built.bundle.size / 1e6:.0f} MB"


def _apply(province: Province, options: Options, log: Path, progress: Progress) -> str:
    province.outcome = Pipeline(province.site, options, log, progress).run()
    bad = [part for part in province.outcome.parts if part.state.value in ("failed", "not-run")]
    return "; ".join(f"{part.name} {part.state}: {part.detail}" for part in bad) or "all hosts as planned"


def _sample(province: Province, students: int, progress: Progress) -> str:
    """Generate and import the sample province on the packaging server."""
    host = province.site.group("packaging_servers")[0]
    command = f"sudo -n /usr/local/bin/registry sample --students {students} --seed {SEED} --import"
    lines: list[str] = []

    def line(text: str) -> None:
        lines.append(text)
        if not text.startswith("{"):
            progress("sample", "running", text)

    with Fleet(province.site) as fleet:
        output = fleet.follow(host, command, line, seconds=SAMPLE_SECONDS)
    mend = f"xjops lab shell {host.name} journalctl -u registry-worker; then make up again"
    if output.error is not None:
        raise output.error
    try:
        province.sample = json.loads(lines[-1])
    except (ValueError, IndexError):
        last = (output.stderr.strip() or "".join(lines[-1:]) or "no output").splitlines()[-1]
        raise SampleError(f"the sample province could not be loaded: {last}", mend=mend) from None
    if output.exit_code == ExitCode.FAIL:
        raise SampleError("the sample's import failed", mend=mend)
    sample = province.sample
    return f"{sample['students']} students in {sample['schools']} schools, {sample['rejected']} rows rejected"


def _checklists(province: Province) -> str:
    site = province.site
    context = engine.look(site)
    registers = Registers(site, datetime.now(UTC).date())
    folder = paths.state(site.name) / "reports"
    for name in profile.names():
        report = engine.run(profile.load(name), context, registers)
        province.reports.append(report)
        province.written += checklist.write(report, folder)
    words = []
    for report in province.reports:
        found = ", ".join(f"{count} {status}" for status, count in checklist.counts(report).items() if count)
        words.append(f"{report.profile.name}: {found}")
    return "; ".join(words)
