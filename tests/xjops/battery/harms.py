"""What can be done to a site, its vCenter and its files. Each is taken back at the end of its block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from pyVmomi import vim

from tests.xjops.battery.case import Harm
from tests.xjops.battery.proxy import Proxy
from tests.xjops.battery.world import VCenterWorld, World
from tests.xjops.vcsim import add_foreign, finish, machine_named, reconfigure
from xjops.adapters.vcenter import VCenter
from xjops.core.locking import lock

AtVCenter = Callable[[VCenter], object]


def nothing(_world: World) -> AbstractContextManager[object]:
    """Nothing is wrong but what is typed."""
    return nullcontext()


def edited(name: str, before: str, after: str) -> Harm:
    """One place in a file of the site."""
    return lambda world: world.edited(name, before, after)


def written(name: str, content: str | bytes | None) -> Harm:
    """A file of the site, with other content or (None) gone."""
    return lambda world: world.written(world.site / name, content)


def changed(name: str, change: Callable[[bytes], bytes | None]) -> Harm:
    """A file of the test's own folder."""

    def harm(world: World) -> AbstractContextManager[object]:
        path = world.folder / name
        return world.written(path, change(path.read_bytes() if path.exists() else b""))

    return harm


def by_proxy(harm: Callable[[Proxy], object], **seconds: float) -> Harm:
    """Harm done on the way to vCenter, with other deadlines (`request`, and those of steps)."""

    @contextmanager
    def both(world: VCenterWorld) -> Iterator[None]:
        with world.hurried(**seconds), world.harmed(harm):
            yield

    return both


def at_vcenter(harm: AtVCenter, mend: AtVCenter | None = None, **seconds: float) -> Harm:
    """Something that somebody did at vCenter before."""

    @contextmanager
    def both(world: VCenterWorld) -> Iterator[None]:
        world.at_vcenter(harm)
        with world.hurried(**seconds):
            yield
        world.at_vcenter(mend)

    return both


def meanwhile(method: str, harm: AtVCenter, mend: AtVCenter | None = None, **seconds: float) -> Harm:
    """Something that somebody does at vCenter when the first call of `method` comes."""

    @contextmanager
    def both(world: VCenterWorld) -> Iterator[None]:
        with (
            world.hurried(**seconds),
            world.harmed(lambda proxy: proxy.before(method, lambda: world.at_vcenter(harm))),
        ):
            yield
        world.at_vcenter(mend)

    return both


def at_the_question(harm: AtVCenter, mend: AtVCenter | None = None) -> Harm:
    """Something that somebody does at vCenter between the plan and the answer to its question."""

    @contextmanager
    def both(world: VCenterWorld) -> Iterator[None]:
        with world.typing("y\n", lambda: world.at_vcenter(harm)):
            yield
        world.at_vcenter(mend)

    return both


def answering(text: str) -> Harm:
    """The question is answered with `text`."""
    return lambda world: world.typing(text)


def killed(method: str, nth: int = 1) -> Harm:
    """`kill -9` when vCenter has taken the `nth` call of `method`."""
    return lambda world: world.killing(method, nth)


@contextmanager
def another_run(world: VCenterWorld) -> Iterator[None]:
    """Another process changes machines."""
    with (
        world.patched("xjops.provision.LOCK_SECONDS", 0.2),
        lock(world.state / "vm.lock", what="the test", seconds=1, mend=""),
    ):
        yield


def taken(name: str, folder: str = "vm") -> tuple[AtVCenter, AtVCenter]:
    """Somebody else makes a machine of this name, in this VM folder; and takes it away again."""
    made: list[str] = []

    def make(session: VCenter) -> None:
        made.append(add_foreign(session, name, folder)._GetMoId())

    def remove(session: VCenter) -> None:
        finish(session, vim.VirtualMachine(made.pop(), session.stub).Destroy_Task())

    return make, remove


def removed(name: str, on: bool = False) -> AtVCenter:
    """A machine goes, its power cut before."""

    def remove(session: VCenter) -> None:
        machine = machine_named(session, name)
        if on:
            finish(session, machine.PowerOffVM_Task())
        finish(session, machine.Destroy_Task())

    return remove


def settings(name: str, **values: Any) -> AtVCenter:
    """Somebody gives a machine other settings."""
    return lambda session: reconfigure(session, name, **values)
