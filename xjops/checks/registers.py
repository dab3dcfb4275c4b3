"""What a person vouches for: attestations and waivers, files in `inventories/<site>/registers/`.

An attestation names a role (never only a person), a date, an expiry and a file with its SHA-256; a waiver
accepts a named check's warning or failure until a date. Neither turns anything into a pass.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date as Date  # noqa: N812 - the field is called date, as in the register
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from xjops.checks.result import Evidence, Result, Status
from xjops.site import explain, files, inventory
from xjops.site.model import Site
from xjops.site.problems import refuse


class Attestation(BaseModel):
    """A paper: `file` is relative to the register, its hash proves that it is the one that was seen."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item: str = Field(examples=["vocational/equipment"])
    statement: str = Field(examples=["设备已上架"])
    by_role: str = Field(examples=["机房管理员"])
    date: Date = Field(examples=["2026-11-01"])
    expires: Date = Field(examples=["2027-10-31"])
    file: Path = Field(examples=["papers/equipment.pdf"])
    sha256: str = Field(examples=["9f86d081884c7d65…"])


class Waiver(BaseModel):
    """A check's warning or failure that is accepted, by whom, why and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str = Field(examples=["balancer.hardware"])
    profile: str = "*"
    reason: str = Field(examples=["设备正在采购"])
    by_role: str = Field(examples=["信息中心主任"])
    date: Date = Field(examples=["2026-11-01"])
    expires: Date = Field(examples=["2027-10-31"])


Entry = TypeVar("Entry", Attestation, Waiver)


class Registers:
    """The attestations and waivers of a site as of a day."""

    def __init__(self, site: Site, today: Date) -> None:
        self.folder = site.folder / "registers"
        self.today = today
        self.attestations = _read(self.folder / "attestations.yml", Attestation)
        self.waivers = _read(self.folder / "waivers.yml", Waiver)

    def attested(self, profile: str, item: str, wanted: str) -> Result:
        """The result of a paper item: attested, or why the paper does not count."""
        key = f"{profile}/{item}"
        found = [entry for entry in self.attestations if entry.item == key]
        name = "attestation"
        if not found:
            mend = f"add item {key} to registers/attestations.yml"
            return Result(name, key, Status.NOT_RUN, f"not attested: {wanted}", mend)
        entry = max(found, key=lambda attestation: attestation.date)
        problem = self._problem(entry)
        value = f"{entry.statement} ({entry.by_role}, {entry.date}, until {entry.expires})"
        evidence = (Evidence("paper", str(entry.file), f"sha256 {entry.sha256}", entry.date.isoformat()),)
        return Result(name, key, Status.FAIL if problem else Status.ATTESTED, value, problem, evidence)

    def _problem(self, entry: Attestation) -> str:
        path = self.folder / entry.file
        if entry.date > self.today:
            return f"dated in the future: {entry.date}"
        if entry.expires < self.today:
            return f"expired on {entry.expires}: attest it again"
        if not path.is_file():
            return f"{entry.file} is missing"
        if hashlib.sha256(path.read_bytes()).hexdigest() != entry.sha256:
            return f"{entry.file} is not the file that was attested (its hash differs)"
        return ""

    def waive(self, profile: str, results: Iterable[Result]) -> list[Result]:
        """The results, with warnings and failures that a valid waiver accepts turned into `waived`."""
        return [self._waived(profile, result) for result in results]

    def _waived(self, profile: str, result: Result) -> Result:
        if result.status not in (Status.WARN, Status.FAIL):
            return result
        for waiver in self.waivers:
            valid = waiver.date <= self.today <= waiver.expires
            if waiver.check == result.check and waiver.profile in ("*", profile) and valid:
                message = f"waived until {waiver.expires} by {waiver.by_role}: {waiver.reason}"
                return Result(
                    result.check, result.subject, Status.WAIVED, result.value, message, result.evidence
                )
        return result


def _read(path: Path, kind: type[Entry]) -> list[Entry]:
    """The entries of a register; none when the file is missing. `ConfigurationError` with every mistake."""
    if not path.is_file():
        return []
    site = path.parents[1].name
    problems = list(files.yaml_problems(path, entries=True))
    if problems:
        refuse(site, problems)
    content, places = inventory.read_file(path)
    entries = []
    for number, values in enumerate(content or ()):
        entry, wrong = explain.validate(kind, values, places.below(number), (number,))
        problems += wrong
        entries += [entry] if entry else []
    refuse(site, problems)
    return entries
