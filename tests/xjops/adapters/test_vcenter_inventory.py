"""Finding the site's names on a vCenter, and reading machines."""

from __future__ import annotations

import pytest
from pyVmomi import vim

from tests.xjops.vcsim import add_foreign, finish, machine_named, network_card, reconfigure
from xjops.adapters import vcenter
from xjops.adapters.vcenter_inventory import UnknownNameError, look
from xjops.adapters.vcenter_model import HOST_KEY, Power, Size
from xjops.site import Site

pytestmark = pytest.mark.vcsim


def problems_of(site: Site, **settings: object) -> tuple[str, ...]:
    changed = site.model_copy(update={"vcenter": site.vcenter.model_copy(update=settings)})
    with vcenter.connect(changed) as session, pytest.raises(UnknownNameError) as caught:
        look(session)
    assert caught.value.exit_code == 78
    return caught.value.problems


def test_all_unknown_names_are_named_at_once(vcenter_site: Site) -> None:
    assert len(problems_of(vcenter_site, folder="x", network="y", template="z", datastores=("p", "q"))) == 5


def test_a_look_at_an_empty_vcenter(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        place, estate = look(session)
    assert estate.machines == ()
    assert estate.template.template
    assert estate.template.size == Size(2, 2048, 30)
    assert estate.template.cards == 1
    assert [store.name for store in estate.datastores] == ["LocalDS_0", "LocalDS_1", "LocalDS_2"]
    assert all(store.capacity_gb == 3072 for store in estate.datastores)
    assert (estate.host_cpus, estate.host_memory_mb) == (64, 512 * 1024)
    assert place.hosts == []  # DRS places the machines


def test_foreign_machines_are_counted_and_their_addresses_known(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web2")  # a name the site wants
        other = add_foreign(session, "printer")
        reconfigure(session, "printer", deviceChange=[network_card()])
        finish(session, other.PowerOnVM_Task())
        option = vim.option.OptionValue(key="SET.guest.ipAddress", value="10.58.7.11")
        reconfigure(session, "printer", extraConfig=[option])
        _, estate = look(session)
    assert estate.foreign == 1
    assert estate.addresses == {"10.58.7.11": "DC0/vm/printer"}
    (web2,) = estate.machines
    assert (web2.name, web2.site, web2.in_folder, web2.path) == ("web2", None, False, "DC0/vm/web2")
    assert not web2.disk
    assert web2.power is Power.OFF


def test_a_mark_in_the_annotation_alone_makes_a_machine_ours(vcenter_site: Site) -> None:
    """So an administrator can hand a machine over, or see in vCenter's own screens whose it is."""
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "old-web", annotation="xjops: site=labtest role=web_servers")
        add_foreign(session, "other", annotation="xjops: site=shaanxi role=web_servers")
        _, estate = look(session)
    assert [machine.name for machine in estate.machines] == ["old-web"]
    assert estate.machines[0].role == "web_servers"


def test_extra_configuration_is_read(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web1")
        option = vim.option.OptionValue
        reconfigure(
            session,
            "web1",
            extraConfig=[
                option(key="xjops.site", value="labtest"),
                option(key="xjops.stage", value="nonsense"),
                option(key=HOST_KEY, value="ssh-ed25519 AAAA"),
            ],
        )
        (web1,) = session.machines()
    assert (web1.site, web1.stage, web1.host_key) == ("labtest", None, "ssh-ed25519 AAAA")


def test_without_drs_the_usable_hosts_are_listed(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        kinds = [(vim.ClusterComputeResource, ("host",))]
        cluster, values = next(iter(session.below(kinds, session.content.rootFolder).items()))
        _drs(session, cluster, enabled=False)
        finish(session, values["host"][0].EnterMaintenanceMode_Task(30))
        try:
            place, _ = look(session)
        finally:
            _drs(session, cluster, enabled=True)
            finish(session, values["host"][0].ExitMaintenanceMode_Task(30))
        assert [host._GetMoId() for host in place.hosts] == [host._GetMoId() for host in values["host"][1:]]


def _drs(session: vcenter.VCenter, cluster: object, *, enabled: bool) -> None:
    spec = vim.cluster.ConfigSpecEx(drsConfig=vim.cluster.DrsConfigInfo(enabled=enabled))
    finish(session, cluster.ReconfigureComputeResource_Task(spec, True))  # type: ignore[attr-defined]


def test_a_datastore_that_is_not_usable_is_left_out(
    vcenter_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vcenter.connect(vcenter_site) as session:
        honest = session.below

        def below(specs: object, root: object) -> vcenter.Found:
            found = honest(specs, root)  # type: ignore[arg-type]
            for values in found.values():
                if values.get("name") == "LocalDS_1" and "summary" in values:
                    values["summary"].maintenanceMode = "inMaintenance"
                if values.get("name") == "LocalDS_2" and "summary" in values:
                    values["summary"].accessible = False
            return found

        monkeypatch.setattr(session, "below", below)
        _, estate = look(session)
    assert [store.name for store in estate.datastores] == ["LocalDS_0"]


def test_a_folder_below_a_folder(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        parent = next(
            item
            for item, values in session.below([(vim.Folder, ("name",))], session.content.rootFolder).items()
            if values["name"] == "xjops-lab"
        )
        child = parent.CreateFolder("inner")
        settings = vcenter_site.vcenter.model_copy(update={"folder": "xjops-lab/inner"})
        session.site = vcenter_site.model_copy(update={"vcenter": settings})
        try:
            place, _ = look(session)
            assert place.folder == child
            assert place.paths[child] == "DC0/vm/xjops-lab/inner"
        finally:
            finish(session, child.Destroy_Task())


def test_a_machine_that_vanishes_between_two_calls_is_left_out(vcenter_site: Site) -> None:
    with vcenter.connect(vcenter_site) as session:
        add_foreign(session, "web1")
        machine = machine_named(session, "web1")
        finish(session, machine.Destroy_Task())
        assert session.retrieve([(vim.VirtualMachine, ("name",))], [machine]) == {}
