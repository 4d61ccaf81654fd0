"""The store keeps every run once, from several processes, and never harms a file that is something else."""

from __future__ import annotations

import hashlib
import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from support import stored_runs

from harness.errors import ExitCode, HarnessError, UsageError
from harness.suites.rows import FINDINGS_MAX, SuitePlace
from harness.suites.store import Store, default_store, keep
from harness.suites.store_file import StoreDamagedError, StoreWriteError
from harness.suites.tables import APPLICATION_ID, MIGRATIONS, OF_A_RUN, TABLES
from harness.verdict import Finding

PLACE = SuitePlace(suite_id="s1", suite="gate", entry="latency.yaml@process#1", packing="packed")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "store.sqlite"


def _rows(store: Store, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in store.select(sql)]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _dump(store: Store) -> list[list[tuple[object, ...]]]:
    """Return everything of the store but when it was added."""
    return [
        _rows(
            store,
            f"SELECT {', '.join(column.name for column in table.columns if column.name != 'added')} FROM {table.name} "
            f"ORDER BY {', '.join(table.key)}",
        )
        for table in TABLES
    ]


def test_everything_of_a_run_is_kept(path: Path) -> None:
    result = stored_runs.full()
    with Store.open(path) as store:
        assert store.add(result, PLACE)
        assert _rows(store, "SELECT run_id, suite, packing, verdict, counts FROM runs") == [
            (result.run_id, "gate", "packed", "fail", 1)
        ]
        for table in OF_A_RUN:
            assert _rows(store, f"SELECT count(*) FROM {table.name}") != [(0,)], table.name
        assert _rows(store, "SELECT count(*) FROM findings") == [(sum(len(c.findings) for c in result.checks),)]
        assert _rows(store, "SELECT count(*) FROM evidence") == [(sum(len(f.evidence) for f in result.faults),)]
        assert set(_rows(store, "SELECT software, version FROM versions")) == set(result.versions.items())
        assert _rows(store, "SELECT sum(cpu_ns) FROM cpu") == _rows(store, "SELECT cpu_ns FROM runs")
        assert _rows(store, "SELECT unit, worse, resolution FROM measures WHERE measure = 'p99_ns'") == [
            ("ns", "more", 10_000_000.0)
        ]


def test_adding_a_run_again_changes_nothing(path: Path) -> None:
    with Store.open(path) as store:
        store.add(stored_runs.full(), PLACE)
        before = _dump(store)
        assert not store.add(stored_runs.full(), PLACE)
        assert _dump(store) == before
        assert not store.add(stored_runs.full())
        assert _dump(store) == before, "added again without its suite, it keeps it"


def test_a_run_that_was_judged_again_is_kept_as_judged_last_and_stays_in_its_baseline(path: Path) -> None:
    result = stored_runs.full()
    with Store.open(path) as store:
        store.add(result, PLACE)
        store.change([("INSERT INTO baselines VALUES ('good', ?, '2026-03-14T00:00:00Z')", (result.run_id,))])
        store.add(replace(result, headline="judged again", checks=result.checks[:1]), PLACE)
        assert _rows(store, "SELECT headline FROM runs") == [("judged again",)]
        assert _rows(store, "SELECT check_name FROM checks") == [(result.checks[0].check,)]
        assert _rows(store, "SELECT run_id FROM baselines") == [(result.run_id,)]


def test_findings_and_numbers_are_bounded(path: Path) -> None:
    result = stored_runs.full()
    many = replace(result.checks[0], findings=tuple(Finding(type="lost", message="m") for _ in range(FINDINGS_MAX + 5)))
    odd = replace(result.checks[1], findings=(), measures={"nan": float("nan"), "endless": float("inf"), "fine": 1})
    with Store.open(path) as store:
        store.add(replace(result, checks=(many, odd)))
        assert _rows(store, "SELECT count(*) FROM findings") == [(FINDINGS_MAX,)]
        assert _rows(store, "SELECT findings FROM checks WHERE findings > 0") == [(FINDINGS_MAX + 5,)]
        assert _rows(store, f"SELECT measure, value FROM measures WHERE check_name = '{odd.check}' ORDER BY 1") == [
            ("endless", None),
            ("fine", 1.0),
            ("nan", None),
        ]
        with pytest.raises(UsageError, match="64 bits"):
            store.add(replace(result, run_id="huge", counts={"sent": 2**64}))
        assert _rows(store, "SELECT count(*) FROM runs") == [(1,)]


def _add_many(path: Path, writer: int) -> None:
    with Store.open(path) as store:
        for run in range(15):
            store.add(stored_runs.full(f"w{writer}-{run}"), PLACE)
            store.add(stored_runs.full("shared"), PLACE)


def test_several_processes_create_and_fill_one_store_at_once(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_add_many, args=(path, writer)) for writer in range(4)]
    for process in writers:
        process.start()
    for process in writers:
        process.join(120)
    assert [process.exitcode for process in writers] == [0, 0, 0, 0]
    with Store.read(path) as store:
        assert _rows(store, "SELECT count(*) FROM runs") == [(4 * 15 + 1,)]
        assert _rows(store, "PRAGMA integrity_check") == [("ok",)]


def test_a_reader_reads_while_a_writer_is_in_the_middle(path: Path) -> None:
    with Store.open(path) as writer, Store.read(path) as reader:
        writer.add(stored_runs.full("first"))
        writer._connection.execute("BEGIN IMMEDIATE")
        writer._connection.execute("DELETE FROM runs")
        assert _rows(reader, "SELECT run_id FROM runs") == [("first",)]
        writer._connection.execute("ROLLBACK")


@pytest.mark.parametrize("content", [b"", b"plain text, for a while " * 400, b"SQLite format 3\0" + b"\1" * 5000])
def test_a_file_that_is_no_store_is_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    if not content:
        with Store.open(path):
            pass
        with Store.read(path) as store:
            assert _rows(store, "PRAGMA user_version") == [(len(MIGRATIONS),)]
        return
    for way in (Store.open, Store.read):
        with pytest.raises(HarnessError, match=r"not a store|damaged") as caught:
            way(path)
        assert "not changed" in caught.value.message
    assert path.read_bytes() == content


def test_a_database_of_something_else_is_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as foreign:
        foreign.execute("CREATE TABLE runs (run_id TEXT)")
    foreign.close()
    before = _digest(path)
    for way in (Store.open, Store.read):
        with pytest.raises(UsageError, match="database of something else"):
            way(path)
    assert _digest(path) == before
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_a_damaged_store_is_left_as_it_is(path: Path) -> None:
    with Store.open(path) as store:
        for run in range(20):
            store.add(stored_runs.full(f"r{run}"))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 5] = b"\xa5" * 8192
    path.write_bytes(content)
    before = _digest(path)
    for way in (Store.open, Store.read):
        with pytest.raises(StoreDamagedError, match=r"is damaged .* not changed") as caught:
            way(path)
        assert caught.value.exit_code == ExitCode.ENVIRONMENT
        assert "harness store add" in caught.value.hint
    assert _digest(path) == before
    assert "is damaged" in keep(path, stored_runs.full("new"), PLACE)
    assert _digest(path) == before


def test_a_store_that_was_cut_short_is_left_as_it_is(path: Path) -> None:
    with Store.open(path) as store:
        for run in range(20):
            store.add(stored_runs.full(f"r{run}"))
    path.write_bytes(path.read_bytes()[: 4096 * 4])
    before = _digest(path)
    with pytest.raises(StoreDamagedError):
        Store.open(path)
    assert _digest(path) == before


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        Store.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreWriteError, match="cannot be created"):
        Store.open(tmp_path / "file" / "store.sqlite")


def test_a_store_of_a_later_release_is_refused(path: Path) -> None:
    with Store.open(path, migrations=[*MIGRATIONS, ("CREATE TABLE later (a)",)]):
        pass
    before = _digest(path)
    with pytest.raises(UsageError, match=r"later release: its version is 2, this release knows 1"):
        Store.open(path)
    assert _digest(path) == before


def test_an_older_store_is_brought_up_to_date_and_keeps_its_runs(path: Path) -> None:
    with Store.open(path) as store:
        store.add(stored_runs.full(), PLACE)
    step = ("ALTER TABLE runs ADD COLUMN later TEXT NOT NULL DEFAULT 'x'",)
    with Store.open(path, migrations=[*MIGRATIONS, step]) as store:
        assert _rows(store, "SELECT suite, later FROM runs") == [("gate", "x")]
        assert _rows(store, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]


def test_a_step_that_fails_leaves_the_older_store(path: Path) -> None:
    with Store.open(path) as store:
        store.add(stored_runs.full(), PLACE)
    with pytest.raises(StoreWriteError):
        Store.open(path, migrations=[*MIGRATIONS, ("CREATE TABLE half (a)", "this is no SQL")])
    with Store.open(path) as store:
        assert _rows(store, "SELECT count(*) FROM runs") == [(1,)]
        assert _rows(store, "SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]


def test_a_full_disk_loses_no_run_that_was_stored(path: Path) -> None:
    with Store.open(path) as store:
        store.add(stored_runs.full("first"))
        (pages,) = next(iter(store.select("PRAGMA page_count")))
        store._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
        with pytest.raises(StoreWriteError, match="the disk is full"):
            for run in range(100):
                store.add(stored_runs.full(f"r{run}"))
        stored = len(_rows(store, "SELECT run_id FROM runs"))
        assert not store.add(stored_runs.full("first")), "and it can still be used"
    with Store.open(path) as store:
        assert len(_rows(store, "SELECT run_id FROM runs")) == stored
        store.add(stored_runs.full("later"))


def test_keeping_a_run_says_why_it_could_not_and_raises_nothing(tmp_path: Path) -> None:
    assert keep(tmp_path / "store.sqlite", stored_runs.full("a"), PLACE) == ""
    said = keep(tmp_path, stored_runs.full("b"), PLACE)
    assert said.startswith("run b is not in the store: ")


def test_a_read_only_folder_can_be_read(path: Path) -> None:
    with Store.open(path) as store:
        store.add(stored_runs.full())
    path.parent.chmod(0o555)
    try:
        with Store.read(path) as store:
            assert _rows(store, "SELECT count(*) FROM runs") == [(1,)]
    finally:
        path.parent.chmod(0o755)


def test_there_is_no_store_to_read(path: Path) -> None:
    with pytest.raises(UsageError, match="there is no store") as caught:
        Store.read(path)
    assert "harness store add" in caught.value.hint


def test_the_default_store_lies_in_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path))
    assert default_store() == tmp_path / "store.sqlite"


def test_the_header_bears_the_application_and_the_version(path: Path) -> None:
    with Store.open(path):
        pass
    header = path.read_bytes()[:100]
    assert int.from_bytes(header[68:72]) == APPLICATION_ID
    assert int.from_bytes(header[60:64]) == len(MIGRATIONS)
