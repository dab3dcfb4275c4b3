"""The battery of errors: every bad input and every fault of vCenter, in one list.

Each case ends in its named error, in time, and the next run completes (`test_battery.py`).
`docs/reference/errors.md` is made from this list: `python -m tests.xjops.battery.page`.
"""

from __future__ import annotations

from tests.xjops.battery import on_deletion, on_files, on_machines, on_site, on_vcenter
from tests.xjops.battery.case import Case

AT_VCENTER: dict[str, tuple[Case, ...]] = {
    "vCenter": on_vcenter.CASES,
    "Making machines": on_machines.CASES,
    "Deleting machines": on_deletion.CASES,
}
ELSEWHERE: dict[str, tuple[Case, ...]] = {
    "The site": on_site.CASES,
    "The bundle": on_files.BUNDLE,
    "Plans": on_files.PLAN,
    "Checklists": on_files.CHECKLISTS,
    "The journal": on_files.JOURNAL,
}
BATTERY = {"The site": ELSEWHERE["The site"], **AT_VCENTER, **ELSEWHERE}
