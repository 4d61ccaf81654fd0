"""Memory limits and their holders, abilities, and the kernel's tables of mounts and loop devices (as fakes)."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import AbilityError
from harness.runtime import abilities
from harness.runtime.abilities import MachineAbility
from harness.runtime.kernel import disk, mounts
from harness.runtime.kernel.cgroup_memory import MemoryController, MemoryGroup, find_memory_controller
from harness.runtime.limits import Limits

MIB = 1 << 20
MOUNTS = r"""22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw
99 22 7:0 / /runs/a\040b/nodes/n1/data rw,relatime shared:7 master:2 - xfs /dev/loop0 rw,attr2
100 22 0:30 / /sys/fs/cgroup rw - tmpfs tmpfs rw
"""


def _version_2(root: Path, events: str) -> MemoryGroup:
    group = MemoryGroup(MemoryController(root, 2), "r-n1")
    group.create()
    for name, text in {"memory.max": "max\n", "memory.swap.max": "max\n", "memory.current": "4096\n"}.items():
        (group.path / name).write_text(text)
    (group.path / "memory.events").write_text(events)
    return group


def _version_1(root: Path, *, swap: bool) -> MemoryGroup:
    group = MemoryGroup(MemoryController(root, 1), "r-n1")
    group.create()
    files = {
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.usage_in_bytes": "4096\n",
        "memory.max_usage_in_bytes": "8192\n",
        "memory.failcnt": "3\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    }
    if swap:
        files |= {"memory.memsw.limit_in_bytes": "9223372036854771712\n", "memory.memsw.failcnt": "4\n"}
    for name, text in files.items():
        (group.path / name).write_text(text)
    return group


def test_version_2_files_of_memory_are_written_and_read(tmp_path: Path) -> None:
    group = _version_2(tmp_path, "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 0\n")
    group.limit(64 * MIB)
    assert (group.path / "memory.max").read_text() == str(64 * MIB)
    assert (group.path / "memory.swap.max").read_text() == "0"
    use = group.use()
    assert (use.limit_bytes, use.used_bytes, use.most_bytes, use.at_limit, use.killed) == (64 * MIB, 4096, 0, 8, 2)
    group.limit(None)
    assert group.use().limit_bytes is None
    assert (group.path / "memory.swap.max").read_text() == "max"


@pytest.mark.parametrize("swap", [True, False])
def test_version_1_files_of_memory_are_written_and_read(swap: bool, tmp_path: Path) -> None:
    group = _version_1(tmp_path, swap=swap)
    assert group.use().limit_bytes is None
    group.limit(64 * MIB)
    use = group.use()
    assert (use.limit_bytes, use.used_bytes, use.killed) == (64 * MIB, 4096, 1)
    assert use.at_limit == (7 if swap else 3)
    assert use.most_bytes == 0, "the most that was in use begins again with each limit"
    group.limit(None)
    assert (group.path / "memory.limit_in_bytes").read_text() == "-1"
    assert (group.path / "memory.memsw.limit_in_bytes").exists() is swap


def test_where_no_memory_can_be_limited_the_reason_is_told(tmp_path: Path) -> None:
    with pytest.raises(AbilityError, match="memory limits are not possible here: no memory controller"):
        find_memory_controller(tmp_path)


def test_the_smallest_of_all_holders_memory_limits_counts() -> None:
    done: list[int | None] = []
    limits = Limits[int](done.append)
    limits.set("a", 100)
    limits.set("b", 50)
    limits.set("b", None)
    limits.set("b", None)
    limits.set("a", None)
    assert done == [100, 50, 100, None]
    assert limits.least is None


def test_a_limit_that_could_not_be_lifted_is_lifted_when_asked_again() -> None:
    trouble, done = [AbilityError("not now")], []

    def carry_out(limit: float | None) -> None:
        if limit is None and trouble:
            raise trouble.pop()
        done.append(limit)

    limits = Limits[float](carry_out)
    limits.set("a", 0.5)
    with pytest.raises(AbilityError, match="not now"):
        limits.set("a", None)
    assert limits.least == 0.5
    limits.set("a", None)
    assert done == [0.5, None]


def test_a_limit_that_is_refused_leaves_the_others_in_force() -> None:
    done: list[int | None] = []

    def carry_out(limit: int | None) -> None:
        if limit is not None and limit < 10:
            raise AbilityError("more is in use")
        done.append(limit)

    limits = Limits[int](carry_out)
    limits.set("a", 100)
    with pytest.raises(AbilityError):
        limits.set("b", 5)
    with pytest.raises(AbilityError):
        limits.set("a", 5)
    assert done == [100, 100, 100]
    assert limits.least == 100


def test_mounts_are_read_with_their_escapes(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)
    found = mounts.mounts(table)
    assert [(item.point, item.source, item.filesystem) for item in found][1] == (
        "/runs/a b/nodes/n1/data",
        "/dev/loop0",
        "xfs",
    )
    assert len(found) == 3


def test_only_loop_devices_of_our_own_image_are_ours(tmp_path: Path) -> None:
    for name, file in {
        "loop0": "/runs/x/disk.img",
        "loop1": "/runs/y/disk.img",
        "loop2": "/runs/x/disk.img (deleted)",
    }.items():
        (tmp_path / name / "loop").mkdir(parents=True)
        (tmp_path / name / "loop" / "backing_file").write_text(f"{file}\n")
    (tmp_path / "loop3").mkdir()
    assert sorted(mounts.loop_devices(Path("/runs/x/disk.img"), tmp_path)) == ["/dev/loop0", "/dev/loop2"]


def test_disks_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.runtime.kernel.disk.os.geteuid", lambda: 1000)
    assert "needs root" in abilities.why_not(MachineAbility.DISK, "docker")
    monkeypatch.setattr("harness.runtime.kernel.disk.os.geteuid", lambda: 0)
    monkeypatch.setattr(disk, "why_no_disks", lambda: "")
    monkeypatch.setattr("harness.runtime.kernel.disk.shutil.which", lambda name: None if name == "mkfs.xfs" else name)
    with pytest.raises(
        AbilityError, match=r"a disk with xfs is not possible here: mkfs\.xfs not found \(package xfsprogs\)"
    ):
        disk.require_disk("xfs")
    disk.require_disk("ext4")
    assert abilities.why_not(MachineAbility.DISK, "process") == "", "one kind of file system is enough"


def test_every_ability_of_a_machine_is_examined() -> None:
    for ability in MachineAbility:
        assert isinstance(abilities.why_not(ability, "process"), str)
