"""The module that grows the root: what it reads from tools and from the kernel."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from xjops.core import paths

specification = importlib.util.spec_from_file_location(
    "root_disk", paths.project() / "library" / "root_disk.py"
)
assert specification
assert specification.loader
root_disk = importlib.util.module_from_spec(specification)
specification.loader.exec_module(root_disk)

DUMPE2FS = """Filesystem OS type:       Linux
Inode count:              15360
Block count:              61440
Reserved block count:     3072
Block size:               1024
"""
XFS_GROWFS = """meta-data=/dev/loop2p1           isize=512    agcount=4, agsize=20480 blks
data     =                       bsize=4096   blocks=81920, imaxpct=25
         =                       sunit=0      swidth=0 blks
log      =internal log           bsize=4096   blocks=16384, version=2
"""


@pytest.mark.parametrize(
    ("kind", "said", "size"),
    [("ext4", DUMPE2FS, 61440 * 1024), ("xfs", XFS_GROWFS, 81920 * 4096), ("ext4", "no such device", None)],
)
def test_size_of_a_file_system(kind: str, said: str, size: int | None) -> None:
    assert root_disk.bytes_of(root_disk.KINDS[kind], said) == size


def test_partition_and_its_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "devices/nvme0n1"
    (disk / "nvme0n1p2").mkdir(parents=True)
    (disk / "nvme0n1p2/partition").write_text("2\n")
    block = tmp_path / "class"
    block.mkdir()
    for name, target in (("nvme0n1", disk), ("nvme0n1p2", disk / "nvme0n1p2")):
        (block / name).symlink_to(target)
    monkeypatch.setattr(root_disk, "BLOCK", block)
    assert root_disk.partition_of("/dev/nvme0n1p2") == ("nvme0n1", "2")
    assert root_disk.partition_of("/dev/nvme0n1") is None
    assert root_disk.partition_of("overlay") is None


class EndedError(Exception):
    """exit_json or fail_json of the module."""


class FakeModule:
    """Answers commands from a list, keeps what was asked."""

    def __init__(self, answers: dict[str, tuple[int, str]], *, check_mode: bool = False) -> None:
        self.params = {"mount": "/", "seconds": 5}
        self.check_mode = check_mode
        self.answers = answers
        self.asked: list[str] = []

    def run_command(self, command: list[str]) -> tuple[int, str, str]:
        words = " ".join(command[2:])
        self.asked.append(words)
        code, said = self.answers[words]
        return code, said, ""

    def fail_json(self, **said: object) -> None:
        raise EndedError(json.dumps(said))


def test_disk_that_was_not_enlarged_is_left_alone() -> None:
    module = FakeModule({"growpart --dry-run /dev/sda 1": (1, "NOCHANGE: partition 1 is size 40960")})
    disk = root_disk.Disk(module)
    disk.grow_partition("sda", "1")
    assert (disk.actions, len(module.asked)) == ([], 1)


def test_enlarged_disk_is_only_planned_in_check_mode() -> None:
    module = FakeModule({"growpart --dry-run /dev/sda 1": (0, "CHANGE: partition=1")}, check_mode=True)
    disk = root_disk.Disk(module)
    disk.grow_partition("sda", "1")
    assert disk.actions == ["grow partition 1 of /dev/sda"]
    assert module.asked == ["growpart --dry-run /dev/sda 1"]


def test_enlarged_disk_is_grown() -> None:
    module = FakeModule(
        {
            "growpart --dry-run /dev/sda 1": (0, "CHANGE: partition=1"),
            "growpart /dev/sda 1": (0, "CHANGED: partition=1"),
        }
    )
    disk = root_disk.Disk(module)
    disk.grow_partition("sda", "1")
    assert module.asked[-1] == "growpart /dev/sda 1"


@pytest.mark.parametrize("answer", [(2, "FAILED: disk is locked"), (1, "unexpected")])
def test_failing_growpart_is_an_error(answer: tuple[int, str]) -> None:
    disk = root_disk.Disk(FakeModule({"growpart --dry-run /dev/sda 1": answer}))
    with pytest.raises(EndedError, match=answer[1]):
        disk.grow_partition("sda", "1")


def test_partition_grown_by_an_interrupted_run_gets_its_file_system_grown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sda1").mkdir()
    (tmp_path / "sda1/size").write_text(str(200 << 11))  # 200 MiB in sectors
    monkeypatch.setattr(root_disk, "BLOCK", tmp_path)
    answers = {"dumpe2fs -h /dev/sda1": (0, DUMPE2FS), "resize2fs /dev/sda1": (0, "now 204800 blocks")}
    module = FakeModule(answers)
    disk = root_disk.Disk(module)
    disk.grow_file_system("/dev/sda1", root_disk.EXT)
    assert module.asked[-1] == "resize2fs /dev/sda1"
    (tmp_path / "sda1/size").write_text(str(60 << 11))
    again = root_disk.Disk(FakeModule(answers))
    again.grow_file_system("/dev/sda1", root_disk.EXT)
    assert again.actions == []
