"""Hosts as containers: what they are given, and the machine they need. Nothing is started here."""

from __future__ import annotations

import io
import itertools
import shutil
import subprocess
import tarfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from xjops.core.errors import ConfigurationError, ExitCode, UsageError
from xjops.lab import credentials, guest, hosts, image, machine, network, podman, scratch
from xjops.lab.copy import copy_site
from xjops.lab.machine import MachineError
from xjops.lab.podman import Container
from xjops.site import Site


@pytest.fixture
def ready_site(lab_site: Site) -> Site:
    return credentials.ensure("lab").site


def container(name: str, address: str) -> Container:
    return Container(f"xj-lab-{name}", "running", {"xjops.host": name, "xjops.address": address})


def value_of(words: list[str], option: str) -> list[str]:
    return [after for word, after in itertools.pairwise(words) if word == option]


def test_physical_and_virtual_machines_are_all_hosts(lab_site: Site) -> None:
    physical = {host.name for host in hosts.physical_hosts(lab_site)}
    assert physical == {"db1", "db2", "storage", "lb1", "monitor", "repo"}
    assert len(physical) + len(lab_site.virtual_machines) == len(lab_site.hosts) == 17


def test_the_balancer_is_on_both_networks_in_order(ready_site: Site) -> None:
    host = ready_site.host("lb1")
    words = hosts.words(
        ready_site, hosts.guest_of(ready_site, host, hosts.PHYSICAL, address=host.address), "image"
    )
    assert value_of(words, "--network") == [
        "xj-lab-internal:ip=10.58.7.51,mac=0a:58:0a:3a:07:33,interface_name=eth0",
        "xj-lab-public:ip=10.58.107.10,mac=0a:58:0a:3a:6b:0a,interface_name=eth1",
    ]
    assert words[-2:] == ["image", "/sbin/init"]
    assert "--systemd=always" in words


def test_only_hosts_that_mount_get_fuse_and_only_storage_the_disk(ready_site: Site, tmp_path: Path) -> None:
    if not Path("/dev/fuse").exists():
        pytest.skip("this machine has no /dev/fuse")
    with_fuse = set()
    for host in ready_site.hosts:
        item = hosts.guest_of(ready_site, host, hosts.PHYSICAL, address=host.address)
        with_fuse |= {host.name} if item.devices else set()
        assert not item.volumes
    assert with_fuse == {*(f"web{number}" for number in range(1, 10)), "packaging", "storage"}
    host = ready_site.host("storage")
    item = hosts.guest_of(ready_site, host, hosts.PHYSICAL, address=host.address, brick=tmp_path)
    assert list(item.volumes) == [f"{tmp_path}:/srv/brick"]


def test_a_host_is_given_its_key_the_one_login_and_its_name(ready_site: Site) -> None:
    host = ready_site.host("web3")
    words = hosts.words(
        ready_site, hosts.guest_of(ready_site, host, hosts.VIRTUAL, address=host.address), "image"
    )
    (seed,) = [word.split(":")[0] for word in value_of(words, "--volume")]
    assert Path(seed).stat().st_mode & 0o777 == 0o600
    with tarfile.open(seed) as archive:
        entries = {entry.name: entry for entry in archive}
        content = {
            name: archive.extractfile(name).read().decode() for name in entries if entries[name].isfile()
        }
    assert entries["etc/ssh/ssh_host_ed25519_key"].mode == 0o600
    assert entries["home/xjops/.ssh"].mode == 0o700
    assert {entries[name].uid for name in entries if name.startswith("home/")} == {guest.USER_ID}
    login = (credentials.ssh_folder("lab") / "id_ed25519.pub").read_text()
    assert content["home/xjops/.ssh/authorized_keys"] == login
    assert content["etc/hosts"] == "127.0.0.1 localhost\n10.58.7.13 web3\n"
    assert (
        content["etc/ssh/ssh_host_ed25519_key.pub"].split()[:2] == hosts.host_key("lab", "web3").split()[:2]
    )


def test_known_hosts_is_merged_and_openssh_finds_name_and_address(ready_site: Site) -> None:
    file = credentials.ssh_folder("lab") / "known_hosts"
    file.write_text("other.example ssh-ed25519 AAAA\n10.58.7.31 ssh-ed25519 STALE\n")
    hosts.write_known_hosts(ready_site, hosts.physical_hosts(ready_site))
    first = file.read_text()
    hosts.write_known_hosts(ready_site, hosts.physical_hosts(ready_site))
    assert file.read_text() == first
    assert "STALE" not in first
    assert "other.example" in first
    for name in ("db1", "10.58.7.31"):
        found = subprocess.run(
            ["ssh-keygen", "-F", name, "-f", file], check=True, capture_output=True, text=True, timeout=20
        ).stdout
        assert hosts.host_key("lab", "db1").split()[1] in found


def test_a_changed_address_is_named_before_anything_is_done(lab_site: Site) -> None:
    present = {"db1": container("db1", "10.58.7.31"), "db2": container("db2", "10.58.7.99")}
    with pytest.raises(ConfigurationError) as caught:
        hosts.check_addresses(lab_site.hosts, present)
    (problem,) = caught.value.problems
    assert problem.startswith("db2 was made with the address 10.58.7.99, the site says 10.58.7.32")
    assert "--recreate db2" in problem


def test_the_copy_of_a_site_shares_no_address_port_or_secret(lab_site: Site, tmp_path: Path) -> None:
    credentials.ensure("lab")
    folder = copy_site(lab_site.folder, lab_site.folder.parent / "labtest")
    copied = Site.load("labtest")
    assert not (folder / "group_vars" / "all" / "vault.yml").exists()
    assert copied.vcenter.port == lab_site.vcenter.port + 1
    ours = {host.address for host in lab_site.hosts} | {lab_site.balancer.address}
    theirs = {host.address for host in copied.hosts} | {copied.balancer.address}
    assert not ours & theirs
    assert all(
        address in IPv4Network("10.58.16.0/20") or address in IPv4Network("10.58.117.0/24")
        for address in theirs
    )
    assert not [file for file in folder.rglob("*") if file.is_file() and "10.58.7." in file.read_text()]
    # what the copy's own lab made stays, what the source has no more goes
    credentials.ensure("labtest")
    vault = (folder / "group_vars" / "all" / "vault.yml").read_bytes()
    (folder / "group_vars" / "gone.yml").write_text("---\n{}\n")
    copy_site(lab_site.folder, folder)
    assert (folder / "group_vars" / "all" / "vault.yml").read_bytes() == vault
    assert not (folder / "group_vars" / "gone.yml").exists()


def test_a_machine_that_cannot_run_the_lab_says_everything_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "filesystems").write_text("nodev proc\n\text4\n")
    (tmp_path / "meminfo").write_text("MemTotal: 4000000 kB\n")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr("os.uname", lambda: type("Name", (), {"release": "0-none"}))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setattr(machine, "HELPER_FOLDERS", ())
    monkeypatch.setattr(shutil, "disk_usage", lambda path: type("Usage", (), {"free": 2 * 1024**3}))
    found = machine.lacks(
        filesystems=tmp_path / "filesystems", memory=tmp_path / "meminfo", storage=tmp_path / "not" / "there"
    )
    words = ["root", "podman", "runc", "iptables", "ip is", "ssh", "gpg", "mmdebstrap", "netavark", "overlay",
             "3.8 GB of memory", "2.0 GB free"]  # fmt: skip
    assert len(found) == len(words)
    for word, line in zip(words, found, strict=True):
        assert word in line
        assert " → " in line, "each has its mend"
    monkeypatch.setattr(machine, "lacks", lambda need_image: found)
    with pytest.raises(MachineError) as caught:
        machine.require()
    assert caught.value.exit_code is ExitCode.NOT_RUN
    assert len(caught.value.problems) == len(words)


def test_kernel_limits_are_raised_never_lowered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "lacks", lambda need_image: [])
    folder = tmp_path / "fs" / "inotify"
    folder.mkdir(parents=True)
    (folder / "max_user_instances").write_text("128\n")
    (folder / "max_user_watches").write_text("999999\n")
    machine.require(kernel=tmp_path)
    assert (folder / "max_user_instances").read_text() == "2048\n"
    assert (folder / "max_user_watches").read_text() == "999999\n"
    (folder / "max_user_watches").unlink()
    with pytest.raises(MachineError) as caught:
        machine.require(kernel=tmp_path)
    assert "sysctl -w fs.inotify.max_user_watches=262144" in caught.value.problems[0]


def test_only_private_subnets_are_guarded() -> None:
    with pytest.raises(ConfigurationError, match="no private network"):
        network.guard([IPv4Network("8.8.8.0/24")])
    with pytest.raises(ConfigurationError, match="no private network"):
        network.guard([IPv4Network("10.0.0.0/8")])


def test_the_limits_of_the_machine_are_kept(
    lab_site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XJOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(podman, "machine_has", lambda name: False)
    monkeypatch.setattr("resource.getrlimit", lambda number: (1024, 20000))
    text = podman.settings().read_text()
    assert 'default_ulimits = ["nofile=20000:20000", "nproc=20000:20000"]' in text
    assert 'runtime = "runc"' in text
    monkeypatch.setattr(podman, "machine_has", lambda name: True)
    assert "default_ulimits" not in podman.settings().read_text()


def test_a_capability_is_read_from_the_bounding_set(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("CapEff:\t0000000000000000\nCapBnd:\t000001fffeffffff\n")
    assert podman.machine_has("SYS_ADMIN", status)
    assert not podman.machine_has("SYS_RESOURCE", status)


def test_the_image_follows_its_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XJOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("XJOPS_DEBIAN_MIRROR", raising=False)
    first = image.name()
    assert image.name() == first
    assert not image.cached()
    files = tmp_path / "files"
    shutil.copytree(image.FILES, files)
    monkeypatch.setattr(image, "FILES", files)
    assert image.name() == first
    (files / "customize.sh").write_text("exit 0\n")
    assert image.name() != first


def test_scratch_blocks_never_overlap() -> None:
    seen = [
        scratch.address(block, position)
        for block in range(scratch.BLOCKS)
        for position in range(scratch.BLOCK)
    ]
    assert len(set(seen)) == len(seen)
    assert scratch.GATEWAY not in seen
    assert scratch.SUBNET.broadcast_address not in seen
    assert all(address in scratch.SUBNET for address in seen)


def test_scratch_takes_the_first_free_block_and_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"a": "0", "b": "2"}
    monkeypatch.setattr(
        scratch, "containers",
        lambda **_: {
            name: Container(name, "running", {"xjops.set": name, "xjops.block": block, "xjops.host": "x"})
            for name, block in labels.items()
        },
    )  # fmt: skip
    assert scratch._block("c") == 1
    assert scratch._block("b") == 2
    labels.update({f"full{number}": str(number) for number in range(scratch.BLOCKS)})
    with pytest.raises(ConfigurationError, match="destroy --all"):
        scratch._block("new")


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("Bad", ["a"]),
        ("x;y", ["a"]),
        ("ok", []),
        ("ok", ["a", "a"]),
        ("ok", ["repo"]),
        ("ok", [f"h{n}" for n in range(8)]),
    ],
)
def test_scratch_refuses_names_it_cannot_have(name: str, names: list[str]) -> None:
    with pytest.raises(UsageError):
        scratch._check(name, names)


def test_a_seed_is_a_plain_tar(tmp_path: Path) -> None:
    target = guest.write_seed(tmp_path / "seed.tar", [guest.File("etc/x", b"content", 0o640, 7)])
    with tarfile.open(fileobj=io.BytesIO(target.read_bytes())) as archive:
        entry = archive.getmember("etc/x")
        assert (entry.mode, entry.uid, entry.gid, entry.size) == (0o640, 7, 7, 7)


def test_the_mac_address_is_local_and_follows_the_address() -> None:
    assert guest.mac(IPv4Address("10.58.7.255")) == "0a:58:0a:3a:07:ff"
    assert int(guest.mac(IPv4Address("10.0.0.1"))[:2], 16) & 0b11 == 0b10
