"""The rules of journaling: what is on disk by when, a step out of turn raises, and nothing goes round them."""

from __future__ import annotations

import ast
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.clients.ordinals import Ordinals, OrdinalStep
from harness.clients.recording import DeliveryRecorder, RecordingError, Records, SendRecorder, deliveries, positions
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, Flag, Journal, Outcome, RecordKind

ROOT = Path(__file__).parents[3]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "w0.1.journal", {"worker": "w0", "incarnation": 1, "role": "any"})
    yield made
    made.close()


def _on_disk(journal: Journal) -> Records:
    """Return what a SIGKILL now would leave."""
    return np.frombuffer(journal.path.read_bytes()[HEADER_BYTES:], RECORD_DTYPE)


def _kinds(journal: Journal) -> list[RecordKind]:
    return [RecordKind(int(kind)) for kind in _on_disk(journal)["kind"]]


def _batch(*places: tuple[int, int]) -> Records:
    """Return deliveries of key 0 at these (partition, offset)."""
    partitions, offsets = [place[0] for place in places], [place[1] for place in places]
    return deliveries(np.zeros(len(places), np.int64), np.arange(len(places)), partitions, offsets)


def test_a_send_has_an_ordinal_only_once_it_is_on_disk(journal: Journal) -> None:
    sends = SendRecorder(journal)
    sends.add(3, 7, 1)
    sends.add(4, 8, 2)
    assert (sends.recorded, _kinds(journal)) == (0, [])
    with pytest.raises(RecordingError, match="only 0 are recorded"):
        sends.settle(0, Outcome.OK)
    assert (sends.record(), sends.recorded) == (0, 2)
    rows = _on_disk(journal)
    assert [rows[name].tolist() for name in ("kind", "key", "seq", "partition", "offset", "ref")] == [
        [RecordKind.SEND] * 2,
        *([3, 4], [7, 8], [1, 2], [-1, -1], [-1, -1]),
    ]
    sends.add(3, 9, 1)
    assert sends.record() == 2


def test_many_sends_are_recorded_as_single_ones_are(journal: Journal, tmp_path: Path) -> None:
    many = SendRecorder(journal)
    assert many.record_all(np.array([3, 4]), np.array([7, 8]), np.array([1, 2])) == 0
    assert many.record_all(np.array([3]), np.array([9]), np.array([1])) == 2
    single = SendRecorder(other := Journal(tmp_path / "w1.1.journal", {"worker": "w1"}))
    for key, seq, partition in ((3, 7, 1), (4, 8, 2), (3, 9, 1)):
        single.add(key, seq, partition)
    single.record()
    many.settle_all([2, 0], Outcome.OK, [5, 6])
    many.settle_all([1], Outcome.FAIL)
    single.settle(2, Outcome.OK, offset=5)
    single.settle(0, Outcome.OK, offset=6)
    single.settle(1, Outcome.FAIL)
    for recorder in (many, single):
        recorder.flush()
    one, two = _on_disk(journal).copy(), _on_disk(other).copy()
    assert (one["t"] > 0).all()
    one["t"] = two["t"] = 0
    assert one.tobytes() == two.tobytes()
    other.close()


def test_a_send_is_settled_once(journal: Journal) -> None:
    sends = SendRecorder(journal)
    sends.record_all(np.arange(5), np.arange(5), np.zeros(5, np.int64))
    sends.settle(0, Outcome.OK, offset=4, duplicate=True)
    sends.settle_all([1, 3], Outcome.UNKNOWN)
    sends.settle_all([], Outcome.FAIL)
    wrong: list[Callable[[], None]] = [
        lambda: sends.settle(0, Outcome.OK),
        lambda: sends.settle(3, Outcome.FAIL),
        lambda: sends.settle(5, Outcome.FAIL),
        lambda: sends.settle(-1, Outcome.FAIL),
        lambda: sends.settle_all([2, 3], Outcome.OK),
        lambda: sends.settle_all([2, 2], Outcome.OK),
        lambda: sends.settle_all([2, 5], Outcome.OK),
        lambda: sends.settle_all([-1, 2], Outcome.OK),
    ]
    for act in wrong:
        with pytest.raises(RecordingError):
            act()
    sends.settle_all([4, 2], Outcome.FAIL)  # what was refused has changed nothing
    sends.flush()
    rows = _on_disk(journal)[5:]
    assert rows["ref"].tolist() == [0, 1, 3, 4, 2]
    assert rows["flags"].tolist() == [Flag.DUPLICATE, 0, 0, 0, 0]


def test_a_batch_is_on_disk_before_its_handlers_can_be_told_to_have_ended(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    with pytest.raises(RecordingError, match="only 0 are recorded"):
        recorder.processed(0, 1)
    batch = recorder.deliver(_batch((0, 5), (1, 9), (0, 6)))
    assert (batch.first, batch.size, batch.positions) == (0, 3, {0: 7, 1: 10})
    assert _kinds(journal) == [RecordKind.DELIVERED] * 3
    assert (_on_disk(journal)["t"] > 0).all()
    recorder.processed(0, 2)
    assert _kinds(journal)[3:] == [RecordKind.PROCESSED]
    for first, count in ((0, 1), (1, 2), (2, 2), (3, 1), (-1, 1)):
        with pytest.raises(RecordingError):
            recorder.processed(first, count)
    recorder.processed(2, 1)
    assert recorder.deliver(_batch((0, 7))).first == 3


def test_single_deliveries_say_what_the_broker_said(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, acknowledged=True)
    assert recorder.deliver_each([(3, 7, 1, 40, 1, 11), (3, 8, 1, 41, 2, 12)]) == 0
    rows = _on_disk(journal)
    names = ("key", "seq", "partition", "offset", "count", "ref", "flags")
    assert [tuple(row) for row in rows[list(names)].tolist()] == [
        (3, 7, 1, 40, 1, 11, 0),
        (3, 8, 1, 41, 2, 12, Flag.REDELIVERED),
    ]
    assert recorder.deliver_each([(3, 9, 1, 42, 0, -1)]) == 2


def test_a_delayed_send_says_when_it_is_due(journal: Journal) -> None:
    sends = SendRecorder(journal)
    sends.add(1, 0, 2)
    sends.add(1, 1, 2, delay_ns=5_000)
    sends.add(1, 2, 2)
    assert sends.record() == 0
    sends.add(1, 3, 2)
    assert sends.record() == 3
    rows = _on_disk(journal)
    assert rows["seq"].tolist() == [0, 1, 2, 3]
    assert set(rows["kind"].tolist()) == {RecordKind.SEND}
    assert rows["offset"].tolist() == [-1, rows["t"][1] + 5_000, -1, -1]


def test_a_delivery_says_which_thread_handles_it_where_that_is_recorded(journal: Journal, tmp_path: Path) -> None:
    recorder = DeliveryRecorder(journal, threads=True)
    recorder.deliver_each([(0, 0, 0, 0, 1, -1)])
    other = threading.Thread(target=lambda: recorder.deliver_each([(0, 1, 0, 1, 1, -1)]))
    other.start()
    other.join()
    recorder.deliver(_batch((0, 2)))
    assert _on_disk(journal)["outcome"].tolist() == [1, 2, 1]
    quiet = DeliveryRecorder(plain := Journal(tmp_path / "w2.1.journal", {"worker": "w2"}))
    quiet.deliver_each([(0, 0, 0, 0, 1, -1)])
    assert _on_disk(plain)["outcome"].tolist() == [0]
    plain.close()


def test_a_handler_that_failed_is_on_disk_and_neither_processed_nor_acknowledged(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, acknowledged=True)
    batch = recorder.deliver(_batch((0, 5), (0, 6), (0, 7)))
    recorder.processed(batch.first, 1)
    recorder.failed(batch.first + 1, 1)
    rows = _on_disk(journal)[-1]
    assert (rows["kind"], rows["outcome"], rows["ref"]) == (RecordKind.PROCESSED, Outcome.FAIL, batch.first + 1)
    steps: list[Callable[[], None]] = [
        lambda: recorder.processed(batch.first + 1, 1),
        lambda: recorder.failed(batch.first + 1, 1),
        lambda: recorder.give_back(batch.first + 1),
        lambda: recorder.acknowledge(batch.first + 1, 1),
    ]
    for step in steps:
        with pytest.raises(RecordingError):
            step()
    recorder.processed(batch.first + 2, 1)
    with pytest.raises(RecordingError, match="behind all that was delivered"):
        recorder.begin_commit({0: 8})


def test_what_failed_is_acknowledged_on_purpose_alone(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, acknowledged=True, early=True)
    recorder.deliver_each([(0, n, 0, n, 1, -1) for n in range(2)])
    recorder.failed(0, 2)
    recorder.acknowledge(0, 2)
    recorder.acknowledged(0, 2, Outcome.OK, confirmed=False)
    with pytest.raises(RecordingError):
        recorder.acknowledge(0, 1)


def test_a_delivery_is_acknowledged_once_and_after_its_handler(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, acknowledged=True)
    recorder.deliver_each([(0, n, 0, n, 1, -1) for n in range(3)])
    with pytest.raises(RecordingError, match="what comes before it is not recorded"):
        recorder.acknowledge(0, 1)
    recorder.processed(0, 2)
    with pytest.raises(RecordingError):
        recorder.acknowledge(0, 3)
    with pytest.raises(RecordingError):
        recorder.acknowledged(0, 1, Outcome.OK, confirmed=True)  # the broker was not to hear of it yet
    recorder.acknowledge(0, 2)
    recorder.acknowledged(1, 1, Outcome.UNKNOWN, confirmed=False)
    recorder.acknowledged(0, 1, Outcome.OK, confirmed=True)
    wrong: list[Callable[[], None]] = [
        lambda: recorder.acknowledge(1, 1),
        lambda: recorder.acknowledged(1, 1, Outcome.OK, confirmed=False),
    ]
    for act in wrong:
        with pytest.raises(RecordingError):
            act()
    assert _kinds(journal)[-1] is RecordKind.PROCESSED  # nothing rests on it yet
    recorder.flush()
    told = _on_disk(journal)[-2:]
    assert [told[name].tolist() for name in ("kind", "ref", "outcome", "flags")] == [
        [RecordKind.ACKED] * 2,
        [1, 0],
        [Outcome.UNKNOWN, Outcome.OK],
        [0, Flag.CONFIRMED],
    ]


def test_who_acknowledges_early_on_purpose_may_but_not_before_delivery(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, acknowledged=True, early=True)
    with pytest.raises(RecordingError):
        recorder.acknowledge(0, 1)
    recorder.deliver_each([(0, 0, 0, 0, 1, -1)])
    recorder.acknowledge(0, 1)
    recorder.acknowledged(0, 1, Outcome.OK, confirmed=False)
    recorder.processed(0, 1)
    assert _kinds(journal) == [RecordKind.DELIVERED, RecordKind.ACKED, RecordKind.PROCESSED]


def test_what_an_aborted_transaction_did_is_taken_back_and_not_committed_behind(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    batch = recorder.deliver(_batch((0, 5), (1, 9), (0, 6)))
    recorder.processed(batch.first, batch.size)
    recorder.begin_commit({0: 7, 1: 10})
    recorder.take_back(batch, {0: 5, 1: 9})
    row = _on_disk(journal)[-1]
    assert (row["kind"], row["outcome"], row["ref"], row["count"]) == (RecordKind.PROCESSED, Outcome.FAIL, 0, 3)
    for partition, position in ((0, 7), (0, 6), (1, 10)):
        with pytest.raises(RecordingError, match="behind all that was delivered"):
            recorder.begin_commit({partition: position})
    recorder.begin_commit({0: 5})
    again = recorder.deliver(_batch((0, 5), (0, 6)))
    recorder.processed(again.first, again.size)
    recorder.begin_commit({0: 7})
    with pytest.raises(RecordingError):
        recorder.begin_commit({1: 10})


def test_a_position_is_committed_only_when_all_below_it_is_processed(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    with pytest.raises(RecordingError, match="behind all that was delivered"):
        recorder.begin_commit({0: 6})
    batch = recorder.deliver(_batch((0, 5), (1, 9), (0, 6), (0, 7)))
    recorder.processed(batch.first + 1, 1)
    recorder.processed(batch.first + 2, 1)  # offset 6, with offset 5 still open
    with pytest.raises(RecordingError, match="offset 5 is not processed"):
        recorder.begin_commit({0: 7})
    recorder.begin_commit({0: 5, 1: 10})
    recorder.processed(batch.first, 1)
    recorder.begin_commit({0: 7})
    for position in (8, 9):
        with pytest.raises(RecordingError):
            recorder.begin_commit({0: position})
    assert RecordKind.COMMIT in _kinds(journal)


def test_what_is_delivered_again_is_open_again(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    recorder.processed(recorder.deliver(_batch((0, 5), (0, 6))).first, 2)
    recorder.begin_commit({0: 7})
    again = recorder.deliver(_batch((0, 5)))
    with pytest.raises(RecordingError):
        recorder.begin_commit({0: 6})
    recorder.processed(again.first, 1)
    recorder.begin_commit({0: 6})
    with pytest.raises(RecordingError, match="behind all that was delivered"):
        recorder.begin_commit({0: 7})


def test_what_is_given_back_is_neither_processed_nor_committed(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    batch = recorder.deliver(_batch((0, 5), (0, 6), (1, 9)))
    recorder.processed(batch.first, 1)
    recorder.give_back(batch.first + 1)
    recorder.begin_commit({0: 6})
    wrong: list[Callable[[], None]] = [
        lambda: recorder.processed(batch.first + 1, 1),
        lambda: recorder.give_back(batch.first),
        lambda: recorder.begin_commit({0: 7}),
    ]
    for act in wrong:
        with pytest.raises(RecordingError):
            act()
    assert _kinds(journal).count(RecordKind.PROCESSED) == 1


def test_a_commit_is_on_disk_before_it_can_take_effect_and_again_with_its_outcome(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal)
    recorder.processed(recorder.deliver(_batch((0, 5))).first, 1)
    recorder.begin_commit({0: 6})
    begun = _on_disk(journal)[-1]
    assert (begun["kind"], begun["outcome"], begun["seq"]) == (RecordKind.COMMIT, Outcome.UNKNOWN, begun["t"])
    recorder.end_commit(0, 6, Outcome.OK)
    recorder.end_commit(0, 4, Outcome.FAIL)  # the library's own, of which no beginning is known
    recorder.flush()
    told = _on_disk(journal)[-2:]
    assert [told[name].tolist() for name in ("partition", "offset", "seq", "outcome", "flags")] == [
        [0, 0],
        [6, 4],
        [begun["seq"], -1],
        [Outcome.OK, Outcome.FAIL],
        [Flag.CONFIRMED, 0],
    ]


def test_of_commits_without_an_outcome_the_latest_of_each_partition_are_kept(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.clients.recording._BEGUN_MAX", 10)
    recorder = DeliveryRecorder(journal, early=True)
    recorder.begin_commit({1: 4})
    for position in (*range(30), 21, 30):
        recorder.begin_commit({0: position})
    begun = {int(row["offset"]): int(row["seq"]) for row in _on_disk(journal)}
    assert sum(map(len, recorder._begun.values())) <= 20
    for partition, position in ((0, 19), (0, 21), (0, 30), (1, 4), (0, 30)):
        recorder.end_commit(partition, position, Outcome.OK)
    recorder.flush()
    assert _on_disk(journal)["seq"][-5:].tolist() == [-1, begun[21], begun[30], _on_disk(journal)["seq"][0], -1]


def test_who_commits_early_on_purpose_may(journal: Journal) -> None:
    recorder = DeliveryRecorder(journal, early=True)
    records = _batch((0, 5), (1, 3))
    recorder.begin_commit(positions(records))
    recorder.deliver(records)
    assert _kinds(journal) == [RecordKind.COMMIT] * 2 + [RecordKind.DELIVERED] * 2


def test_polls_are_recorded_at_once(journal: Journal) -> None:
    DeliveryRecorder(journal).polled(7, 900)
    (row,) = _on_disk(journal)
    assert (row["kind"], row["count"], row["offset"]) == (RecordKind.POLL, 7, 900)


@pytest.mark.parametrize("shared", [True, False])
def test_of_several_threads_one_at_a_time_records(
    shared: bool, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = DeliveryRecorder(journal, shared=shared)
    writing, go_on = threading.Event(), threading.Event()

    def flush() -> None:
        writing.set()
        go_on.wait(10)

    monkeypatch.setattr(journal, "flush", flush)
    first = threading.Thread(target=recorder.flush)
    second = threading.Thread(target=recorder.end_commit, args=(0, 4, Outcome.OK))
    first.start()
    assert writing.wait(10)
    second.start()
    second.join(0.1 if shared else 10)
    assert bool(journal._pending) is not shared
    go_on.set()
    for thread in (first, second):
        thread.join(10)
    assert journal._pending


def test_what_is_over_is_forgotten_and_refused_all_the_same() -> None:
    state, done = Ordinals(1, frozenset({3}), kept=10), OrdinalStep("done", forbids=2, adds=2)
    for turn in range(50):
        first = state.extend(5)
        assert first == turn * 5
        if turn:
            state.advance(done, first - 5, 5)
    assert len(state._flags) < 30
    for ordinals in ([0], [244], [245, 0], [250]):
        with pytest.raises(RecordingError):
            state.advance_each(done, np.array(ordinals))
    with pytest.raises(RecordingError):
        state.advance(done, 0, 1)
    with pytest.raises(RecordingError):
        state.advance(done, 243, 3)
    state.advance_each(done, np.array([247, 245, 246]))
    state.advance(done, 248, 2)
    state.extend(20)
    state.extend(1)
    assert len(state._flags) == 21


RECORDERS = {"SendRecorder", "DeliveryRecorder", "TransactionRecorder"}
THIRD_PARTY = ROOT / "tests" / "third_party" / "tinylog_chaos"
WRITING = {"Journal", "RECORD", "RECORD_DTYPE", "RecordKind"}


def _goes_round(source: str) -> list[int]:
    """Return the lines of a client's module that touch a journal other than to hand it to a recorder."""
    tree = ast.parse(source)
    handed = {
        id(argument)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RECORDERS
        for argument in node.args
    }
    found = []
    for node in ast.walk(tree):
        named = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
        if isinstance(node, ast.expr) and named.strip("_") == "journal" and id(node) not in handed:
            found.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module in {"harness.history.record", "harness.plugin_api.broker"}:
            found += [node.lineno for alias in node.names if alias.name in WRITING]
        if isinstance(node, ast.ImportFrom | ast.Import) and any(
            f"{getattr(node, 'module', '')}.{alias.name}".endswith("history.record") for alias in node.names
        ):
            found.append(node.lineno)
        if isinstance(node, ast.Constant) and node.value in {"journal", "_journal"}:  # getattr
            found.append(node.lineno)
    return found


def test_a_way_round_the_recorders_is_seen() -> None:
    assert _goes_round("self._sends = SendRecorder(session.journal)") == []
    ways = (
        "session.journal.add(1, t=2)",
        "append = self._session.journal.extend",
        "journal = session.journal",
        "helper(session.journal)",
        "from harness.history.record import Journal",
        "from harness.history import record",
        "import harness.history.record",
        "getattr(session, 'journal').flush()",
    )
    assert [bool(_goes_round(way)) for way in ways] == [True] * len(ways)


def _client_modules() -> list[Path]:
    """Return what a worker of a broker loads of its package: all but administration and its reading of the log."""
    clients: set[Path] = set()
    todo = [*(ROOT / "harness" / "brokers").glob("*/client.py"), THIRD_PARTY / "client.py"]
    while todo:
        path = todo.pop()
        clients.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness.brokers."):
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                paths = [(ROOT / str(name).replace(".", "/")).with_suffix(".py") for name in names]
                todo += [found for found in paths if found.is_file() and found not in clients]
    return sorted(clients)


def test_clients_record_by_the_rules_alone() -> None:
    modules = _client_modules()
    assert {"client.py", "producer.py", "consumer.py"} <= {path.name for path in modules}
    found = {str(path): lines for path in modules if (lines := _goes_round(path.read_text(encoding="utf-8")))}
    assert found == {}
