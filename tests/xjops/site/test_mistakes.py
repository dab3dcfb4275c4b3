"""Each mistake in an inventory ends in its line: key, file, line and mend (cases/*.yml)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from xjops.core.errors import ConfigurationError
from xjops.site import Site, registers

CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted((Path(__file__).parent / "cases").glob("*.yml"))
    for case in yaml.safe_load(path.read_text())
]


def make(site: Path, case: dict[str, Any]) -> Path:
    """Make the mistake; returns the file."""
    for role, specs in case.get("roles", {}).items():
        meta = site.parents[1] / "roles" / role / "meta"
        meta.mkdir(parents=True)
        (meta / "argument_specs.yml").write_text(specs)
    file = site / case.get("file", f"registers/{case.get('register')}.yml")
    if case.get("remove"):
        file.unlink()
    elif "content" in case:
        file.parent.mkdir(exist_ok=True)
        file.write_text(case["content"])
    else:
        text = file.read_text()
        assert text.count(case["replace"]) == 1, "the case must change one place"
        file.write_text(text.replace(case["replace"], case["with"]))
    return file


def line_of(file: Path, text: str, offset: int = 0) -> int:
    lines = file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line) + offset


def expected(site: Path, file: Path, case: dict[str, Any]) -> list[str]:
    names = {"site": f"inventories/{site.name}"}
    for name, text in case.get("lines", {}).items():
        names[name] = str(line_of(file, *text) if isinstance(text, list) else line_of(file, text))
    if "other" in case:
        other = site / case["other"]["file"]
        names["other"] = (
            f"inventories/{site.name}/{case['other']['file']}:{line_of(other, case['other']['text'])}"
        )

    def filled(line: str) -> str:
        for name, value in names.items():
            line = line.replace(f"<{name}>", value)
        return line

    return [filled(line) for line in case["expect"]]


def problems(site: Path, case: dict[str, Any]) -> list[str]:
    try:
        if "register" in case:
            registers.read(site, case["register"])
        else:
            Site.load(site.name)
    except ConfigurationError as error:
        return list(error.problems) or [str(error)]
    return []


@pytest.mark.parametrize("case", CASES)
def test_mistake(example: Path, case: dict[str, Any]) -> None:
    file = make(example, case)
    found = problems(example, case)
    assert sorted(found) == sorted(expected(example, file, case))
    assert not any("\n" in line for line in found)
