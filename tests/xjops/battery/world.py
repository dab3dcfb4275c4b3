"""Where the battery is run: a site of its own, the `xjops` command, and what can be done to both."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret

from tests.xjops.battery.proxy import Proxy
from tests.xjops.checks.conftest import all_well
from tests.xjops.provision.runs import assert_stands, build
from tests.xjops.vcsim import clear, finish, machine_named
from xjops import provision
from xjops.adapters import vcenter
from xjops.checks import engine
from xjops.cli.main import main
from xjops.core import paths
from xjops.journal.runs import journal_of
from xjops.ledger.compare import Due, Why
from xjops.ledger.look import Seen
from xjops.plan.apply import Pipeline
from xjops.plan.look import Look, Machines
from xjops.plan.outcome import Outcome, Part, State
from xjops.provision import model
from xjops.site import Site

QUESTION = re.compile(
    r"Do this on .*? \[y/N\]: |^.*: this can't be undone\nType .*? to go on \(.*?\): ", re.M
)
SITE_FILE = "group_vars/all/site.yml"


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


class Typing(StringIO):
    """Standard input: types `text` when asked, having done something else before."""

    def __init__(self, text: str, first: Callable[[], object] = lambda: None) -> None:
        super().__init__(text)
        self.first = first

    def readline(self, size: int | None = -1, /) -> str:
        self.first()
        return super().readline(-1 if size is None else size)


class World:
    """A site in a folder of its own, and the command."""

    def __init__(
        self, site: Path, folder: Path, patch: pytest.MonkeyPatch, fixture: Callable[[str], Any]
    ) -> None:
        self.site, self.folder, self.patch, self.fixture = site, folder, patch, fixture
        self.said: pytest.CaptureFixture[str] = fixture("capsys")
        self.typed: Callable[[], StringIO] = partial(Typing, "y\n")
        patch.setenv("XJOPS_INVENTORIES", str(site.parent))
        patch.setenv("XJOPS_STATE", str(folder / "state"))
        patch.setenv("XJOPS_SITE", site.name)
        patch.delenv("XJOPS_VAULT_PASSWORD_FILE", raising=False)
        patch.setenv("COLUMNS", "400")

    @property
    def state(self) -> Path:
        """The site's state folder."""
        return self.folder / "state" / self.site.name

    def run(self, command: str) -> Ran:
        """Type `xjops COMMAND`."""
        self.patch.setattr("sys.stdin", self.typed())
        started = time.monotonic()
        with pytest.raises(SystemExit) as caught:
            main(command.replace("<dir>", str(self.folder)).split())
        seconds = time.monotonic() - started
        heard = self.said.readouterr()
        assert isinstance(caught.value.code, int)
        return Ran(caught.value.code, heard.out, heard.err, seconds)

    def plain(self, text: str) -> str:
        """Words of a run without what differs from run to run, and without the questions."""
        for path, name in ((self.site, "<site>"), (self.state, "<state>"), (self.folder, "<dir>")):
            text = text.replace(str(path), name)
        text = re.sub(r"(\.yml):\d+", r"\1:<line>", QUESTION.sub("", text))
        return re.sub(r"\btask-\d+", "<task>", re.sub(r"(by key )[0-9A-F]{16}", r"\1<key>", text))

    # What can be done to it. Each is taken back at the end of its block.

    @contextmanager
    def edited(self, name: str, before: str, after: str) -> Iterator[None]:
        """Change one place in a file of the site."""
        text = (self.site / name).read_text()
        assert text.count(before) == 1, f"{name} must hold {before!r} once"
        with self.written(self.site / name, text.replace(before, after)):
            yield

    @contextmanager
    def written(self, path: Path, content: str | bytes | None) -> Iterator[None]:
        """Give a file other content, or take it away."""
        before = path.read_bytes() if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        yield
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)

    @contextmanager
    def away(self, path: Path) -> Iterator[None]:
        """Have a folder or file somewhere else."""
        hidden = self.folder / "hidden"
        path.rename(hidden)
        yield
        hidden.rename(path)

    @contextmanager
    def patched(self, target: str, value: object) -> Iterator[None]:
        """Another value of a module's name, for deadlines and locks that are too long for a test."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(target, value)
            yield

    @contextmanager
    def typing(self, text: str, first: Callable[[], object] = lambda: None) -> Iterator[None]:
        """Type `text` at the question, when `first` has been done."""
        self.typed = lambda: Typing(text, first)
        yield
        self.typed = partial(Typing, "y\n")

    def lay_bundle(self) -> None:
        """A signed bundle in <dir>/bundle, its public key in <dir>/key.asc, another in <dir>/other.asc."""
        shutil.copytree(self.fixture("signed"), self.folder / "bundle")
        shutil.copy(self.fixture("key").public, self.folder / "key.asc")
        shutil.copy(self.fixture("other_key").public, self.folder / "other.asc")

    def hosts_are_well(self, *due: str) -> None:
        """No host can be asked here: a look finds them as planned, `due` excepted; a run does nothing."""

        def look(site: Site, *_: object, **__: object) -> Look:
            seen = {host.name: Seen(host.name) for host in site.hosts}
            steps = tuple(Due(name, "base", Why.NEVER) for name in due)
            return Look(site, Machines("11 nothing"), seen, {}, steps)

        self.patch.setattr("xjops.plan.look.look", look)
        self.patch.setattr(Pipeline, "run", lambda _: Outcome([Part("roles", State.OK, 0.1)]))

    def checks_are_well(self) -> None:
        """No host can be asked here: a checklist sees them all, with nothing to warn of."""
        self.patch.setattr(engine, "look", all_well)

    def vault(self, password: str, text: str = "vault_vcenter_password: s3cret\n") -> None:
        """Vault `text` in the site."""
        sealed = VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text.encode())
        (self.site / "group_vars" / "all" / "vault.yml").write_bytes(sealed)

    def prepare(self, without: tuple[str, ...]) -> None:
        """Bring it to where a case begins."""


class VCenterWorld(World):
    """The same with a vCenter, asked through a proxy that does harm; `direct` is the site without it."""

    def __init__(self, direct: Site, proxy: Proxy, *own: object) -> None:
        super().__init__(*own)  # type: ignore[arg-type]
        self.direct, self.proxy = direct, proxy
        self.fatal: tuple[str, int] | None = None

    def plain(self, text: str) -> str:
        """Words of a run without what differs from run to run."""
        return super().plain(re.sub(r"\b(127\.0\.0\.1):\d+", r"\1:<port>", text))

    @contextmanager
    def session(self) -> Iterator[vcenter.VCenter]:
        """Past the proxy."""
        with vcenter.connect(self.direct) as session:
            yield session

    def prepare(self, without: tuple[str, ...]) -> None:
        """All eleven machines as planned, but for those named."""
        with self.session() as session:
            plan = provision.plan(self.direct, session=session)
            if plan.problems or plan.strays or plan.foreign or len(without) == len(plan.machines):
                clear(session)
            elif without:
                for name in set(without) & {change.name for change in plan.machines if change.before}:
                    machine = machine_named(session, name)
                    finish(session, machine.PowerOffVM_Task())
                    finish(session, machine.Destroy_Task())
            rest = [host.name for host in self.direct.virtual_machines if host.name not in without]
            if rest:
                build(session, rest)

    def stands(self) -> None:
        """All eleven machines as planned, once each, none besides, and a journal that holds."""
        with self.session() as session:
            assert_stands(session)
            assert provision.plan(self.direct, session=session).foreign == 0
        journal_of(self.site.name).verify()

    def lacks(self, *names: str) -> None:
        """All machines but these, and none besides."""
        with self.session() as session:
            there = {machine.name for machine in session.machines()}
        assert there == {host.name for host in self.direct.virtual_machines} - set(names)
        journal_of(self.site.name).verify()

    def at_vcenter(self, do: Callable[[vcenter.VCenter], object] | None) -> None:
        """Do something past the proxy."""
        if do:
            with self.session() as session:
                do(session)

    @contextmanager
    def harmed(self, harm: Callable[[Proxy], object]) -> Iterator[None]:
        """Something done by the proxy."""
        harm(self.proxy)
        yield
        self.proxy.mend()

    @contextmanager
    def hurried(self, **seconds: float) -> Iterator[None]:
        """Other deadlines of steps; `request` is that of a request."""
        request = seconds.pop("request", vcenter.REQUEST_SECONDS)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(vcenter, "REQUEST_SECONDS", request)
            patch.setattr(model, "Deadlines", partial(model.Deadlines, **seconds))
            yield

    def end_sessions(self) -> None:
        """End everybody's session, as an administrator or a time-out would."""
        with self.session() as mine:
            manager = mine.content.sessionManager
            own = manager.currentSession.key
            manager.TerminateSession([item.key for item in manager.sessionList if item.key != own])

    @contextmanager
    def killing(self, method: str, nth: int) -> Iterator[None]:
        """Run the command as a process that is killed when vCenter has taken the `nth` call of `method`."""
        self.fatal = (method, nth)
        yield
        self.fatal = None
        self.proxy.mend()

    def run(self, command: str) -> Ran:
        """Type `xjops COMMAND`."""
        return self._run_and_kill(command, *self.fatal) if self.fatal else super().run(command)

    def _run_and_kill(self, command: str, method: str, nth: int) -> Ran:
        words = [sys.executable, "-m", "xjops.cli.main", *command.split()]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started = time.monotonic()
        with subprocess.Popen(words, text=True, cwd=paths.project(), **pipes) as child:
            self.proxy.after(method, child.kill, nth)
            out, err = child.communicate(timeout=60)
        return Ran(child.returncode, out, err, time.monotonic() - started)
