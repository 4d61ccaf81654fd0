"""The budget of a machine: what there is, less a reserve; what is asked for is taken, within what there is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest

from harness.errors import UsageError
from harness.runtime.kernel import ports
from harness.runtime.kernel.capacity import Capacity
from harness.suites.budget import CORES_MIN, MEMORY_MIN, machine_budget

GIB = 1 << 30


@dataclass
class Machine:
    """A machine of that size."""

    have_cores: float = 2
    total: int = 16 * GIB
    available: int = 12 * GIB

    def cores(self) -> float:
        """Return its CPUs."""
        return self.have_cores

    def memory_bytes(self) -> int:
        """Return its memory."""
        return self.total

    def available_bytes(self) -> int:
        """Return what of it is available."""
        return self.available


def of(machine: Machine) -> Capacity:
    """Return a machine as what the budget asks."""
    return cast("Capacity", machine)


def test_a_reserve_is_kept_of_everything(tmp_path: Path) -> None:
    found = machine_budget(None, None, tmp_path, of(Machine()))
    assert found.cores == 1.9
    assert found.memory_bytes == 12 * GIB - round(16 * GIB * 0.05)
    assert found.ports < ports.drawable()
    assert found.disk_bytes >= 0
    assert found.notes == ()


def test_a_small_machine_still_has_something(tmp_path: Path) -> None:
    found = machine_budget(None, None, tmp_path, of(Machine(0.1, 200 << 20, 100 << 20)))
    assert (found.cores, found.memory_bytes) == (CORES_MIN, MEMORY_MIN)


def test_what_is_asked_for_is_taken_as_it_is(tmp_path: Path) -> None:
    found = machine_budget(2, 8 * GIB, tmp_path, of(Machine()))
    assert (found.cores, found.memory_bytes, found.notes) == (2, 8 * GIB, ())


def test_memory_that_others_use_just_now_may_be_asked_for_with_a_note(tmp_path: Path) -> None:
    found = machine_budget(None, 14 * GIB, tmp_path, of(Machine()))
    assert found.memory_bytes == 14 * GIB
    assert found.notes == ("of the 14GiB of memory asked for, only 12GiB are available now",)


@pytest.mark.parametrize(
    ("cores", "memory", "message"),
    [
        (2.5, None, "--cores 2.5 is more than the 2 that this process may use"),
        (0.05, None, "--cores must be at least 0.1, not 0.05"),
        (-1, None, "--cores must be at least 0.1, not -1"),
        (float("nan"), None, "--cores must be at least 0.1, not nan"),
        (None, 17 * GIB, "--memory 17GiB is more than the 16GiB that this process may use"),
        (None, 1 << 20, "--memory must be at least 64MiB, not 1MiB"),
    ],
)
def test_more_than_there_is_or_nothing_at_all_is_refused(
    cores: float | None, memory: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as refused:
        machine_budget(cores, memory, tmp_path, of(Machine()))
    assert refused.value.message == message


def test_the_folder_of_reports_need_not_exist_yet(tmp_path: Path) -> None:
    there = machine_budget(1, GIB, tmp_path, of(Machine()))
    assert machine_budget(1, GIB, tmp_path / "not" / "yet", of(Machine())).disk_bytes == pytest.approx(
        there.disk_bytes, rel=0.2
    )
