"""Run directories and suite directories find their way into the store, whatever else lies next to them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import stored_runs, suite_samples

from harness.commands.cli import cli
from harness.errors import ExitCode, NothingSelectedError, UsageError
from harness.report.serialize import to_json
from harness.report.suite_json import to_json as to_suite_json
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.ingest import Ingested, ingest
from harness.suites.store import Store


def _write(folder: Path, result: RunResult) -> Path:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(to_json(result), encoding="utf-8")
    return folder


def _suite(folder: Path, entries: tuple[SuiteEntry, ...]) -> SuiteResult:
    suite = suite_samples.suite(entries)
    for entry in entries:
        _write(folder / entry.run_dir, stored_runs.full(entry.run_id))
        if entry.made_again is not None:
            _write(folder / entry.made_again.run_dir, stored_runs.full(entry.made_again.run_id))
    (folder / "suite.json").write_text(to_suite_json(suite), encoding="utf-8")
    return suite


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def _places(store: Store) -> dict[str, tuple[object, ...]]:
    rows = store.select("SELECT run_id, suite_id, suite, entry, packing, counts, made_again FROM runs")
    return {row["run_id"]: tuple(row)[1:] for row in rows}


def test_the_runs_of_a_suite_come_with_their_places(tmp_path: Path, path: Path) -> None:
    alone = suite_samples.entry("latency", neighbours_max=0)
    packed = suite_samples.entry("kill", neighbours_max=2)
    unsaid = suite_samples.entry("pause")
    suite = _suite(tmp_path / "suite", (alone, packed, unsaid))
    with Store.open(path) as store:
        assert ingest(store, [tmp_path / "suite"]) == Ingested(added=3, known=0, refused=())
        assert _places(store) == {
            entry.run_id: (suite.suite_id, suite.name, entry.key, packing, 1, "")
            for entry, packing in ((alone, "alone"), (packed, "packed"), (unsaid, "unknown"))
        }
        assert ingest(store, [tmp_path / "suite", tmp_path]) == Ingested(added=0, known=3, refused=())


def test_an_execution_that_was_made_again_does_not_count(tmp_path: Path, path: Path) -> None:
    entry = suite_samples.entry("cpu", made_again=suite_samples.again("cpu"))
    assert entry.made_again is not None
    _suite(tmp_path / "suite", (entry,))
    with Store.open(path) as store:
        ingest(store, [tmp_path / "suite"])
        places = _places(store)
        assert places[entry.run_id][-2:] == (1, "")
        assert places[entry.made_again.run_id][-2:] == (0, entry.made_again.cause)


def test_what_cannot_be_read_costs_nothing_else(tmp_path: Path, path: Path) -> None:
    _write(tmp_path / "reports" / "good", stored_runs.full("good"))
    for name, content in (("cut", b'{"version": 1,'), ("later", b'{"version": 99}'), ("bytes", b"\xff\xfe\xff")):
        (tmp_path / "reports" / name).mkdir()
        (tmp_path / "reports" / name / "result.json").write_bytes(content)
    (tmp_path / "reports" / "suite.json").write_text("[]")
    with Store.open(path) as store:
        done = ingest(store, [tmp_path / "reports"])
        assert done.added == 1
        assert len(done.refused) == 4
        for name in ("cut", "later", "bytes", "suite.json"):
            assert any(name in sentence for sentence in done.refused), name


def test_a_folder_without_runs_is_never_green(tmp_path: Path, path: Path) -> None:
    with Store.open(path) as store:
        with pytest.raises(NothingSelectedError):
            ingest(store, [tmp_path])
        with pytest.raises(UsageError, match="not a folder"):
            ingest(store, [tmp_path / "nothing"])


def test_the_commands_say_what_they_did(tmp_path: Path, path: Path) -> None:
    old = replace(stored_runs.full("old"), started_wall="2026-01-01T00:00:00Z")
    _write(tmp_path / "reports" / "old", old)
    _write(tmp_path / "reports" / "new", stored_runs.full("new"))

    def invoke(*words: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["store", *words, "--store", str(path)], standalone_mode=False)
        assert done.exception is None, done.exception
        return done.return_value, done.output

    assert "no store yet" in invoke("info")[1]
    assert invoke("add", str(tmp_path / "reports")) == (0, f"{path}: 2 added, 0 known already, 0 refused\n")
    assert "2 of 1 plans" in invoke("info")[1]
    assert invoke("prune", "--before", "2026-02-01") == (0, f"{path}: 1 runs removed\n")
    (tmp_path / "reports" / "new" / "result.json").write_text("{}")
    code, said = invoke("add", str(tmp_path / "reports"))
    assert code == ExitCode.ENVIRONMENT
    assert "1 refused" in said
