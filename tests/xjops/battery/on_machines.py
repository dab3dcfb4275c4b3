"""Faults while machines are planned and made: each that failed is named, the others are finished."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyVmomi import vim

from tests.xjops.battery.case import ALL, KILLED, Case, Harm
from tests.xjops.battery.harms import (
    another_run,
    answering,
    at_the_question,
    at_vcenter,
    by_proxy,
    killed,
    meanwhile,
    removed,
    settings,
    taken,
)
from tests.xjops.battery.on_vcenter import APPLY, EDIT, GONE, REFUSED, VCENTER
from tests.xjops.battery.world import VCenterWorld
from tests.xjops.provision.test_host_keys import key, publish
from tests.xjops.vcsim import network_card

ASK = "vm apply"
HURRIED = "vm apply --yes --deadline 0.01"
ONE, TWO = ("web2",), ("web2", "web3")
SPACE = "web2 (58 GB), web3 (58 GB); usable, 5 % kept free: LocalDS_0 0 GB, LocalDS_1 0 GB, LocalDS_2 0 GB"
AGAIN = "then run `xjops vm apply` again: it goes on"
LOOK = f"look at its tasks and events in vCenter, {AGAIN}"
FREE = f"free space on the datastore, or add datastores to vcenter.datastores, {AGAIN}"
STILL = "see whether vCenter still runs, then run this again: it goes on"
TAKEN = "the name web2 is taken by DC0/vm/web2, a machine without the mark of the site labtest"
CONSOLE = "look at its console: VMware Tools installed in the template? the network right?"
FULL = "Insufficient disk space on datastore 'LocalDS_1'."
NO_PERMISSION = (
    '<NoPermissionFault xmlns="urn:vim25" xsi:type="NoPermission"><object type="Folder">group-v3</object>'
    "<privilegeId>VirtualMachine.Inventory.CreateFromExisting</privilegeId></NoPermissionFault>"
)
INVALID_LOGIN = '<InvalidLoginFault xmlns="urn:vim25" xsi:type="InvalidLogin"></InvalidLoginFault>'


@contextmanager
def full_at_the_question(world: VCenterWorld) -> Iterator[None]:
    """Space is gone when the question is answered."""
    with world.harmed(lambda proxy: None), world.typing("y\n", lambda: setattr(world.proxy, "full", True)):
        yield


@contextmanager
def expiring(world: VCenterWorld) -> Iterator[None]:
    """The session ends at three steps."""
    with world.harmed(lambda proxy: [proxy.before(call, world.end_sessions) for call in
                                     ("CloneVM_Task", "CustomizeVM_Task", "PowerOnVM_Task")]):  # fmt: skip
        yield
        assert world.proxy.calls.count("Login") == 4


@contextmanager
def expiring_for_good(world: VCenterWorld) -> Iterator[None]:
    """The session ends, and the password is another by then."""

    def expire() -> None:
        world.proxy.refuse("Login", INVALID_LOGIN)
        world.end_sessions()

    with world.harmed(lambda proxy: proxy.before("CustomizeVM_Task", expire)):
        yield


@contextmanager
def clones_left_behind(world: VCenterWorld) -> Iterator[None]:
    """A run that gave up has left clones that vCenter never ends."""
    with world.harmed(lambda proxy: proxy.hang("CloneVM_Task")):
        assert world.run(HURRIED).code == 1
        yield


def shows(address: str) -> vim.option.OptionValue:
    """What the simulator's VMware Tools say."""
    return settings("web2", extraConfig=[vim.option.OptionValue(key="SET.guest.ipAddress", value=address)])


@contextmanager
def no_keys_told(world: VCenterWorld) -> Iterator[None]:
    """Machines whose template lacks the unit that tells a guest's SSH host key."""
    world.prepare(without=())
    yield
    with world.session() as session:
        for number, name in enumerate(ALL):
            publish(session, name, key(number))


def case(
    what: str, harm: Harm, error: str, command: str = APPLY, code: int = 1, without=ONE, then: str = ""
) -> Case:
    """Some machines aren't there when it begins; afterwards all eleven stand, once each."""
    return Case(what, harm, command, code, error, without=without, then=then, after=VCenterWorld.stands)


def never_ending(what: str, call: str, step: str, without: tuple[str, ...] = ONE) -> Case:
    """A task hangs; its step has a second."""
    return case(
        f"{what} that never ends",
        by_proxy(lambda proxy: proxy.hang(call), **{step.replace("-", "_"): 1}),
        f"web2: {step} did not end within 1 s (<task>) → {LOOK}",
        without=without,
    )


def killed_at(what: str, call: str, nth: int) -> Case:
    """All eleven are being made."""
    return case(f"killed {what}", killed(call, nth), "", code=KILLED, without=ALL)


CASES = (
    case(
        "name taken by a foreign machine",
        at_vcenter(*taken("web2")),
        f"{TAKEN} → rename it in vCenter, or take it over: xjops vm apply --site labtest --adopt web2",
    ),
    case(
        "two machines of one name",
        at_vcenter(*taken("web2")),
        "2 machines are called web2: DC0/vm/web2, DC0/vm/xjops-lab/web2 → rename or remove all but one in "
        "vCenter",
        without=(),
    ),
    case(
        "name taken between plan and answer",
        at_the_question(*taken("web2")),
        f"vCenter has changed since the plan: web2 (was create, now refused); {TAKEN} → xjops vm plan, "
        "then apply again",
        ASK,
    ),
    case(
        "name taken while the machine is cloned",
        meanwhile("CloneVM_Task", *taken("web2", "xjops-lab")),
        "web2: clone failed: DuplicateName: the name 'web2' is taken → rename or remove the other machine "
        f"of this name in vCenter, {AGAIN}",
        without=TWO,
    ),
    case(
        "datastores full",
        by_proxy(lambda proxy: setattr(proxy, "full", True)),
        f"too little datastore space for {SPACE} → free space, or add datastores to vcenter.datastores",
        without=TWO,
    ),
    case(
        "datastores full between plan and answer",
        full_at_the_question,
        f"vCenter has changed since the plan: too little datastore space for {SPACE} → xjops vm plan, then "
        "apply again",
        ASK,
        without=TWO,
    ),
    case(
        "datastore full while a machine is cloned",
        by_proxy(
            lambda proxy: proxy.fail(
                "CloneVM_Task",
                "NoDiskSpace",
                FULL,
                1,
                "<file>[LocalDS_1] web2</file><datastore>LocalDS_1</datastore>",
            )
        ),
        f"web2: clone failed: NoDiskSpace: {FULL} → {FREE}",
        without=TWO,
    ),
    case(
        "datastore full while a disk grows",
        by_proxy(lambda proxy: proxy.fail("ReconfigVM_Task", "InsufficientStorageSpace", "", 1)),
        f"web2: change failed: InsufficientStorageSpace → {FREE}",
        without=TWO,
    ),
    case(
        "privilege lacking",
        by_proxy(lambda proxy: proxy.refuse("CloneVM_Task", NO_PERMISSION, 1)),
        f"web2: clone was refused: {VCENTER}: NoPermission: the account lacks the privilege "
        "VirtualMachine.Inventory.CreateFromExisting → give the account this privilege in vCenter "
        f"(docs/guide/vcenter.md lists them), {AGAIN}",
        without=TWO,
    ),
    case(
        "task error",
        by_proxy(
            lambda proxy: proxy.fail("PowerOnVM_Task", "InvalidState", "The host is in maintenance mode.", 1)
        ),
        f"web2: power-on failed: InvalidState: The host is in maintenance mode. → {LOOK}",
        without=TWO,
    ),
    case("session expires in the middle (renewed)", expiring, "", code=0, without=TWO),
    case(
        "session expires in the middle, password changed",
        expiring_for_good,
        f"{REFUSED}xjops@vsphere.local (vault_vcenter_password) → {EDIT}",
        code=78,
        without=TWO,
    ),
    case(
        "connection lost in the middle",
        by_proxy(lambda proxy: proxy.lose("CustomizeVM_Task")),
        f"{GONE}Remote end closed connection without response → {STILL}",
        without=TWO,
    ),
    case(
        "vCenter stops answering in the middle",
        by_proxy(lambda proxy: proxy.silence("PowerOnVM_Task"), request=1),
        f"{GONE}no answer within 1 s → {STILL}",
        without=TWO,
    ),
    case(
        "clone that never ends",
        by_proxy(lambda proxy: proxy.hang("CloneVM_Task")),
        f"web2: clone did not end within 0.6 s (<task>) → {LOOK}",
        HURRIED,
    ),
    case(
        "clones of an earlier run that never end",
        clones_left_behind,
        "1 clones of an earlier run did not end within 0.6 s → look at vCenter's tasks; cancel them there "
        "and run again",
        HURRIED,
    ),
    never_ending("customization", "CustomizeVM_Task", "customize"),
    never_ending("change", "ReconfigVM_Task", "change"),
    never_ending("power-on", "PowerOnVM_Task", "power-on"),
    case(
        "machine removed in the middle",
        meanwhile("PowerOnVM_Task", removed("web2")),
        f"web2 vanished from vCenter before power-on → {LOOK}",
        without=TWO,
    ),
    case(
        "machine that never gets its address",
        at_vcenter(shows("10.9.9.9"), shows("10.58.7.12"), address=1),
        f"web2 never got its address 10.58.7.12: after 1 s VMware Tools shows 10.9.9.9 → {CONSOLE}",
        without=(),
    ),
    case(
        "guest that can't be customized",
        meanwhile(
            "PowerOnVM_Task",
            settings("web2", deviceChange=[network_card()]),
            removed("web2", on=True),
            address=1,
        ),
        "web2 never got its address 10.58.7.12: after 1 s VMware Tools shows none; vCenter says: An error "
        f"occurred while setting up network properties of the guest OS → {CONSOLE}",
    ),
    case(
        "growing that needs a restart",
        at_vcenter(settings("web2", numCPUs=2, cpuHotAddEnabled=False)),
        "web2 runs and can't get more CPUs or memory meanwhile → allow a restart: xjops vm apply --site "
        "labtest --restart",
        without=(),
        then="vm apply --yes --restart",
    ),
    case(
        "shrinking (kept as it is)",
        at_vcenter(settings("web2", memoryMB=16384), settings("web2", memoryMB=8192)),
        "",
        code=0,
        without=(),
    ),
    case(
        "another run",
        another_run,
        "the end of another vm apply or vm delete did not come within 0.2 s → wait for it, then run this "
        "again",
    ),
    case("question answered with no", answering("n\n"), "interrupted", ASK, 130),
    case("question not answered", answering(""), "interrupted", ASK, 130),
    killed_at("at a clone", "CloneVM_Task", 6),
    killed_at("at a customization", "CustomizeVM_Task", 11),
    killed_at("at a change", "ReconfigVM_Task", 6),
    killed_at("at a power-on", "PowerOnVM_Task", 1),
    killed_at("at the end", "Logout", 1),
    Case(
        "no SSH host key",
        no_keys_told,
        "vm host-keys --deadline 0",
        1,
        f"no SSH host key from vCenter within 0 s: {', '.join(f'{name} (set none)' for name in ALL)} → "
        "does the template's unit set guestinfo.xjops.ssh_host_key? (docs/guide/vcenter.md)",
        without=ALL,
    ),
)
