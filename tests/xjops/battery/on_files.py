"""Files that commands are given or keep: bundle, saved plan, registers, journal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.xjops.battery.case import Case, Harm
from tests.xjops.battery.harms import changed
from tests.xjops.battery.world import World
from xjops.journal import recorded

VERIFY = "bundle verify <dir>/bundle --public-key <dir>/key.asc"
DEB = "bundle/apt/hello_1.0_amd64.deb"
MANIFEST, SIGNATURE = "bundle/manifest.json", "bundle/manifest.json.asc"
BUILD = "xjops bundle build"


@contextmanager
def unsigned(world: World) -> Iterator[None]:
    """Neither manifest nor signature, as after a build that was stopped."""
    with changed(MANIFEST, lambda _: None)(world), changed(SIGNATURE, lambda _: None)(world):
        yield


@contextmanager
def another_key(world: World) -> Iterator[None]:
    """The key that is trusted is not the one that signed."""
    with changed("key.asc", lambda _: (world.folder / "other.asc").read_bytes())(world):
        yield


def bundle(what: str, harm: Harm, error: str, code: int = 1) -> Case:
    """A bundle is verified."""

    @contextmanager
    def laid(world: World) -> Iterator[None]:
        world.lay_bundle()
        with harm(world):
            yield

    return Case(what, laid, VERIFY, code, error)


BUNDLE = (
    bundle(
        "one byte changed",
        changed(DEB, lambda data: data[:-1] + b"?"),
        f"<dir>/{DEB}: changed: other SHA-256 than in the manifest → {BUILD}",
    ),
    bundle(
        "file cut off",
        changed(DEB, lambda data: data[:9]),
        f"<dir>/{DEB}: changed: 9 bytes instead of 21 → {BUILD}",
    ),
    bundle("file missing", changed(DEB, lambda _: None), f"<dir>/{DEB}: missing → {BUILD}"),
    bundle(
        "file too many",
        changed("bundle/apt/evil.deb", lambda _: b"x"),
        f"<dir>/bundle/apt/evil.deb: extra: not in the manifest → {BUILD}",
    ),
    bundle(
        "manifest changed",
        changed(MANIFEST, lambda data: data.replace(b"2026", b"2027")),
        f"<dir>/{MANIFEST}: it or its signature manifest.json.asc was changed after signing → {BUILD}",
    ),
    bundle(
        "signature damaged",
        changed(SIGNATURE, lambda data: data[:-40]),
        f"<dir>/{SIGNATURE}: not a signature as gpg writes it (no OpenPGP signature) → {BUILD}",
    ),
    bundle("no signature", changed(SIGNATURE, lambda _: None), f"<dir>/{SIGNATURE}: missing → {BUILD}"),
    bundle(
        "no manifest", unsigned, f"no complete bundle at <dir>/bundle: manifest.json is missing → {BUILD}"
    ),
    bundle(
        "no bundle", lambda world: world.away(world.folder / "bundle"), f"no bundle at <dir>/bundle → {BUILD}"
    ),
    bundle(
        "signed with another key",
        another_key,
        f"<dir>/{SIGNATURE}: made by key <key>, which is not the pinned key → {BUILD}",
    ),
    bundle(
        "no public key",
        changed("key.asc", lambda _: None),
        f"no public key <dir>/key.asc → {BUILD} (it makes and pins the site's key)",
        78,
    ),
    bundle(
        "public key that is none",
        changed("key.asc", lambda _: b"hello"),
        "<dir>/key.asc is no OpenPGP public key (no OpenPGP public key block) → pin the right key",
        78,
    ),
)

APPLY = "apply <dir>/plan.json --yes"
NO_PLAN = "<dir>/plan.json is no saved plan"
SAVE = "xjops plan -o <dir>/plan.json"


def saved(change: Callable[[str], str]) -> Harm:
    """A saved plan that isn't what `xjops plan -o` wrote."""

    @contextmanager
    def harm(world: World) -> Iterator[None]:
        world.hosts_are_well()
        world.run("plan -o <dir>/plan.json")
        with changed("plan.json", lambda data: change(data.decode()).encode())(world):
            yield

    return harm


def saying(**values: object) -> Harm:
    """A saved plan with other values."""
    return saved(lambda text: json.dumps(json.loads(text) | values))


@contextmanager
def well(world: World) -> Iterator[None]:
    """Nothing is wrong but what is typed."""
    world.hosts_are_well()
    yield


@contextmanager
def stale(world: World) -> Iterator[None]:
    """A host has changed since."""
    with saved(lambda text: text)(world):
        world.hosts_are_well("web2")
        yield
        world.hosts_are_well()


PLAN = (
    Case(
        "limit to an unknown host",
        well,
        "plan --limit web99",
        2,
        "'web99' is neither a host nor a group of lab → xjops site show",
        then="plan --limit web9",
    ),
    Case(
        "no such file",
        well,
        "apply <dir>/none.json --yes",
        2,
        "Invalid value for '[PLAN]': File '<dir>/none.json' does not exist → xjops apply --help",
        then="plan",
    ),
    Case(
        "saved plan cut off",
        saved(lambda text: text[:40]),
        APPLY,
        2,
        f"{NO_PLAN}: no JSON (Unterminated string starting at: line 4 column 3 (char 36)) → {SAVE}",
    ),
    Case("another file", saved(lambda _: "[1, 2]"), APPLY, 2, f"{NO_PLAN} → {SAVE}"),
    Case(
        "plan of another version",
        saying(schema=99),
        APPLY,
        2,
        f"<dir>/plan.json was saved by another version of xjops → {SAVE}",
    ),
    Case(
        "plan of a site that is gone",
        saying(site="gansu"),
        APPLY,
        78,
        "no site 'gansu' under <dir>/inventories → xjops site list",
    ),
    Case(
        "plan that no longer holds",
        stale,
        APPLY,
        1,
        f"lab has changed since <dir>/plan.json was saved: nothing was applied → {SAVE}, read it, then "
        "apply again",
    ),
    Case(
        "saved plan with --limit",
        saved(lambda text: text),
        f"{APPLY} --limit web2",
        2,
        "a saved plan says itself what runs: no --limit, --tags, --full with it → xjops apply --help",
        then=APPLY,
    ),
)

RUN = "checklist run --profile vocational --fail-on fail"
PAPERS = "<site>/registers/attestations.yml"
PAPER = "- {item: a, statement: b, by_role: c, expires: 2030-01-01, file: d, sha256: e"


def register(name: str, content: bytes) -> Harm:
    """A register with this in it."""

    @contextmanager
    def harm(world: World) -> Iterator[None]:
        world.checks_are_well()
        with world.written(world.site / "registers" / name, content):
            yield

    return harm


def papers(what: str, content: str | bytes, error: str) -> Case:
    """The register of attestations is broken."""
    data = content if isinstance(content, bytes) else content.encode()
    return Case(what, register("attestations.yml", data), RUN, 78, error)


CHECKLISTS = (
    papers(
        "broken YAML",
        "- item: [a\n",
        f"At 'attestations.yml' ({PAPERS}:<line>): is no YAML: did not find expected ',' or ']' → mend "
        "indentation, colons and quotes",
    ),
    papers(
        "no list",
        "item: a\n",
        f"At 'attestations.yml' ({PAPERS}:<line>): is no list of entries → begin every entry with '- '",
    ),
    papers(
        "no UTF-8",
        b"- item: \xff\xfe\n",
        f"At 'attestations.yml' ({PAPERS}): is no UTF-8 text (invalid start byte) → save it as UTF-8",
    ),
    papers(
        "paper without a date",
        f"{PAPER}}}\n",
        f"At '[0].date' ({PAPERS}:<line>): missing value → add it like 'date: 2026-11-01'",
    ),
    papers(
        "date that is none",
        f"{PAPER}, date: soon}}\n",
        f"At '[0].date' ({PAPERS}:<line>): 'soon' is no date → write it like 'date: 2026-11-01'",
    ),
    papers(
        "unknown key",
        f"{PAPER}, date: 2026-11-01, why: x}}\n",
        f"At '[0].why' ({PAPERS}:<line>): unknown key → remove it; known: item, statement, by_role, date, "
        "expires, file, sha256",
    ),
    Case(
        "unknown checklist",
        register("waivers.yml", b""),
        "checklist run --profile k21",
        78,
        "no checklist profile 'k21' → choose one of: k12, vocational",
        then=RUN,
    ),
)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Harm:
    """A journal of three runs (six lines) that somebody has changed."""

    @contextmanager
    def harm(world: World) -> Iterator[None]:
        for number in range(3):
            with recorded(world.site.name, f"run {number}", {}, []):
                pass
        path = world.state / "journal.jsonl"
        with world.written(path, b"".join(change(path.read_bytes().splitlines(keepends=True)))):
            yield

    return harm


def inserted(line: bytes) -> Harm:
    """A line that no run has written."""
    return lines(lambda whole: [*whole[:2], line + b"\n", *whole[2:]])


def journal(what: str, harm: Harm, error: str) -> Case:
    """The chain is verified."""
    mend = "compare with the copy on host backup; keep this file as evidence"
    return Case(what, harm, "journal verify", 1, f"<state>/journal.jsonl:3 {error} → {mend}")


JOURNAL = (
    journal(
        "line changed",
        lines(lambda whole: [line.replace(b"run 1", b"run 9") for line in whole]),
        "was changed after it was written",
    ),
    journal("line removed", lines(lambda whole: whole[:2] + whole[3:]), "does not follow the line before it"),
    journal("line inserted", inserted(b"hello"), "is no journal entry"),
    journal("line of bytes", inserted(b"\xff\x00"), "is no journal entry"),
    journal(
        "line of another program",
        inserted(b'{"sequence": 2, "previous": "", "data": [], "hash": ""}'),
        "is no journal entry",
    ),
)
