"""Metrics: what Prometheus reads is what was seen, and the file is never half of it."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from xjops.core import paths
from xjops.core.errors import ExitCode, XjopsError
from xjops.ledger.compare import Due, Why
from xjops.plan import metrics
from xjops.plan.look import Look, Machines
from xjops.plan.watched import Attempt, Watched, after_look, without_look

NOW = 1_800_000_000.0


def due(host: str, step: str = "base", why: Why = Why.DRIFT) -> Due:
    return Due(host, step, why)


def read(path: Path) -> dict[tuple[str, ...], float]:
    """Every series by its name and the values of its labels (without the site)."""
    return {
        (
            sample.name,
            *(value for label, value in sorted(sample.labels.items()) if label != "site"),
        ): sample.value
        for family in text_string_to_metric_families(path.read_text())
        for sample in family.samples
    }


def watched(seen: Look, now: float = NOW) -> Watched:
    never = Watched(seen.site.name, 900.0, 0.0, Attempt.FAILED, ExitCode.NOT_RUN)
    return after_look(never, seen, now, 4.5)


def test_a_look(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    seen = replace(well, due=(due("web1"), due("web2"), due("db1", why=Why.EXPIRED)))
    metrics.write(replace(seen, machines=Machines(error=XjopsError("no vCenter"))), path)
    found = read(path)
    assert found["xjops_plan_due", "drift"] == 2
    assert found["xjops_plan_due", "expired"] == 1
    assert found["xjops_plan_due", "never_run"] == 0
    assert found["xjops_plan_due_step", "db1", "base"] == 1
    assert math.isnan(found["xjops_plan_machines",])
    assert found["xjops_plan_time_seconds",] > 1e9
    assert ("xjops_plan_success",) not in found, "a look is no watch"


def test_a_watch(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    metrics.write_watched(watched(replace(well, due=(due("web2"),))), path)
    found = read(path)
    assert found["xjops_plan_differs_since_seconds",] == NOW
    assert found["xjops_plan_look_seconds",] == 4.5
    assert found["xjops_plan_success",] == 1
    assert found["xjops_plan_apply_running",] == 0
    assert found["xjops_plan_due_step", "web2", "base"] == 1


def test_nothing_differs(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    metrics.write_watched(watched(well), path)
    found = read(path)
    assert math.isnan(found["xjops_plan_differs_since_seconds",])
    assert not [name for name, *_ in found if name == "xjops_plan_due_step"]


def test_without_a_look_the_last_figures_stay(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    before = watched(replace(well, due=(due("web2"),)))
    metrics.write_watched(without_look(before, Attempt.APPLY, None, NOW + 900), path)
    found = read(path)
    assert found["xjops_plan_apply_running",] == 1
    assert found["xjops_plan_success",] == 1
    assert found["xjops_plan_due", "drift"] == 1
    assert found["xjops_plan_time_seconds",] == NOW
    assert found["xjops_plan_attempt_time_seconds",] == NOW + 900
    metrics.write_watched(without_look(before, Attempt.FAILED, XjopsError("no"), NOW + 900), path)
    assert read(path)["xjops_plan_success",] == 0


def test_a_watch_that_never_looked_has_no_figures(tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    never = Watched("lab", 900.0, 0.0, Attempt.FAILED, ExitCode.NOT_RUN)
    metrics.write_watched(without_look(never, Attempt.FAILED, XjopsError("no"), NOW), path)
    assert {name for name, *_ in read(path)} == {
        "xjops_plan_success",
        "xjops_plan_apply_running",
        "xjops_plan_attempt_time_seconds",
    }


def test_the_series_of_steps_are_bounded(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "xjops.prom"
    many = tuple(due(f"web{number}") for number in range(metrics.LISTED + 50))
    metrics.write_watched(watched(replace(well, due=many)), path)
    found = read(path)
    assert len([name for name, *_ in found if name == "xjops_plan_due_step"]) == metrics.LISTED
    assert found["xjops_plan_due", "drift"] == metrics.LISTED + 50


def test_the_exporter_can_read_it_and_nothing_else_is_left(well: Look, tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "xjops.prom"
    path.parent.mkdir()
    mask = os.umask(0o077)
    try:
        metrics.write(well, path)
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in path.parent.iterdir()] == ["xjops.prom"]


def test_a_folder_that_is_not_there_is_one_line(well: Look, tmp_path: Path) -> None:
    with pytest.raises(XjopsError, match=r"can't be written: No such file.*let this account write there"):
        metrics.write(well, tmp_path / "none" / "xjops.prom")


def test_promtool_finds_nothing_wrong(well: Look, tmp_path: Path) -> None:
    promtool = shutil.which("promtool") or shutil.which("promtool", path=str(paths.cache() / "bin"))
    if promtool is None:
        pytest.skip("promtool is not installed")
    path = tmp_path / "xjops.prom"
    metrics.write_watched(watched(replace(well, due=(due("web2"),))), path)
    done = subprocess.run(
        [promtool, "check", "metrics"], input=path.read_bytes(), capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
