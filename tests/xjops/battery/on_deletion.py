"""What stands against `xjops vm delete`, and faults while machines are deleted: no other is touched."""

from __future__ import annotations

from tests.xjops.battery.case import KILLED, Case, Harm
from tests.xjops.battery.harms import another_run, answering, at_vcenter, by_proxy, killed, nothing, settings
from tests.xjops.battery.on_machines import STILL
from tests.xjops.battery.on_vcenter import GONE
from tests.xjops.battery.world import VCenterWorld

DELETE = "vm delete web9 --power-off --yes"
LOOK = "look at its tasks and events in vCenter, then run `xjops vm delete` again: it goes on"
MARK = "xjops: site=labtest role=web_servers"


def gone(world: VCenterWorld) -> None:
    """web9 is deleted, and nothing else."""
    world.lacks("web9")


def case(what: str, harm: Harm, error: str, command: str = DELETE, code: int = 1, then: str = "") -> Case:
    """Afterwards web9 is gone, and nothing else."""
    return Case(what, harm, command, code, error, then=then, after=gone)


CASES = (
    case(
        "unknown name",
        nothing,
        "neither vCenter nor the inventory has a virtual machine 'wbe9' → did you mean 'web9'?",
        "vm delete web8 wbe9 --power-off --yes",
        then=DELETE,
    ),
    case(
        "physical machine",
        nothing,
        "db1 is a physical machine; vCenter has none of that name → xjops vm list",
        "vm delete db1 --yes",
        then=DELETE,
    ),
    case(
        "template",
        nothing,
        "debian-12 is a template → remove templates in vCenter",
        "vm delete debian-12 --yes",
        then=DELETE,
    ),
    case(
        "foreign machine",
        at_vcenter(settings("web9", annotation="Mr Wang's"), settings("web9", annotation=MARK)),
        "DC0/vm/xjops-lab/web9 is a machine without the mark of labtest: xjops deletes only what its "
        "annotation calls the site's own → delete it in vCenter, if it is yours",
    ),
    case(
        "running machine",
        nothing,
        "DC0/vm/xjops-lab/web9 is on → shut it down, or: xjops vm delete --power-off web9",
        "vm delete web9 --yes",
        then=DELETE,
    ),
    case(
        "no name",
        nothing,
        "Missing argument 'NAME...' → xjops vm delete --help",
        "vm delete --yes",
        2,
        then=DELETE,
    ),
    case(
        "names not typed as shown",
        answering("y\n"),
        "'y' is not 'web9': nothing was deleted → type its name as shown",
        "vm delete web9 --power-off",
        130,
        then=DELETE,
    ),
    case(
        "question not answered", answering(""), "interrupted", "vm delete web9 --power-off", 130, then=DELETE
    ),
    case(
        "another run",
        another_run,
        "the end of another vm apply or vm delete did not come within 0.2 s → wait for it, then run this "
        "again",
    ),
    case(
        "deletion that never ends",
        by_proxy(lambda proxy: proxy.hang("Destroy_Task")),
        f"web9: delete did not end within 0.6 s (<task>) → {LOOK}",
        f"{DELETE} --deadline 0.01",
    ),
    case(
        "power-off that never ends",
        by_proxy(lambda proxy: proxy.hang("PowerOffVM_Task"), power_off=1),
        f"web9: power-off did not end within 1 s (<task>) → {LOOK}",
    ),
    case(
        "task error",
        by_proxy(lambda proxy: proxy.fail("Destroy_Task", "ResourceInUse", "The resource 'web9' is in use.")),
        f"web9: delete failed: ResourceInUse: The resource 'web9' is in use. → {LOOK}",
    ),
    case(
        "connection lost in the middle",
        by_proxy(lambda proxy: proxy.lose("Destroy_Task")),
        f"{GONE}Remote end closed connection without response → {STILL}",
    ),
    case(
        "vCenter stops answering in the middle",
        by_proxy(lambda proxy: proxy.silence("Destroy_Task"), request=1),
        f"{GONE}no answer within 1 s → {STILL}",
    ),
    case("killed at the power-off", killed("PowerOffVM_Task"), "", code=KILLED),
    case("killed at the deletion", killed("Destroy_Task"), "", code=KILLED),
)
