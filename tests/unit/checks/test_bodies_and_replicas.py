"""What the log's check hears of bodies that were altered and of replicas that differ, over histories of a few lines."""

from __future__ import annotations

import pytest
from support.history_builder import HistoryBuilder, facts

from harness.checks.analysis.bodies import corrupted
from harness.checks.analysis.replicas import compare, diverged
from harness.checks.base import CHECKS
from harness.history.index import PHANTOM
from harness.history.read import History
from harness.verdict import Verdict

SENT = """
    p0.1 10 send 0/0 p0
    p0.1 11 ok 0/0 @0
    p0.1 20 send 0/1 p0
    p0.1 21 ok 0/1 @1
    p0.1 30 send 0/2 p0
    p0.1 31 ok 0/2 @2
"""


def history(lines: str, **given: object) -> History:
    """Return a history of these lines."""
    return HistoryBuilder(facts(**given)).lines(lines.splitlines()).history()


def got(*lines: str) -> History:
    """Return what was sent, and these deliveries of it."""
    return history(SENT + "\n".join(lines))


INTACT = ["c0.1 12 got 0/0 p0 @0 intact", "c0.1 22 got 0/1 p0 @1 intact", "c0.1 32 got 0/2 p0 @2 intact"]


def verdicts(judged: History) -> dict[str, Verdict]:
    """Return the verdicts of the checks that look at messages."""
    return {
        name: CHECKS.get(name).judge(judged, CHECKS.get(name).limits()).verdict
        for name in ("phantoms", "duplicates", "order")
    }


def test_intact_bodies_are_no_finding() -> None:
    part = corrupted(got(*INTACT))
    assert (part.measured["corrupted_max"].possible, part.findings, part.reasons) == (0, (), ())
    assert part.measures["bodies_verified"] == 3


def test_bodies_that_nobody_verified_are_told() -> None:
    part = corrupted(got(*(line.removesuffix(" intact") for line in INTACT)))
    assert part.findings == ()
    assert "no body was verified" in part.reasons[0]
    part = corrupted(got(INTACT[0], INTACT[1].removesuffix(" intact")))
    assert "1 message delivered or stored were not verified" in part.reasons[0]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("c0.1 22 got 0/1 p0 @1 corrupted", "first key 0 seq 1, delivered at offset 1"),
        ("c0.1 22 got ? p0 @1 corrupted", "the body names no message"),
        ("c0.1 22 got 0/2 p0 @1 corrupted", "the body says that it is key 0 seq 2"),
        ("c0.1 22 got 7/70 p0 @1 corrupted", "the body says that it is key 7 seq 70"),
    ],
    ids=["the padding", "beyond reading", "into another message's name", "into a name that nobody sent"],
)
def test_an_altered_body_is_the_message_that_was_sent_there(line: str, says: str) -> None:
    judged = got(INTACT[0], line, INTACT[2])
    part = corrupted(judged)
    assert part.measured["corrupted_max"].proven == 1
    (finding,) = part.findings
    assert (finding.type, finding.amount) == ("corrupted", 1)
    assert says in finding.message
    assert [(found.kind, found.offset) for found in finding.operations] == [("send", 1), ("delivered", 1)]
    assert finding.operations[0].seq == 1
    # It is told once: neither a phantom nor a copy of the message that it calls itself, nor out of order.
    assert set(verdicts(judged).values()) == {Verdict.PASS}
    assert judged.index.first_delivery.tolist() == [0, 1, 2]


def test_stored_and_delivered_of_one_message_count_once() -> None:
    part = corrupted(
        got("c0.1 22 got 0/1 p0 @1 corrupted", "c1.1 40 got 0/1 p0 @1 corrupted", "audit.1 90 stored ? p0 @1 corrupted")
    )
    (finding,) = part.findings
    assert finding.amount == 1
    assert "1 times stored, 2 times delivered" in finding.message
    assert [found.kind for found in finding.operations] == ["send", "stored", "delivered", "delivered"]


def test_a_body_of_nobody_at_a_place_that_was_never_told_is_a_phantom_and_no_corruption() -> None:
    judged = got(*INTACT, "c0.1 40 got ? p0 @3 corrupted")
    assert corrupted(judged).findings == ()
    assert verdicts(judged)["phantoms"] is Verdict.FAIL


def test_a_body_of_ours_at_a_place_that_was_never_told_is_corrupted_and_no_phantom() -> None:
    judged = got(*INTACT, "c0.1 40 got 7/70 p0 @3 corrupted")
    (finding,) = corrupted(judged).findings
    assert "one that cannot be named" in finding.message
    assert verdicts(judged)["phantoms"] is Verdict.PASS


def test_messages_that_cannot_be_named_count_by_their_places() -> None:
    judged = got(*INTACT, "c0.1 40 got 7/70 p0 @3 corrupted", "c0.1 41 got 7/70 p0 @4 corrupted")
    assert corrupted(judged).measured["corrupted_max"].proven == 2
    judged = got(*INTACT, "c0.1 40 got 7/70 p0 @3 corrupted", "c0.1 41 got 7/70 p0 @3 corrupted")
    assert corrupted(judged).measured["corrupted_max"].proven == 1


def test_a_name_that_lies_elsewhere_is_not_believed() -> None:
    judged = got(*INTACT, "c0.1 40 got 0/0 p0 @5 corrupted")
    assert judged.index.deliveries.value.tolist() == [0, 1, 2, PHANTOM]
    assert corrupted(judged).measured["corrupted_max"].proven == 1
    assert set(verdicts(judged).values()) == {Verdict.PASS}


def test_a_place_that_was_named_to_two_messages_names_neither() -> None:
    judged = history(
        """
        p0.1 10 send 0/0 p0
        p0.1 11 ok 0/0 @0
        p0.1 20 send 0/1 p0
        p0.1 21 ok 0/1 @0
        c0.1 22 got ? p0 @0 corrupted
        """
    )
    assert judged.index.deliveries.value.tolist() == [PHANTOM]


def test_a_name_whose_send_failed_is_not_believed() -> None:
    judged = history(
        """
        p0.1 10 send 0/0 p0
        p0.1 11 ok 0/0 @0
        p0.1 20 send 0/1 p0
        p0.1 21 fail 0/1
        c0.1 22 got 0/1 p0 @5 corrupted
        """
    )
    assert corrupted(judged).measured["corrupted_max"].proven == 1
    assert verdicts(judged)["phantoms"] is Verdict.PASS


def test_a_place_that_is_not_known_leaves_the_bodys_word() -> None:
    judged = got(INTACT[0], "c0.1 22 got 0/1 p0 @-1 corrupted", INTACT[2])
    assert judged.index.first_delivery.tolist() == [0, 1, 2]
    assert corrupted(judged).measured["corrupted_max"].proven == 1


def test_a_dead_letter_is_a_message_of_ours_whatever_its_body_says() -> None:
    judged = got(*INTACT, "audit.1 90 dead ? p0 @0 corrupted")
    (finding,) = corrupted(judged).findings
    assert "1 times a dead letter" in finding.message
    assert corrupted(got(*INTACT, "audit.1 90 dead 0/1 p0 @0 intact")).findings == ()


STORED = """
    audit.1 90 stored 0/0 p0 @0 intact
    audit.1 90 stored 0/1 p0 @1 intact
    audit.1 90 stored 0/2 p0 @2 intact
"""
NODES = ["n1", "n2", "n3"]


def replica(node: str, *, end: int, messages: int, first: int = 0, read: str = "complete", partition: int = 0) -> str:
    """Return the line of a replica's event."""
    return (
        f"- 95 replica partition={partition} node={node} in_sync=true read={read} first_offset={first} "
        f"end_offset={end} messages={messages} detail={node}-says"
    )


def authority(*, last: int = 2, first: int = 0, audit: str = "complete", partition: int = 0) -> str:
    """Return the line of the audit's event."""
    return (
        f"- 94 authority partition={partition} exists=true first_offset={first} last_offset={last} audit={audit} "
        "detail=the-leader-says"
    )


def compared(*lines: str, stored: str = STORED) -> History:
    """Return what was sent and stored, and these lines."""
    return history(SENT + stored + "\n".join(lines), nodes=NODES)


def holds(node: int, *values: str, start: int = 0) -> list[str]:
    """Return the records of what a node holds; ``-`` is nothing."""
    return [
        f"audit.1 92 replica {value} p0 @{start + place} n{node} intact"
        for place, value in enumerate(values)
        if value != "-"
    ]


def test_equal_replicas_are_told_and_no_finding() -> None:
    both = [*holds(2, "0/0", "0/1", "0/2"), *holds(3, "0/0", "0/1", "0/2")]
    events = [authority(), replica("n2", end=3, messages=3), replica("n3", end=3, messages=3)]
    part = diverged(compared(*both, *events))
    assert (part.measured["diverged_max"].proven, part.findings) == (0, ())
    assert part.measures == {"diverged": 0, "replica_offsets": 6, "replicas_read": 2}
    assert part.reasons == ("the audit read the logs of replicas, too, each to its own end: n2, n3",)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (("0/0", "0/2", "0/2"), "the audit read key 0 seq 1 and n3 holds key 0 seq 2"),
        (("0/0", "-", "0/2"), "the audit read key 0 seq 1 and n3 holds nothing"),
        (("0/0", "?", "0/2"), "the audit read key 0 seq 1 and n3 holds a message that names none"),
    ],
    ids=["another message", "a hole", "something unreadable"],
)
def test_a_replica_that_holds_something_else_diverged(values: tuple[str, ...], says: str) -> None:
    lines = holds(3, *values)
    part = diverged(compared(*lines, authority(), replica("n3", end=3, messages=len(lines))))
    assert part.measured["diverged_max"].proven == 1
    (finding,) = part.findings
    assert (finding.type, finding.amount, finding.partition) == ("diverged", 1, 0)
    assert says in finding.message
    assert {found.offset for found in finding.operations} == {1}
    assert finding.operations[0].kind == "stored"


def test_what_the_replica_holds_and_the_audit_did_not_find_diverged() -> None:
    stored = STORED.replace("    audit.1 90 stored 0/1 p0 @1 intact\n", "")
    part = diverged(
        compared(*holds(2, "0/0", "0/1", "0/2"), authority(), replica("n2", end=3, messages=3), stored=stored)
    )
    (finding,) = part.findings
    assert "the audit read nothing and n2 holds key 0 seq 1" in finding.message
    assert [found.kind for found in finding.operations] == ["replica"]


def test_an_altered_body_on_a_replica_diverged() -> None:
    lines = holds(2, "0/0", "0/1", "0/2")
    lines[1] = lines[1].replace("intact", "corrupted")
    part = diverged(compared(*lines, authority(), replica("n2", end=3, messages=3)))
    assert "n2 holds key 0 seq 1, its body altered" in part.findings[0].message


def test_a_replica_that_lags_did_not_diverge() -> None:
    part = diverged(compared(*holds(2, "0/0", "0/1"), authority(), replica("n2", end=2, messages=2)))
    assert part.findings == ()
    assert part.measures["replica_offsets"] == 2


def test_a_replica_that_begins_later_or_ends_later_did_not_diverge() -> None:
    lines = [*holds(2, "0/1", "0/2", "0/3", start=1)]
    part = diverged(compared(*lines, authority(), replica("n2", first=1, end=4, messages=3)))
    assert part.findings == ()
    assert part.measures["replica_offsets"] == 2


def test_what_the_audit_did_not_read_at_the_beginning_is_not_compared() -> None:
    stored = STORED.replace("    audit.1 90 stored 0/0 p0 @0 intact\n", "")
    lines = holds(2, "0/0", "0/1", "0/2")
    part = diverged(compared(*lines, authority(first=1), replica("n2", end=3, messages=3), stored=stored))
    assert part.findings == ()
    assert part.measures["replica_offsets"] == 2


def test_the_same_message_of_another_partition_is_another_one() -> None:
    lines = """
        p0.1 10 send 0/0 p0
        audit.1 90 stored 0/0 p0 @1
        audit.1 92 replica 0/0 p1 @1 n2
    """
    events = [authority(first=1, last=1, partition=-1), replica("n2", first=1, end=2, messages=1, partition=-1)]
    judged = history(lines + "\n".join(events), nodes=NODES, partitions=2)
    assert compare(judged).divergences.offset.tolist() == [1]


def test_holes_on_both_sides_are_no_divergence() -> None:
    stored = STORED.replace("    audit.1 90 stored 0/1 p0 @1 intact\n", "")
    part = diverged(
        compared(*holds(2, "0/0", "-", "0/2"), authority(), replica("n2", end=3, messages=2), stored=stored)
    )
    assert part.findings == ()


def test_where_the_broker_removes_messages_a_hole_proves_nothing_and_another_message_does() -> None:
    judged = compared(*holds(2, "0/0", "-", "0/1"), authority(), replica("n2", end=3, messages=2))
    assert diverged(judged).measured["diverged_max"].proven == 2
    part = diverged(judged, removes=True)
    assert part.measured["diverged_max"].proven == 1
    assert "first offset 2" in part.findings[0].message


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([authority(), replica("n2", end=-1, first=-1, messages=0, read="none")], "n2-says"),
        ([authority(audit="none"), replica("n2", end=3, messages=0)], "the leader's log was not read"),
        ([replica("n2", end=3, messages=0)], "the leader's log was not read"),
        ([authority(), replica("n2", end=3, messages=3)], "3 of its records are not in the history"),
        ([authority(), replica("n9", end=3, messages=0)], "the facts do not name this node"),
    ],
    ids=["unread", "leader unread", "no word of the leader", "records cut off", "unknown node"],
)
def test_what_was_not_read_is_told_and_proves_nothing(lines: list[str], why: str) -> None:
    part = diverged(compared(*lines))
    assert part.findings == ()
    assert part.measures["replicas_read"] == 0
    assert why in part.reasons[0]
    assert "n" in part.reasons[0].partition(" was not compared")[0]


def test_of_a_partial_audit_what_it_read_is_compared() -> None:
    stored = "\n".join(STORED.splitlines()[:-1]) + "\n"  # it ended behind offset 1
    found = compare(
        compared(
            *holds(2, "0/0", "0/2", "0/2"),
            authority(audit="partial", last=-1, first=-1),
            replica("n2", end=3, messages=3),
            stored=stored,
        )
    )
    assert found.divergences.offset.tolist() == [1]
    assert "the-leader-says" in found.unread[0]


def test_one_log_of_all_partitions_is_compared_as_one() -> None:
    lines = """
        p0.1 10 send 0/0 p0
        p0.1 10 send 1/0 p1
        audit.1 90 stored 0/0 p0 @1
        audit.1 90 stored 1/0 p1 @2
        audit.1 92 replica 1/0 p1 @1 n2
        audit.1 92 replica 0/0 p0 @2 n2
    """
    judged = history(
        lines + "\n".join([authority(first=1, partition=-1), replica("n2", first=1, end=3, messages=2, partition=-1)]),
        nodes=NODES,
        partitions=2,
    )
    assert compare(judged).divergences.offset.tolist() == [1, 2]
