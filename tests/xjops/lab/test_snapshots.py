"""What snapshots belong to, which is refused, and what a killed run leaves. Nothing is started here."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from xjops.cli import main
from xjops.core.errors import ConfigurationError, DeadlineError, ExitCode, UsageError
from xjops.lab import credentials, image, layers, podman, snapshots, snapshotting, up
from xjops.lab.podman import Container, Stored
from xjops.lab.snapshots import HostState, Manifest, Open, SnapshotError
from xjops.site import Site


@pytest.fixture
def ready(lab_site: Site) -> Site:
    """The lab's site with its secrets."""
    return credentials.ensure(lab_site.name).site


def manifest(site: Site, name: str = "demo") -> Manifest:
    host = HostState(("aa", "bb"), "image-id", True, "10.58.7.11", "virtual")
    return Manifest(
        name, "2026-11-22T10:00:00+00:00", 2.5, image.name(), snapshots.site_digest(site.folder),
        snapshots.secrets_digest(site), {"web1": host}, {"web1": True}, ("storage.img",), 12,
    )  # fmt: skip


def keep(site: Site, item: Manifest) -> Path:
    folder = snapshots.folder(site.name) / item.name
    folder.mkdir(parents=True)
    item.write(folder)
    for disk in item.disks:
        (folder / disk).touch()
    return folder


def test_what_is_written_is_read(ready: Site) -> None:
    keep(ready, manifest(ready))
    assert snapshots.read("lab", "demo") == manifest(ready)
    assert snapshots.names("lab") == ["demo"]
    assert snapshots.latest("lab") == "demo"
    assert snapshots.misfits(ready, snapshots.read("lab", "demo")) == []


def test_unknown_names(ready: Site) -> None:
    with pytest.raises(UsageError, match="has no snapshot"):
        snapshots.latest("lab")
    keep(ready, manifest(ready))
    for name in ("demos", "../demo", "", ".open.json"):
        with pytest.raises(UsageError, match="has no snapshot") as caught:
            snapshots.read("lab", name)
        assert caught.value.mend == ("did you mean 'demo'?" if name == "demos" else caught.value.mend)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', "[]"])
def test_a_manifest_that_can_not_be_read_is_named(ready: Site, text: str) -> None:
    folder = keep(ready, manifest(ready))
    (folder / "manifest.json").write_text(text)
    with pytest.raises(SnapshotError) as caught:
        snapshots.read("lab", "demo")
    assert "xjops lab snapshots --delete demo" in caught.value.mend


def test_a_snapshot_of_another_version_is_refused_by_name(ready: Site) -> None:
    keep(ready, replace(manifest(ready), format=2))
    with pytest.raises(SnapshotError, match=r"of another version of xjops \(format 2, not 1\)"):
        snapshots.read("lab", "demo")


def test_a_snapshot_of_another_image_inventory_or_secrets_is_refused_by_name(ready: Site) -> None:
    item = manifest(ready)
    snapshots.check_fits(ready, item)
    with pytest.raises(ConfigurationError) as caught:
        snapshots.check_fits(ready, replace(item, image="localhost/xjops-base:old", site="x", secrets="y"))
    assert len(caught.value.problems) == 3
    assert all(line.startswith("the snapshot demo doesn't fit: ") for line in caught.value.problems)
    assert "localhost/xjops-base:old" in caught.value.problems[0]


def test_every_value_of_the_inventory_and_every_secret_counts(ready: Site) -> None:
    site, secrets = snapshots.site_digest(ready.folder), snapshots.secrets_digest(ready)
    vault = ready.folder / "group_vars" / "all" / "vault.yml"
    vault.write_text(vault.read_text() + "\n")
    assert (snapshots.site_digest(ready.folder) == site, snapshots.secrets_digest(ready) == secrets) == (
        True,
        False,
    )
    secrets = snapshots.secrets_digest(ready)
    for file, same_secrets in (
        (ready.folder / "hosts.yml", True),
        (ready.folder / "group_vars" / "web_servers.yml", True),
        (ready.folder / "files" / "lab-ca.pem", False),
    ):
        before = snapshots.site_digest(ready.folder), snapshots.secrets_digest(ready)
        file.write_text(file.read_text() + "\n")
        assert (snapshots.site_digest(ready.folder) == before[0]) is not same_secrets
        assert (snapshots.secrets_digest(ready) == before[1]) is same_secrets


def test_room_is_looked_for_before_anything(tmp_path: Path) -> None:
    snapshots.check_space(tmp_path, 0)
    with pytest.raises(SnapshotError, match="nothing was changed"):
        snapshots.check_space(tmp_path, 10**18)


def test_what_is_under_way_is_remembered_until_it_is_finished(ready: Site) -> None:
    snapshots.folder("lab").mkdir()
    work = Open("snapshot", "demo", {"web1": ["new", "aa"]}, ("web1",), {"web1": True})
    assert snapshots.unfinished("lab") is None
    snapshots.begin("lab", work)
    assert snapshots.unfinished("lab") == work
    assert snapshots.used_layers("lab") == {"new", "aa"}
    with pytest.raises(SnapshotError, match="the snapshot demo of the lab lab was interrupted") as caught:
        snapshots.refuse_unfinished("lab")
    assert caught.value.mend == "xjops lab snapshot demo (finishes it)"
    snapshots.finish("lab")
    snapshots.refuse_unfinished("lab")


def test_half_a_lab_is_not_started(ready: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(up.machine, "require", lambda **_: None)
    snapshots.folder("lab").mkdir()
    snapshots.begin("lab", Open("restore", "demo"))
    with pytest.raises(SnapshotError, match="the restore demo of the lab lab was interrupted"):
        up.up("lab", lambda *_: None)


@pytest.fixture
def containers(ready: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A lab whose podman is made up: web1 runs on two layers. What is asked of podman is noted."""
    folder = tmp_path / "graph" / "overlay" / "web1"
    store = layers.store(tmp_path / "graph", "lab")
    store.mkdir(parents=True)
    (folder / "diff").mkdir(parents=True)
    for number, name in enumerate(("aa", "bb"), 1):
        (store / name).mkdir()
        (folder / f"diff{number}").symlink_to(store / name)
    item = Container("xj-lab-web1", "running", {"xjops.host": "web1", "xjops.address": "10.58.7.11"})
    asked: list[str] = []
    monkeypatch.setattr(snapshotting.hosts, "lab_containers", lambda _: {"web1": item})
    monkeypatch.setattr(podman, "graph_root", lambda: tmp_path / "graph")
    monkeypatch.setattr(
        podman, "stored", lambda _: {item.name: Stored(folder, "image-id", "overlay", 0, "running")}
    )
    for name in ("shut_down", "cut", "start", "remove"):
        monkeypatch.setattr(podman, name, lambda *_, name=name: asked.append(name))
    monkeypatch.setattr(podman, "end_half_started", lambda _: None)
    return asked


def test_a_take_is_refused_before_anything_is_touched(
    ready: Site, containers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(ready, manifest(ready))
    for name, text in (("demo", "there is a snapshot demo already"), ("No good", "is no name")):
        with pytest.raises(UsageError, match=text):
            snapshotting.take("lab", name, lambda *_: None)
    monkeypatch.setattr(layers, "MAX_LAYERS", 2)
    with pytest.raises(SnapshotError, match="web1 stand on 2 layers already"):
        snapshotting.take("lab", "other", lambda *_: None)
    assert containers == []
    assert snapshots.unfinished("lab") is None


def test_a_restore_is_refused_before_anything_is_touched(ready: Site, containers: list[str]) -> None:
    folder = keep(ready, manifest(ready))
    (folder / "storage.img").unlink()
    with pytest.raises(SnapshotError, match=r"is not whole: 1 of its parts are gone \(storage.img\)"):
        snapshotting.restore("lab", "demo", lambda *_: None)
    item = manifest(ready, "lost")
    keep(ready, replace(item, hosts={"web1": replace(item.hosts["web1"], layers=("zz",))}))
    with pytest.raises(SnapshotError, match=r"\(zz\)"):
        snapshotting.restore("lab", "lost", lambda *_: None)
    keep(ready, replace(manifest(ready, "old"), secrets="others"))
    with pytest.raises(ConfigurationError):
        snapshotting.restore("lab", "old", lambda *_: None)
    assert containers == []
    assert snapshots.unfinished("lab") is None


def test_one_unfinished_work_is_not_mixed_with_another(ready: Site, containers: list[str]) -> None:
    keep(ready, manifest(ready))
    for kind, verbs in (("restore", ("take", "delete")), ("snapshot", ("restore", "delete", "other"))):
        snapshots.begin("lab", Open(kind, "demo"))  # type: ignore[arg-type]
        for verb in verbs:
            with pytest.raises(SnapshotError, match=f"the {kind} demo of the lab lab was interrupted"):
                if verb == "take":
                    snapshotting.take("lab", None, lambda *_: None)
                elif verb == "other":
                    snapshotting.take("lab", "other", lambda *_: None)
                elif verb == "restore":
                    snapshotting.restore("lab", "demo", lambda *_: None)
                else:
                    snapshotting.delete("lab", ["demo"], lambda *_: None)
    assert containers == []


def test_deleting_keeps_the_layers_that_others_stand_on(
    ready: Site, containers: list[str], tmp_path: Path
) -> None:
    store = layers.store(tmp_path / "graph", "lab")
    host = manifest(ready).hosts["web1"]
    for name, chain in (("first", ("cc",)), ("second", ("dd", "cc"))):
        for layer in chain:
            (store / layer).mkdir(exist_ok=True)
        keep(ready, replace(manifest(ready, name), hosts={"web1": replace(host, layers=chain)}))
    snapshotting.delete("lab", ["first"], lambda *_: None)
    assert sorted(path.name for path in store.iterdir()) == ["aa", "bb", "cc", "dd"]
    snapshotting.delete("lab", ["second"], lambda *_: None)
    assert sorted(path.name for path in store.iterdir()) == ["aa", "bb"]  # the lab itself stands on them
    with pytest.raises(UsageError):
        snapshotting.delete("lab", ["first"], lambda *_: None)


@pytest.mark.usefixtures("containers")
def test_the_list(ready: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def command(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main.main(["lab", *words, "--site", "lab"])
        return int(ended.value.code or 0), capsys.readouterr().out

    monkeypatch.setenv("COLUMNS", "160")
    assert command("snapshots") == (ExitCode.OK, "no snapshots\n")
    keep(ready, manifest(ready))
    keep(ready, replace(manifest(ready, "old"), image="localhost/xjops-base:old"))
    out = command("snapshots")[1]
    rows = {line.split()[0]: line.split() for line in out.splitlines()}
    assert rows["demo"] == ["demo", "2026-11-22T10:00:00", "1", "(1", "on)", "0.0", "GB", "yes"]
    assert "localhost/xjops-base:old," in rows["old"]
    found = json.loads(command("snapshots", "--format", "json")[1])
    assert (found["schema"], found["unfinished"]) == (1, None)
    assert [(item["name"], len(item["misfits"])) for item in found["snapshots"]] == [("demo", 0), ("old", 1)]
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert command("restore", "demo")[0] == ExitCode.INTERRUPTED
    assert command("restore", "nothing", "--yes")[0] == ExitCode.USAGE
    (snapshots.folder("lab") / "old" / "manifest.json").write_text("{}")
    assert [line.split()[0] for line in command("snapshots")[1].splitlines()[1:]] == ["demo"]
    assert command("snapshots", "--delete", "old", "--yes")[0] == ExitCode.OK
    assert snapshots.names("lab") == ["demo"]


def test_what_a_killed_start_left_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """`podman start` killed in its middle: the runtime holds what podman calls exited."""
    about = [
        {"Id": "a1", "OCIRuntime": "runc", "State": {"Running": False}},
        {"Id": "b2", "OCIRuntime": "runc", "State": {"Running": True}},
    ]
    ran: list[list[str]] = []
    monkeypatch.setattr(podman, "podman", lambda *_, **__: json.dumps(about))
    monkeypatch.setattr(podman, "run", lambda words, **_: ran.append(words))
    podman.end_half_started(["one", "two"])
    assert ran == [["runc", "delete", "--force", "a1"]]


def test_a_killed_runs_podman_is_waited_for(
    ready: Site, containers: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `podman stop` outlives it: the file system is still mounted when the next run comes."""
    answers = iter([True, True, False])
    monkeypatch.setattr(layers.Rootfs, "mounted", lambda _: next(answers))
    snapshotting.Lab(ready, lambda *_: None).wait_unmounted()
    assert containers == ["shut_down", "shut_down"]
    monkeypatch.setattr(layers.Rootfs, "mounted", lambda _: True)
    monkeypatch.setattr(snapshotting, "UNMOUNT_SECONDS", 0.3)
    with pytest.raises(DeadlineError, match="the end of the hosts of lab"):
        snapshotting.Lab(ready, lambda *_: None).wait_unmounted()
