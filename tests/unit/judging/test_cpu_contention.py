"""How long this machine's tasks waited for a CPU.

The kernel says it; reports show it where limits on time may have suffered from it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.history_builder import HistoryBuilder
from support.in_memory import memory_plan

from harness.judging.weaknesses import _machine, machine_trouble
from harness.workload.monitor import short_of_cpu_ns


def test_the_kernels_microseconds_are_read(tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    file.write_text(
        "some avg10=95.96 avg60=93.61 avg300=85.73 total=8964582230\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
        encoding="ascii",
    )
    assert short_of_cpu_ns(file) == 8_964_582_230_000


@pytest.mark.parametrize("text", ["", "some avg10=1.00\n", "nothing of the kind\n"])
def test_what_is_laid_out_otherwise_tells_nothing(text: str, tmp_path: Path) -> None:
    file = tmp_path / "cpu"
    file.write_text(text, encoding="ascii")
    assert short_of_cpu_ns(file) is None
    assert short_of_cpu_ns(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("short", "told"),
    [(69, []), (70, ["CPU contention on this machine: for 70% of the run some process waited for a CPU"])],
)
def test_a_report_notes_it_from_70_percent_of_the_time_on(short: int, told: list[str]) -> None:
    builder = HistoryBuilder().lines([f"- 95 machine short_ns={short} of_ns=100"])
    assert list(_machine(machine_trouble(memory_plan().plan, builder.history()))) == told
