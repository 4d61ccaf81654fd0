"""A node's own disk on a real file system: what was not synced vanishes with the power, and nothing is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.required_abilities import skip_or_fail

from harness.engine.rundir import new_run_id
from harness.errors import AbilityError, StartError
from harness.runtime.kernel.disk import FILESYSTEMS, LoopDisk, require_disk
from harness.runtime.kernel.mounts import loop_devices, mounts
from harness.runtime.ledger import Ledger, sweep

MIB = 1 << 20


@pytest.fixture(params=FILESYSTEMS)
def filesystem(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    try:
        require_disk(name)
    except AbilityError as error:
        skip_or_fail("power", error.message)
    return name


@pytest.fixture
def disk(filesystem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopDisk]:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    ledger = Ledger(new_run_id(), tmp_path)
    made = LoopDisk(tmp_path / "disk.img", tmp_path / "data", filesystem, 512 * MIB, ledger)
    try:
        made.create()
        yield made
    finally:
        made.destroy()
        ledger.close()
    assert not loop_devices(made.image)


def _write(path: Path, *, synced: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(handle, b"x" * 5_000)
    if synced:
        os.fsync(handle)
    os.close(handle)


def test_what_was_synced_stays_and_the_rest_is_gone(disk: LoopDisk) -> None:
    _write(disk.point / "synced", synced=True)
    _write(disk.point / "unsynced", synced=False)
    disk.mark()
    disk.cut()
    assert disk.refuses() == "EIO"
    disk.unmount()
    disk.mount()
    assert disk.generation == 2
    assert (disk.point / "synced").stat().st_size == 5_000
    assert not (disk.point / "unsynced").exists()
    assert not disk.marked()
    assert disk.refuses() == ""


def test_a_sync_of_the_whole_keeps_everything(disk: LoopDisk) -> None:
    _write(disk.point / "unsynced", synced=False)
    disk.sync()
    disk.cut()
    disk.unmount()
    disk.mount()
    assert (disk.point / "unsynced").stat().st_size == 5_000


def test_without_a_cut_nothing_is_lost(disk: LoopDisk) -> None:
    disk.mark()
    disk.unmount()
    disk.mount()
    assert disk.marked()


def test_a_new_disk_is_empty_and_sparse(disk: LoopDisk) -> None:
    assert not list(disk.point.iterdir()), "Kafka takes every directory for a partition"
    assert disk.image.stat().st_blocks * 512 < 128 * MIB


@pytest.mark.parametrize("leave", [0, MIB, 64 * MIB])
def test_two_holders_fill_it_and_each_gives_back_its_own(disk: LoopDisk, leave: int) -> None:
    before = disk.free_bytes()
    disk.fill("a", 128 * MIB)
    disk.fill("b", leave)
    assert disk.free_bytes() <= leave + MIB
    assert not disk.takes(leave + MIB)
    disk.free("a")
    assert disk.takes(64 * MIB), "what a took is free again; what b took is not"
    assert disk.free_bytes() < before - 32 * MIB
    disk.free("b")
    disk.free("b")
    assert disk.free_bytes() >= before - MIB


def test_what_is_not_mounted_is_never_filled_nor_cut(disk: LoopDisk) -> None:
    """The directory below is this machine's."""
    disk.unmount()
    for act in (lambda: disk.fill("a", 0), disk.cut, disk.mark, disk.sync, disk.refuses, lambda: disk.takes(1)):
        with pytest.raises(StartError, match="not mounted"):
            act()
    assert not list(disk.point.iterdir())
    disk.mount()


def test_a_mount_that_is_held_is_said_to_be(disk: LoopDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, (disk.point / "open").open("w"):
        patch.setattr("harness.runtime.kernel.disk._DEADLINE_S", 0.2)
        with pytest.raises(StartError, match="cannot be unmounted"):
            disk.unmount()


def test_a_killed_run_leaves_nothing(filesystem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    image, point = tmp_path / "disk.img", tmp_path / "data"
    code = f"""
import os, signal
from pathlib import Path
from harness.runtime.kernel.disk import LoopDisk
from harness.runtime.ledger import Ledger
ledger = Ledger({new_run_id()!r}, Path({str(tmp_path)!r}))
disk = LoopDisk(Path({str(image)!r}), Path({str(point)!r}), {filesystem!r}, {512 * MIB}, ledger)
disk.create()
disk.cut()
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert loop_devices(image)
    (found,) = sweep(remove=False)
    assert f"mount {point}" in found.items
    (removed,) = sweep()
    assert not removed.left
    assert not loop_devices(image)
    assert not image.exists()
    assert all(item.point != str(point) for item in mounts())
    assert not sweep()
