"""What a member of a pull group holds: when a thread may go on with a queue, and when the queue may be let go."""

from harness.brokers.rocketmq.holdings import Holdings, Turn
from harness.brokers.rocketmq.places import Queue
from harness.clock import NS_PER_S, monotonic_ns

Q0, Q1, OTHER = Queue("n1", 0), Queue("n1", 1), Queue("n2", 0)


def held(*queues: Queue) -> tuple[Holdings, list[str]]:
    calls: list[str] = []
    holdings = Holdings(lambda: calls.append("done"))
    for queue in queues:
        holdings.add(queue, 5)
    return holdings, calls


def turn(holdings: Holdings, queue: Queue = Q0) -> Turn:
    return next(found for found in holdings.turns(queue.broker, 0) if found.queue == queue)


def test_turns_are_the_queues_of_one_broker_each_from_where_it_is() -> None:
    holdings, _ = held(Q1, Q0, OTHER)
    assert [(found.queue, found.offset) for found in holdings.turns("n1", 0)] == [(Q0, 5), (Q1, 5)]
    assert [found.queue for found in holdings.turns("n2", 0)] == [OTHER]


def test_what_was_processed_is_to_be_committed_until_the_broker_confirms_it() -> None:
    holdings, calls = held(Q0)
    now = turn(holdings)
    assert holdings.begin(now, lambda: "delivered") == "delivered"
    holdings.end(now, processed=8)
    assert calls == ["done"]
    assert holdings.uncommitted() == {Q0: 8}
    assert turn(holdings).offset == 8
    holdings.committed(Q0, 7)
    assert holdings.uncommitted() == {Q0: 8}
    holdings.committed(Q0, 8)
    assert holdings.uncommitted() == {}


def test_a_queue_that_leaves_is_free_only_once_no_thread_handles_it() -> None:
    holdings, _ = held(Q0, Q1)
    now = turn(holdings)
    holdings.begin(now, lambda: True)
    holdings.leave([Q0, Q1])
    assert holdings.free() == {Q1}
    assert not holdings.goes_on(now)
    holdings.end(now, processed=6)
    assert holdings.free() == {Q0, Q1}
    assert holdings.turns("n1", 0) == ()


def test_nothing_is_delivered_of_a_queue_that_leaves_or_was_let_go_meanwhile() -> None:
    holdings, _ = held(Q0)
    now = turn(holdings)
    holdings.leave([Q0])
    assert holdings.begin(now, lambda: True) is None
    holdings.drop([Q0])
    assert holdings.begin(now, lambda: True) is None


def test_what_was_read_in_an_earlier_holding_is_not_delivered_in_the_next() -> None:
    holdings, _ = held(Q0)
    old = turn(holdings)
    holdings.drop([Q0])
    holdings.add(Q0, 9)
    assert holdings.begin(old, lambda: True) is None
    holdings.end(old, processed=6)
    assert (turn(holdings).offset, holdings.uncommitted()) == (9, {})


def test_a_queue_that_was_to_leave_and_is_wanted_again_goes_on() -> None:
    holdings, _ = held(Q0)
    holdings.leave([Q0])
    holdings.stay([Q0])
    assert holdings.goes_on(turn(holdings))


def test_once_closed_every_queue_leaves_for_good() -> None:
    holdings, _ = held(Q0)
    holdings.close()
    holdings.stay([Q0])
    assert holdings.free() == {Q0}


def test_a_message_that_was_refused_is_read_again_and_not_before_its_time() -> None:
    holdings, _ = held(Q0)
    now = turn(holdings)
    holdings.begin(now, lambda: True)
    holdings.end(now, processed=6, again_from=6, later_ns=100)
    assert holdings.turns("n1", 99) == ()
    assert holdings.turns("n1", 100)[0].offset == 6
    assert holdings.uncommitted() == {Q0: 6}


def test_no_message_is_begun_once_the_lock_is_relied_on_no_longer() -> None:
    holdings, _ = held()
    holdings.add(Q0, 5, until_ns=monotonic_ns() + 3600 * NS_PER_S)
    now = turn(holdings)
    assert holdings.goes_on(now)
    assert holdings.expired(monotonic_ns()) == frozenset()
    holdings.rely([Q0, Q1], until_ns=1)
    assert not holdings.goes_on(now)
    assert holdings.begin(now, lambda: True) is None
    assert holdings.turns("n1", 1) == ()
    assert holdings.expired(monotonic_ns()) == {Q0}


def test_a_position_that_is_doubted_is_to_be_committed_again() -> None:
    holdings, _ = held(Q0, Q1)
    now = turn(holdings)
    holdings.begin(now, lambda: True)
    holdings.end(now, processed=8)
    holdings.committed(Q0, 8)
    holdings.doubt()
    assert holdings.uncommitted() == {Q0: 8}
