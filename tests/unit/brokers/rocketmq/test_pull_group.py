"""A pull group in one process, on fake servers: who owns what when, what is committed, what a lost lock costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from support.rocketmq_fake import FakePuller, FakeServer, fake_cluster
from support.worker_session import made

from harness.brokers.rocketmq import pull_member
from harness.brokers.rocketmq.load_exchange import DealAge, LoadExchange
from harness.brokers.rocketmq.options import ConsumerOptions
from harness.brokers.rocketmq.places import Queue, QueuePlaces, set_names
from harness.brokers.rocketmq.pull_consumer import RocketmqPullConsumer
from harness.brokers.rocketmq.remoting import Code, Remoting
from harness.clients.base import Session
from harness.clients.payload import encode
from harness.clock import NS_PER_S
from harness.errors import ControlError
from harness.history.event_base import Event
from harness.history.events import AssignEvent, LockEvent, LostEvent, OwnershipEvent, RevokeEvent
from harness.history.files import read_events, read_journal
from harness.history.record import Outcome, RecordKind

MS = 1_000_000
TAKES_LONG_S = 60.0


class Group:
    """Members of one group on fake servers."""

    def __init__(self, folder: Path, names: FakeServer, nodes: list[FakeServer], partitions: int) -> None:
        self.folder, self.names, self.nodes, self.partitions = folder, names, nodes, partitions
        self.places = QueuePlaces(set_names(len(nodes)))
        self.puller = FakePuller()
        self.sessions: dict[str, Session] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def join(self, worker: str, **options: Any) -> Session:
        """Start a member; it deals again every 100 ms."""
        chosen: dict[str, Any] = {"listener": "pull", "rebalance_interval_ns": 100 * MS, "pull_wait_ns": MS} | options
        session = made(self.folder, worker, (self.names.address,), self.partitions, **chosen)
        consumer = RocketmqPullConsumer(session, ConsumerOptions(**chosen), self.puller, self.places)
        await consumer.connect()
        self.sessions[worker] = session
        self.tasks[worker] = asyncio.create_task(consumer.run())
        return session

    async def leave(self, worker: str) -> None:
        """Ask a member to stop, and wait until it has."""
        self.sessions[worker].control.leave()
        self.sessions[worker].control.stop.set()
        await self.tasks.pop(worker)

    def send(self, partition: int, count: int) -> None:
        """Store messages of the partition's own key."""
        with self.puller.lock:
            log = self.puller.logs.setdefault(self.places.queue(partition), [])
            log += [encode(partition, len(log) + number, 64) for number in range(count)]

    def events(self, worker: str) -> list[Event]:
        return read_events(self.folder / f"{worker}.1.events.jsonl", [])

    def owned(self, worker: str) -> set[int]:
        """Return what a member owns by its own events."""
        owned: set[int] = set()
        for event in self.events(worker):
            if isinstance(event, AssignEvent):
                owned |= set(event.partitions or ())
            elif isinstance(event, OwnershipEvent):
                owned -= set(event.partitions or ())
        return owned

    def delivered(self, worker: str) -> list[tuple[int, int]]:
        """Return (partition, offset) of a member's deliveries, in order."""
        session = self.sessions[worker]
        session.journal.flush()
        view = read_journal(self.folder / f"{worker}.1.journal", [], [])
        assert view is not None
        found = view.select(RecordKind.DELIVERED)
        return list(zip(found["partition"].tolist(), found["offset"].tolist(), strict=True))

    def all_delivered(self) -> Counter[tuple[int, int]]:
        return Counter(place for worker in self.sessions for place in self.delivered(worker))


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that comes about; a test that waits in vain ends by this time-out."""
    async with asyncio.timeout(TAKES_LONG_S):
        while not true():  # noqa: ASYNC110  what is waited for lies in files
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def a_group(folder: Path, partitions: int = 4, masters: int = 1) -> AsyncIterator[Group]:
    async with fake_cluster(partitions, masters) as (names, nodes):
        group = Group(folder, names, nodes, partitions)
        try:
            yield group
        finally:
            for worker in list(group.tasks):
                await group.leave(worker)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("masters", [1, 2])
def test_one_member_owns_all_reads_all_in_order_and_commits_all(tmp_path: Path, masters: int) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 4, masters) as group:
            for partition in range(4):
                group.send(partition, 100)
            session = await group.join("c0")
            await until(lambda: session.counters.processed == 400)
            assert group.owned("c0") == {0, 1, 2, 3}
            for partition in range(4):
                assert [at for index, at in group.delivered("c0") if index == partition] == list(range(100))
            await until(lambda: sum(sum(node.positions.values()) for node in group.nodes) == 400)
            await group.leave("c0")
            assert all(not node.locks and not node.members for node in group.nodes)
            assert group.owned("c0") == set()

    run(work())


def test_members_that_come_and_go_read_every_message_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 8) as group:
            for partition in range(8):
                group.send(partition, 300)
            await group.join("c0", handler_time_ns=MS)
            await until(lambda: len(group.owned("c0")) == 8)
            await group.join("c1", handler_time_ns=MS)
            await until(lambda: len(group.owned("c0")) == len(group.owned("c1")) == 4)
            await group.join("c2", handler_time_ns=MS)
            await until(lambda: [len(group.owned(f"c{index}")) for index in range(3)] == [3, 3, 2])
            await group.leave("c0")
            await until(lambda: len(group.owned("c1")) == len(group.owned("c2")) == 4)
            await until(lambda: group.nodes[0].positions == dict.fromkeys(range(8), 300))
            assert set(group.all_delivered()) == {(partition, at) for partition in range(8) for at in range(300)}
            # What is handed over and given back unhandled comes again, from the next owner.
            handled = Counter[tuple[int, int]]()
            for worker in group.sessions:
                handled += processed(group, worker)
            assert set(handled.values()) == {1}

    def processed(group: Group, worker: str) -> Counter[tuple[int, int]]:
        view = read_journal(group.folder / f"{worker}.1.journal", [], [])
        assert view is not None
        delivered, found = view.select(RecordKind.DELIVERED), Counter[tuple[int, int]]()
        for record in view.select(RecordKind.PROCESSED):
            for ordinal in range(int(record["ref"]), int(record["ref"]) + int(record["count"])):
                found[int(delivered["partition"][ordinal]), int(delivered["offset"][ordinal])] += 1
        return found

    run(work())


def test_no_two_members_own_a_queue_at_once_as_the_next_one_waits_for_its_lock(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 6) as group:
            for worker in ("c0", "c1", "c2"):
                await group.join(worker)
            await until(lambda: all(len(group.owned(worker)) == 2 for worker in group.sessions))
            for worker in ("c1", "c0"):
                await group.leave(worker)
            await until(lambda: len(group.owned("c2")) == 6)
            owner: dict[int, str] = {}
            everything = [event for worker in group.sessions for event in group.events(worker)]
            for event in sorted(everything, key=lambda event: event.t):
                if isinstance(event, AssignEvent):
                    for partition in event.partitions or ():
                        assert owner.setdefault(partition, event.worker) == event.worker
                elif isinstance(event, RevokeEvent):
                    for partition in event.partitions or ():
                        assert owner.pop(partition) == event.worker

    run(work())


def test_a_lock_that_another_one_holds_now_ends_the_epoch_at_once(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 2) as group:
            await group.join("c0")
            await until(lambda: group.owned("c0") == {0, 1})
            group.nodes[0].locks[1] = "stranger"
            await until(lambda: group.owned("c0") == {0})
            assert any(isinstance(event, LostEvent) for event in group.events("c0"))
            states = [
                event.state for event in group.events("c0") if isinstance(event, LockEvent) and 1 in event.partitions
            ]
            assert states[0] == "held"
            assert "refused" in states
            del group.nodes[0].locks[1]
            await until(lambda: group.owned("c0") == {0, 1})

    run(work())


def test_locks_that_cannot_be_renewed_are_trusted_for_so_long_and_no_longer(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 2) as group:
            session = await group.join("c0", lock_trust_ns=NS_PER_S)
            await until(lambda: group.owned("c0") == {0, 1})
            group.nodes[0].silent = {Code.LOCK_BATCH_MQ}
            await until(lambda: group.owned("c0") == set())
            group.send(0, 5)
            group.nodes[0].silent = set()
            await until(lambda: session.counters.processed == 5)

    run(work())


def test_without_locks_a_member_takes_what_it_is_dealt_whoever_holds_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 2) as group:
            group.nodes[0].locks = {0: "stranger", 1: "stranger"}
            await group.join("c0", locks=False)
            await until(lambda: group.owned("c0") == {0, 1})
            assert not any(isinstance(event, LockEvent) for event in group.events("c0"))

    run(work())


def test_a_queue_is_kept_until_its_handler_ends_and_its_position_is_committed(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 2) as group:
            group.send(0, 1)
            group.send(1, 1)
            first = await group.join("c0")
            first.control.set_handler(block_ns=3600 * NS_PER_S)
            await until(lambda: first.control.extra_ns == 0 and first.counters.delivered >= 1)
            await group.join("c1")
            await until(lambda: len(group.nodes[0].members) == 2)
            asked = len(group.nodes[0].asked)
            await until(lambda: sum(f.code == Code.LOCK_BATCH_MQ for f in group.nodes[0].asked[asked:]) > 6)
            busy = group.delivered("c0")[0][0]
            assert busy in group.owned("c0")
            assert group.nodes[0].locks[busy] == "c0@1"
            first.control.set_handler(block_ns=0)
            await until(lambda: len(group.owned("c0")) == len(group.owned("c1")) == 1)
            await until(lambda: set(group.all_delivered()) == {(0, 0), (1, 0)})
            await until(lambda: group.nodes[0].positions == {0: 1, 1: 1})
            assert set(group.all_delivered().values()) == {1}

    run(work())


def test_a_member_that_was_dealt_nothing_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            await group.join("c0")
            await until(lambda: group.owned("c0") == {0})
            await group.join("c1")
            await until(lambda: any(isinstance(event, AssignEvent) for event in group.events("c1")))
            assert group.owned("c1") == set()

    run(work())


def test_a_commit_without_an_answer_is_unknown_and_made_again(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            session = await group.join("c0")
            await until(lambda: group.owned("c0") == {0})
            await group.nodes[0].stop()
            group.send(0, 3)
            await until(lambda: session.counters.processed == 3)

            def commits() -> list[int]:
                session.journal.flush()
                view = read_journal(group.folder / "c0.1.journal", [], [])
                return [] if view is None else view.select(RecordKind.COMMIT)["outcome"].tolist()

            # No connection: definite. Each attempt is recorded before it is made.
            await until(lambda: commits().count(Outcome.FAIL) >= 2)
            assert commits()[0] == Outcome.UNKNOWN
            await group.nodes[0].start()
            assert group.names.route is not None
            group.names.route["brokerDatas"][0]["brokerAddrs"]["0"] = group.nodes[0].address
            await until(lambda: group.nodes[0].positions == {0: 3})

    run(work())


def test_an_offset_that_the_queue_does_not_have_is_left_for_the_next_one_that_it_has(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            group.nodes[0].positions[0] = 50
            group.send(0, 10)
            session = await group.join("c0")
            await until(lambda: session.counters.polls > 5)
            group.send(0, 1)
            await until(lambda: session.counters.processed == 1)
            assert group.delivered("c0") == [(0, 10)]

    run(work())


@pytest.mark.parametrize("on_failure", ["later", "consumed"])
def test_what_a_failed_handler_costs(tmp_path: Path, on_failure: str) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            group.send(0, 10)
            session = await group.join("c0", fail_every=5, failures=2, on_failure=on_failure)
            await until(lambda: group.nodes[0].positions.get(0) == 10)
            handled = Counter(at for _, at in group.delivered("c0"))
            counters = session.counters
            assert counters.delivered == counters.processed + counters.returned  # nothing is in hand
            if on_failure == "later":
                assert counters.processed == 14  # each handler that failed has ended, too
                assert (handled[4], handled[9]) == (3, 5)  # the second one was given back with the first, twice
            else:
                assert counters.processed == 10
                assert set(handled.values()) == {1}

    run(work())


def test_what_breaks_a_thread_ends_the_worker(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            await group.join("c0")
            await until(lambda: group.owned("c0") == {0})
            group.puller.broken = True
            with pytest.raises(RuntimeError, match="a mistake of ours"):
                await group.tasks.pop("c0")

    run(work())


def test_members_with_agreed_loads_deal_by_one_snapshot_and_others_by_their_own_view(tmp_path: Path) -> None:
    async def work() -> None:
        async with fake_cluster(1) as (names, _):
            server = Remoting(names.address, timeout_s=30)
            members = ("c0@1", "c1@1")
            try:
                agree = [LoadExchange([server], member, agree=True) for member in members]
                own = [LoadExchange([server], member, agree=False) for member in members]
                await agree[1].loads(members, 4e6)
                assert await agree[0].loads(members, 1e6) == {"c0@1": 1.0, "c1@1": 4.0}
                assert await agree[1].loads(members, 3.9e6) == {"c0@1": 1.0, "c1@1": 4.0}
                assert await agree[0].loads(members, 1.1e6) == {"c0@1": 1.0, "c1@1": 4.0}
                assert await own[0].loads(members, 1e6) == {"c0@1": 1.0, "c1@1": 3.9}
                assert await own[1].loads(members, 4.2e6) == {"c0@1": 1.0, "c1@1": 4.2}
                await names.stop()
                with pytest.raises(ControlError):
                    await agree[1].loads(members, 1e6)
                assert agree[1].latest == {"c0@1": 1.0, "c1@1": 4.0}
            finally:
                server.close()

    run(work())


def test_a_position_that_the_broker_has_forgotten_is_committed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull_member, "_DOUBT_NS", 50 * MS)

    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            group.send(0, 3)
            await group.join("c0")
            await until(lambda: group.nodes[0].positions == {0: 3})
            group.nodes[0].positions.clear()
            await until(lambda: group.nodes[0].positions == {0: 3})

    run(work())


def test_a_member_that_owns_a_queue_again_goes_on_where_it_was(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 1) as group:
            group.send(0, 9)
            session = await group.join("c0")
            await until(lambda: group.nodes[0].positions == {0: 9})
            group.nodes[0].locks[0] = "stranger"
            await until(lambda: group.owned("c0") == set())
            group.nodes[0].positions[0] = 4
            del group.nodes[0].locks[0]
            await until(lambda: group.owned("c0") == {0})
            group.send(0, 1)
            await until(lambda: session.counters.processed == 10)
            assert group.all_delivered() == Counter((0, at) for at in range(10))

    run(work())


def test_without_locks_a_queue_is_taken_only_once_the_others_have_read_the_snapshot() -> None:
    age, one, two = DealAge(15), Queue("n1", 0), Queue("n1", 1)
    assert age.ripe([one], 100) == frozenset()
    assert age.ripe([one, two], 110) == frozenset()
    assert age.ripe([one, two], 115) == {one}
    assert age.ripe([two], 125) == {two}
    assert age.ripe([one, two], 126) == {two}  # it was not dealt in between
    assert DealAge(0).ripe([one], 1) == {one}


def test_a_group_that_agrees_needs_no_locks(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_group(tmp_path, 6) as group:
            for partition in range(6):
                group.send(partition, 50)
            await group.join("c0", allocator="load-agreed", locks=False)
            await until(lambda: len(group.owned("c0")) == 6)
            await group.join("c1", allocator="load-agreed", locks=False)
            await until(lambda: len(group.owned("c0")) == len(group.owned("c1")) == 3)
            group.names.notes |= {"member c0@1": "1e6", "member c1@1": "4e6"}
            await until(lambda: (len(group.owned("c0")), len(group.owned("c1"))) == (5, 1))
            await until(lambda: group.nodes[0].positions == dict.fromkeys(range(6), 50))

    run(work())
