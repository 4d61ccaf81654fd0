"""Points in time become spans: faults, outages, leaders, stalls of the machine."""

from __future__ import annotations

from support.history_builder import MS, HistoryBuilder, facts

from harness.history.spans import Outage, Span


def test_an_outage_lasts_from_the_first_failed_round_trip_to_the_next_good_answer() -> None:
    history = (
        HistoryBuilder()
        .lines(
            [
                "monitor.1 10 probe a->n1 ok 5",
                "monitor.1 60 probe a->n1 fail 40",
                "monitor.1 110 probe a->n1 fail 40",
                "monitor.1 130 probe a->n1 ok 5",
                "monitor.1 135 probe b->n1 ok 5",
                "monitor.1 200 probe a->n1 fail 40",
                "monitor.1 300 tick 100",
            ]
        )
        .history()
    )
    assert history.outages == (
        Outage(target="a->n1", start_ns=20 * MS, end_ns=130 * MS),
        Outage(target="a->n1", start_ns=160 * MS, end_ns=300 * MS),
    )


def test_one_late_answer_alone_is_told_apart() -> None:
    history = (
        HistoryBuilder()
        .lines(
            [
                "monitor.1 1100 probe a->n1 silent 1000",
                "monitor.1 1200 probe a->n1 ok 5",
                "monitor.1 2300 probe a->n1 silent 1000",
                "monitor.1 3300 probe a->n1 silent 900",
                "monitor.1 3400 probe a->n1 ok 5",
                "monitor.1 4400 probe a->n1 silent 1000",
                # The next one was held up as well.
                "monitor.1 4900 probe a->n1 ok 450",
                "monitor.1 6000 probe a->n1 silent 1000",
            ]
        )
        .history()
    )
    assert [(outage.start_ns // MS, outage.end_ns // MS, outage.lone) for outage in history.outages] == [
        (100, 1200, True),
        (1300, 3400, False),
        (3400, 4900, False),
        # Nothing came after it: it is not known that it was alone.
        (5000, 6000, False),
    ]


def test_leaders_are_known_from_one_observation_to_the_next() -> None:
    builder = HistoryBuilder(facts(partitions=2)).lines(
        [
            "- 0 leader partition=-1 leader=n1",
            "- 5 leader partition=0 leader=n1",
            '- 10 leader partition=0 leader=""',
            "- 20 leader partition=0 leader=n2",
            "- 30 phase phase=end",
        ]
    )
    spans = [
        (span.partition, span.leader, span.start_ns // MS, span.end_ns // MS) for span in builder.history().leaders()
    ]
    assert spans == [(0, "n1", 0, 10), (1, "n1", 0, 30), (0, "", 10, 20), (0, "n2", 20, 30)]


def test_only_what_a_tick_came_late_by_is_a_stall_of_the_machine() -> None:
    history = (
        HistoryBuilder().lines(["monitor.1 100 tick 100", "monitor.1 249 tick 149", "monitor.1 600 tick 351"]).history()
    )
    assert history.machine_stalls() == (Span(349 * MS, 600 * MS),)


def test_a_fault_window_runs_from_apply_to_healed_with_targets_as_resolved() -> None:
    history = (
        HistoryBuilder()
        .lines(
            [
                "- 5 fault fault=kill-1 fault_kind=kill action=apply targets=[]",
                '- 6 fault fault=kill-1 fault_kind=kill action=applied targets=["n2"] nodes=["n2"]',
                "- 7 fault fault=stall-2 fault_kind=stall action=apply",
                "- 9 fault fault=kill-1 fault_kind=kill action=healed",
                "- 9 fault fault=never-3 fault_kind=kill action=failed",
            ]
        )
        .history()
    )
    kill, stall = history.fault_windows
    assert (kill.id, kill.takes_node_down, kill.start_ns, kill.end_ns, kill.targets, kill.nodes) == (
        *("kill-1", True, 5 * MS, 9 * MS),
        *(("n2",), ("n2",)),
    )
    assert (stall.id, stall.end_ns) == ("stall-2", None)


def test_outages_and_fault_windows_are_made_once() -> None:
    history = HistoryBuilder().lines(["- 5 fault fault=kill-1 fault_kind=kill action=apply"]).history()
    assert history.fault_windows is history.fault_windows
    assert history.outages is history.outages
