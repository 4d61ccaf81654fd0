"""What a process may use: the least of affinity, every control group above it, and what the machine has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from harness.runtime.kernel.capacity import Capacity

GIB = 1 << 30


def capacity(
    folder: Path, cgroup: str, files: Mapping[str, str], *, cpus: int = 8, total: int = 16, available: int = 12
) -> Capacity:
    """Return a machine with these files below the mount of control groups; memory in GiB."""
    proc, groups = folder / "proc", folder / "cgroup"
    (proc / str(os.getpid())).mkdir(parents=True)
    (proc / str(os.getpid()) / "cgroup").write_text(cgroup, encoding="ascii")
    (proc / "meminfo").write_text(
        f"MemTotal:       {total << 20} kB\nMemFree:  1 kB\nMemAvailable:   {available << 20} kB\n", encoding="ascii"
    )
    groups.mkdir()
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text + "\n", encoding="ascii")
    return Capacity(proc=proc, groups=groups, affinity=lambda: cpus)


V2 = "0::/a/b\n"
V1 = "4:memory:/a/b\n1:cpu,cpuacct:/a/b\n0::/\n"


def test_without_limits_it_is_the_machines(tmp_path: Path) -> None:
    free = capacity(tmp_path, V2, {"a/b/cpu.max": "max 100000", "a/b/memory.max": "max"})
    assert (free.cores(), free.memory_bytes(), free.available_bytes()) == (8.0, 16 * GIB, 12 * GIB)


def test_affinity_counts(tmp_path: Path) -> None:
    assert capacity(tmp_path, V2, {"a/b/cpu.max": "400000 100000"}, cpus=3).cores() == 3.0


@pytest.mark.parametrize("above", ["a", "a/b", "."])
def test_a_quota_of_version_2_counts_wherever_above_the_process_it_stands(tmp_path: Path, above: str) -> None:
    assert capacity(tmp_path, V2, {f"{above}/cpu.max": "150000 100000", "a/b/x": ""}).cores() == 1.5


def test_a_quota_of_version_1_counts_with_its_own_period(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "25000", "cpu,cpuacct/a/b/cpu.cfs_period_us": "50000"}
    assert capacity(tmp_path, V1, files).cores() == 0.5


def test_version_1_says_minus_one_where_there_is_no_quota(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/a/b/cpu.cfs_quota_us": "-1", "cpu,cpuacct/a/b/cpu.cfs_period_us": "100000"}
    assert capacity(tmp_path, V1, files).cores() == 8.0


def test_a_container_that_sees_its_own_group_as_the_mount_is_limited_by_it(tmp_path: Path) -> None:
    """The kernel names a path of the host, which is not there."""
    files = {"cpu.max": "200000 100000", "memory.max": str(2 * GIB), "memory.current": str(GIB), "memory.stat": ""}
    inside = capacity(tmp_path, "0::/docker/0123\n", files)
    assert (inside.cores(), inside.memory_bytes(), inside.available_bytes()) == (2.0, 2 * GIB, GIB)


def test_the_smallest_memory_limit_counts_and_cache_can_be_had_back(tmp_path: Path) -> None:
    files = {
        "a/memory.max": str(8 * GIB),
        "a/memory.current": str(7 * GIB),
        "a/memory.stat": f"anon 1\ninactive_file {GIB}",
        "a/b/memory.max": str(4 * GIB),
        "a/b/memory.current": str(GIB),
        "a/b/memory.stat": "inactive_file 0",
    }
    group = capacity(tmp_path, V2, files)
    assert group.memory_bytes() == 4 * GIB
    assert group.available_bytes() == 2 * GIB  # 8 - (7 - 1) of the group above, which is shared with others


def test_a_memory_limit_of_version_1_counts_and_its_largest_number_is_none(tmp_path: Path) -> None:
    files = {
        "memory/memory.limit_in_bytes": "9223372036854771712",
        "memory/memory.usage_in_bytes": str(9 * GIB),
        "memory/a/b/memory.limit_in_bytes": str(3 * GIB),
        "memory/a/b/memory.usage_in_bytes": str(2 * GIB),
        "memory/a/b/memory.stat": f"inactive_file 5\ntotal_inactive_file {GIB}",
    }
    group = capacity(tmp_path, V1, files)
    assert (group.memory_bytes(), group.available_bytes()) == (3 * GIB, 2 * GIB)


def test_what_is_full_leaves_nothing(tmp_path: Path) -> None:
    files = {"memory.max": str(GIB), "memory.current": str(2 * GIB), "memory.stat": ""}
    assert capacity(tmp_path, "0::/\n", files).available_bytes() == 0


def test_this_machine_has_something() -> None:
    here = Capacity()
    assert 0 < here.cores() <= os.cpu_count()  # type: ignore[operator]
    assert 0 < here.available_bytes() <= here.memory_bytes()
