"""The cost book: the last measurement of each plan, from several processes, whatever becomes of its file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect

import pytest
from support.in_memory import memory_plan
from support.suite_costs import MIB, S, cost

from harness.result import Usage
from harness.suites.cost import CostBook, GivenCosts, book_path, cost_key, formula

PLAN = memory_plan().plan
PARTS = {"nodes": 4 * S, "toxiproxy": 1 * S, "workers": 3 * S, "monitor": S // 2, "harness": 3 * S // 2}
USAGE = Usage(cpu_ns=PARTS, memory_peak_bytes=700 * MIB, wall_ns=20 * S, machine_cores=2.0)
CORES = round(10 * S / formula(PLAN, "process").wall_ns, 3)
"""CPU time over the time that it takes undisturbed, which is less than 20 s."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a book will lie."""
    return tmp_path / "state" / "costs.sqlite3"


def test_without_a_measurement_the_formula_says_it_and_no_file_is_made(path: Path) -> None:
    book = CostBook.open(path)
    assert book.cost(PLAN, "process") == formula(PLAN, "process")
    assert not path.parent.exists()


def test_the_last_measurement_of_a_plan_in_a_runtime_is_its_cost(path: Path) -> None:
    CostBook.open(path).record(PLAN, "process", replace(USAGE, wall_ns=40 * S))
    CostBook.open(path).record(PLAN, "process", USAGE)
    found = CostBook.open(path).cost(PLAN, "process")
    expected = formula(PLAN, "process")
    assert found == replace(expected, cores=CORES, memory_bytes=700 * MIB, wall_ns=20 * S, source="recorded")
    assert CostBook.open(path).cost(PLAN, "docker") == formula(PLAN, "docker")


def test_of_auto_the_larger_of_both_runtimes_counts(path: Path) -> None:
    book = CostBook.open(path)
    book.record(PLAN, "process", USAGE)
    assert book.cost(PLAN, "auto").cores == CORES
    book.record(PLAN, "docker", replace(USAGE, cpu_ns=PARTS | {"nodes": 8 * S}))
    assert book.cost(PLAN, "auto").cores == book.cost(PLAN, "docker").cores > CORES
    assert book.cost(PLAN, "process").cores == CORES


def test_a_run_that_others_held_up_is_not_lighter_for_that(path: Path) -> None:
    """It took longer for the same CPU time; were it taken for lighter, more would run next to it each time."""
    book = CostBook.open(path)
    book.record(PLAN, "process", replace(USAGE, wall_ns=300 * S))
    assert book.cost(PLAN, "process").cores == CORES
    assert book.cost(PLAN, "process").wall_ns == 300 * S


def test_a_run_uses_no_more_than_there_is(path: Path) -> None:
    book = CostBook.open(path)
    book.record(PLAN, "process", replace(USAGE, cpu_ns=PARTS | {"nodes": 900 * S}))
    assert book.cost(PLAN, "process").cores == USAGE.machine_cores


def test_words_and_seeds_share_a_measurement(path: Path) -> None:
    book = CostBook.open(path)
    book.record(PLAN, "process", USAGE)
    assert book.cost(replace(PLAN, seed=99, title="Another", digest="x"), "process").source == "recorded"
    assert book.cost(replace(PLAN, broker="other-1"), "process").source == "formula"


@pytest.mark.parametrize(
    "usage",
    [
        replace(USAGE, wall_ns=1),
        replace(USAGE, wall_ns=1_499_999_999),  # its warm-up and timeline take 1.5 s
        replace(USAGE, cpu_ns={}),
        replace(USAGE, cpu_ns={name: used for name, used in PARTS.items() if name != "nodes"}),
        replace(USAGE, cpu_ns={name: used for name, used in PARTS.items() if name != "workers"}),
    ],
)
def test_a_run_that_broke_off_or_was_not_measured_is_no_measurement(usage: Usage, path: Path) -> None:
    book = CostBook.open(path)
    book.record(PLAN, "process", usage)
    assert book.cost(PLAN, "process").source == "formula"


def test_a_measurement_is_never_nothing(path: Path) -> None:
    book = CostBook.open(path)
    book.record(
        PLAN, "process", replace(USAGE, cpu_ns=dict.fromkeys(PARTS, 0), memory_peak_bytes=0, wall_ns=1_500_000_000)
    )
    found, expected = book.cost(PLAN, "process"), formula(PLAN, "process")
    assert found.source == "recorded"
    assert found.cores >= expected.cores / 4 - 0.001
    assert found.memory_bytes >= expected.memory_bytes // 4
    assert found.wall_ns >= expected.wall_ns // 4


def test_what_is_given_takes_precedence(path: Path) -> None:
    CostBook.open(path).record(PLAN, "process", USAGE)
    given = GivenCosts(costs={(cost_key(PLAN), "process"): cost(3, 0.25)})
    book = CostBook.open(path, given)
    assert book.cost(PLAN, "process") == cost(3, 0.25)
    assert book.cost(PLAN, "docker").source == "formula"


DAMAGES = {
    "no database": b"this is no database, and long enough to be taken for a header of one" * 40,
    "cut short": b"SQLite format 3\0" + b"\x10",
    "another database": None,
    "a later version": None,
    "senseless": None,
}


def _damage(path: Path, how: str) -> None:
    CostBook.open(path).record(PLAN, "process", USAGE)
    content = DAMAGES[how]
    if content is not None:
        path.write_bytes(content)
        return
    with closing(connect(path)) as book, book:
        if how == "another database":
            book.execute("DROP TABLE cost")
            book.execute("CREATE TABLE songs (title TEXT)")
            book.execute("PRAGMA user_version = 0")
        elif how == "a later version":
            book.execute("PRAGMA user_version = 99")
        else:
            book.execute("UPDATE cost SET cores = 'many', wall_ns = -5")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_book_is_set_aside_with_a_note_and_a_new_one_begun(how: str, path: Path) -> None:
    _damage(path, how)
    book = CostBook.open(path)
    (note,) = book.notes
    assert book.cost(PLAN, "process") == formula(PLAN, "process")
    (kept,) = path.parent.glob("costs.sqlite3.damaged-*")
    assert str(kept) in note
    assert not path.exists()
    book.record(PLAN, "process", USAGE)
    assert CostBook.open(path).cost(PLAN, "process").source == "recorded"
    assert len(book.notes) == 1


@pytest.mark.parametrize("how", DAMAGES)
def test_recording_into_a_damaged_book_begins_a_new_one_at_once(how: str, path: Path) -> None:
    _damage(path, how)
    book = CostBook.open(path)
    book.record(PLAN, "process", USAGE)
    assert len(book.notes) == 1
    assert CostBook.open(path).cost(PLAN, "process").source == "recorded"


def test_a_book_that_cannot_be_made_costs_a_note_and_no_run(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    book = CostBook.open(tmp_path / "file" / "costs.sqlite3")
    book.record(PLAN, "process", USAGE)
    book.record(PLAN, "process", USAGE)
    assert book.cost(PLAN, "process").source == "formula"
    (note,) = book.notes
    assert "cannot be used" in note


def test_a_folder_in_its_place_costs_a_note_and_no_run(path: Path) -> None:
    path.mkdir(parents=True)
    book = CostBook.open(path)
    assert book.cost(PLAN, "process").source == "formula"
    assert len(book.notes) == 1


WRITER = """
    import sys
    from dataclasses import replace
    from pathlib import Path
    sys.path.insert(0, {tests!r})
    from harness.result import Usage
    from harness.suites.cost import CostBook
    from support.in_memory import memory_plan

    plan = memory_plan().plan
    book = CostBook.open(Path({path!r}))
    for number in range(20):
        usage = Usage(cpu_ns={parts!r}, memory_peak_bytes=1 << 29, wall_ns=20 * 10**9, machine_cores=2.0)
        book.record(replace(plan, broker=f"b{{{writer}}}-{{number}}"), "process", usage)
    assert not book.notes, book.notes
"""


def test_several_processes_lose_nothing_of_each_other(path: Path) -> None:
    tests = str(Path(__file__).parents[2])
    writers = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                textwrap.dedent(WRITER.format(tests=tests, path=str(path), parts=PARTS, writer=writer)),
            ]
        )
        for writer in range(3)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    book = CostBook.open(path)
    for writer in range(3):
        for number in range(20):
            assert book.cost(replace(PLAN, broker=f"b{writer}-{number}"), "process").source == "recorded"


def test_several_processes_set_a_damaged_book_aside_once(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no database" * 1000)
    first, second = CostBook.open(path), CostBook.open(path)
    first.record(PLAN, "process", USAGE)
    second.record(PLAN, "docker", USAGE)
    assert len(list(path.parent.glob("*.damaged-*"))) == 1
    assert CostBook.open(path).cost(PLAN, "process").source == "recorded"
    assert second.notes == []


def test_the_book_lies_in_the_users_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    assert book_path() == tmp_path / "costs.sqlite3"
