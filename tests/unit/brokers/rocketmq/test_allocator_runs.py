"""The table of allocators from run directories: what the result holds, and how long moved queues had no owner."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.history_builder import HistoryBuilder, facts

from harness.brokers.rocketmq.allocator_runs import MeasuredRow, main, measured_table, pauses, read_run
from harness.errors import ExitCode, UsageError
from harness.history.read import History

MS = 1_000_000


def a_history() -> History:
    builder = HistoryBuilder(facts(partitions=3, group={}, membership_changes=2))
    builder.event(0, "phase", phase="faults")
    builder.event(1, "assign", worker="c0", incarnation=1, partitions=[0, 1, 2], start=[0, 0, 0])
    builder.event(100, "revoke", worker="c0", incarnation=1, partitions=[1], start=[-1])
    builder.event(130, "assign", worker="c1", incarnation=1, partitions=[1], start=[0])  # after 30 ms
    builder.event(140, "assign", worker="c1", incarnation=1, partitions=[2], start=[0])  # while c0 has it
    builder.event(150, "revoke", worker="c0", incarnation=1, partitions=[2], start=[-1])
    builder.event(200, "revoke", worker="c0", incarnation=1, partitions=[0], start=[-1])
    builder.event(260, "assign", worker="c0", incarnation=1, partitions=[0], start=[0])  # no move: it is c0's again
    builder.event(300, "phase", phase="drain")
    builder.event(310, "revoke", worker="c1", incarnation=1, partitions=[1], start=[-1])
    builder.event(390, "assign", worker="c0", incarnation=1, partitions=[1], start=[0])  # after the timeline
    builder.lines(["c0.1 400 poll 1 1", "c1.1 400 poll 1 1"])
    return builder.history()


def test_a_move_s_pause_is_the_time_without_an_owner_in_the_timeline() -> None:
    assert sorted(pauses(a_history())) == [0, 30 * MS]


def a_run(folder: Path, **result: object) -> Path:
    measures = {
        "rebalances": {"skew": 3, "moves": 7, "moves_total": 12, "count": 2, "unfinished": 1},
        "order": {"inversions": 6},
        "ownership": {"dual_ns": 0, "unowned_ns": 2_000 * MS},
        "duplicates": {"redelivered": 4},
    }
    checks = [{"check": check, "measures": found} for check, found in measures.items()]
    content = {"checks": checks, "variant": {"workload.consumer.allocator": "circle"}, "verdict": "pass"} | result
    (folder / "result.json").write_text(json.dumps(content), encoding="utf-8")
    (folder / "plan.json").write_text(json.dumps({"workload": {"consumer": {"allocator": "averagely"}}}))
    return folder


def test_a_run_gives_a_row(tmp_path: Path) -> None:
    row = read_run(a_run(tmp_path), lambda _: a_history())
    assert (row.name, row.skew, row.moved, row.moved_most) == ("circle", 3, 6.0, 7)
    assert measured_table([row]).splitlines()[2] == "| `circle` | 1 | 3 | 6.0 | 7 | 15ms | 30ms | 4 | 6 | 0 | 2s |"


def test_members_that_never_came_to_rest_have_no_skew(tmp_path: Path) -> None:
    content = json.loads((a_run(tmp_path) / "result.json").read_text(encoding="utf-8"))
    content["checks"][0]["measures"] |= {"skew": 0, "count": 1, "unfinished": 1}
    row = read_run(a_run(tmp_path, checks=content["checks"]), lambda _: a_history())
    assert row.skew is None
    assert measured_table([row]).splitlines()[2].startswith("| `circle` | 1 | – |")


def test_a_run_of_one_allocator_alone_has_its_name_from_the_plan(tmp_path: Path) -> None:
    assert read_run(a_run(tmp_path, variant={}), lambda _: a_history()).name == "averagely"


def test_a_directory_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not say what an allocator did"):
        read_run(tmp_path)
    with pytest.raises(UsageError, match="rebalances"):
        read_run(a_run(tmp_path, checks=[]))


def test_a_run_in_which_nothing_moved_has_no_pauses() -> None:
    row = MeasuredRow(
        name="circle",
        skew=0,
        moved=0.0,
        moved_most=0,
        pauses_ns=(),
        redelivered=0,
        inversions=0,
        dual_ns=0,
        unowned_ns=0,
    )
    assert "| 0 | 0 | 0 |" in measured_table([row])


def test_runs_of_one_allocator_are_one_row_with_the_worst_of_them() -> None:
    def row(name: str, **fields: Any) -> MeasuredRow:
        given: dict[str, Any] = {
            "skew": 1,
            "moved": 2.0,
            "moved_most": 3,
            "pauses_ns": (10 * MS,),
            "redelivered": 5,
            "inversions": 0,
            "dual_ns": 0,
            "unowned_ns": 0,
        }
        return MeasuredRow(name=name, **(given | fields))

    worse = {"moved": 5.0, "moved_most": 9, "inversions": 17, "dual_ns": 700 * MS, "unowned_ns": 2_000 * MS}
    runs = [
        row("circle", redelivered=8),
        row("averagely"),
        row("circle", skew=None, pauses_ns=()),
        row("circle", skew=2, pauses_ns=(20 * MS, 90 * MS), redelivered=100, **worse),
    ]
    assert measured_table(runs).splitlines()[2:] == [
        "| `circle` | 3 | 2 | 3.0 | 9 | 20ms | 90ms | 8 | 17 | 700ms | 2s |",
        "| `averagely` | 1 | 1 | 2.0 | 3 | 10ms | 10ms | 5 | 0 | 0 | 0 |",
    ]


def test_a_run_that_has_nothing_to_show_costs_the_others_no_row(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), str(a_run(tmp_path))], lambda _: a_history()) == ExitCode.USAGE
    told = capsys.readouterr()
    assert "`circle`" in told.out
    assert "does not say what an allocator did" in told.err
