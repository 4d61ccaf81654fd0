"""How plans run one after the other and results become one exit code, races included; how a run is reproduced."""

from __future__ import annotations

import errno
import io
import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from support import report_samples as samples
from support.in_memory import MemoryParts, memory_plan
from support.in_memory_runtime import MemoryCluster

from harness.brokers.base import BoundBroker
from harness.engine.parts import Binaries
from harness.engine.rundir import RunDir
from harness.errors import ExitCode, UnfitEnvironmentError, UsageError, race_decided
from harness.judging.saved_record import load_record
from harness.progress import Event, Listener, Note, RunFinished
from harness.report.text import render_result
from harness.result import AttemptCount, RunResult
from harness.scenario.model import Attempts
from harness.session import session
from harness.session.check_again import check_again
from harness.session.program import program, reproduce_command
from harness.session.races import no_longer_needed, not_shown, runs_of
from harness.session.selection import Selected, replan, select
from harness.session.session import exit_code, races_of

RACE = """
version: 1
title: A race
seed: 9
broker: nats-2
matrix: {workload.rate: [10/s, 20/s]}
expect:
  loss: {}
attempts: {runs: 4, at_least: 2}
"""


def _selected(folder: Path, text: str) -> list[Selected]:
    path = folder / "race.yaml"
    path.write_text(text, encoding="utf-8")
    return select([path])


def _runs(item: Selected, codes: list[int]) -> list[RunResult]:
    return [replace(samples.passing(), digest=item.plan.digest, exit_code=code) for code in codes]


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([0, 0, 1, 1], 0),
        ([0, 0, 0, 0], 0),
        ([0, 1, 1, 1], 1),
        ([1, 1, 1, 1], 1),
        ([0, 0, 6, 1], 6),
        ([0, 0, 0, 7], 7),
        ([0, 2], 2),
    ],
)
def test_the_runs_of_a_race_count_together(codes: list[int], expected: int, tmp_path: Path) -> None:
    item = _selected(tmp_path, RACE)[0]
    assert exit_code(_runs(item, codes), [item]) == expected


@pytest.mark.parametrize(("codes", "spared"), [([0, 0, 1, 1], 2), ([0, 1, 1, 1], 0), ([0, 0, 6, 1], 1)])
def test_what_a_passed_race_needs_no_more_of_is_red_in_no_report(codes: list[int], spared: int, tmp_path: Path) -> None:
    race = _selected(tmp_path, RACE)[0]
    results = [replace(run, run_id=str(number)) for number, run in enumerate(_runs(race, codes))]
    said = not_shown(races_of(results, [race]), results)
    assert list(said) == [run.run_id for run in results if run.exit_code == 1][:spared]
    assert all("2 of 4" in sentence for sentence in said.values())


def test_a_race_that_shows_often_enough_does_not_hide_another_violation(tmp_path: Path) -> None:
    race, other = _selected(tmp_path, RACE)
    other = replace(other, plan=replace(other.plan, attempts=None))
    assert exit_code(_runs(race, [0, 0, 1, 1]) + _runs(other, [1]), [race, other]) == 1


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("scenarios/rase.yaml", "did you mean 'race.yaml'?"), ("scenaris", "did you mean 'scenarios'?"), ("x.yaml", "")],
)
def test_a_path_that_is_missing_is_compared_with_scenarios_and_folders_alone(
    asked: str, hint: str, tmp_path: Path
) -> None:
    for folder in ("scenarios", ".scenaris"):
        (tmp_path / folder).mkdir()
    for name in ("race.yaml", "rase.txt"):
        (tmp_path / "scenarios" / name).touch()
    with pytest.raises(UsageError, match="no such scenario") as caught:
        select([tmp_path / asked])
    assert caught.value.hint == hint


def test_the_reproduce_command_selects_the_same_plan(tmp_path: Path) -> None:
    for item in _selected(tmp_path, RACE):
        words = reproduce_command(item.plan, "process", item.source).split()
        assert words[:2] == ["harness", "run"]
        seed = int(words[words.index("--seed") + 1])
        path, _, value = words[words.index("--variant") + 1].partition("=")
        (again,) = select([Path(words[2])], wanted={path: value}, seed=seed)
        assert again.plan.digest == item.plan.digest


def test_a_plan_is_made_again_from_its_text(tmp_path: Path) -> None:
    for item in _selected(tmp_path, RACE):
        again = replan(item.source, item.plan.file, item.plan.variant, item.plan.seed)
        assert again.digest == item.plan.digest
    edited = replan(RACE.replace("10/s", "11/s"), "race.yaml", {"workload.rate": "11/s"}, 9)
    assert edited.digest not in {item.plan.digest for item in _selected(tmp_path, RACE)}


@pytest.mark.parametrize(
    ("codes", "expected"),
    [
        ([], None),
        ([0], None),
        ([0, 0], 0),
        ([0, 1, 6, 0], 0),
        ([1, 1], None),
        ([1, 7, 1], 1),
        ([0, 1, 1], None),
        ([0, 1, 1, 1], 1),
        ([None], None),
    ],
)
def test_a_race_is_decided_once_it_showed_or_no_longer_can(codes: list[int], expected: int | None) -> None:
    assert race_decided(codes, runs=4, at_least=2) == expected


@pytest.mark.parametrize(
    ("given", "repeat", "made", "code", "said"),
    [
        ([0, 0, 1, 1], 1, 2, 0, "in 2 of 2 runs (needed: 2 of 4); it is decided, so 2 more runs are not needed"),
        ([1, 0, 0, 1], 1, 3, 0, "in 2 of 3 runs (needed: 2 of 4); it is decided, so 1 more run is not needed"),
        ([1, 1, 1, 0], 1, 3, 1, "in 0 of 3 runs (needed: 2 of 4); it is decided, so 1 more run is not needed"),
        ([0, 0, 1, 1], 3, 3, 0, "in 2 of 3 runs (needed: 2 of 4); it is decided, so 1 more run is not needed"),
        ([1, 0, 1, 0], 1, 4, 0, ""),
        ([0, 1, 1, 1, 0], 5, 5, 0, ""),
        ([6, 0, 0, 0], 1, 3, 6, "in 2 of 3 runs (needed: 2 of 4); it is decided, so 1 more run is not needed"),
    ],
)
def test_a_race_takes_no_run_that_decides_nothing(
    given: list[int], repeat: int, made: int, code: int, said: str, tmp_path: Path
) -> None:
    race, other = _selected(tmp_path, RACE)
    other = replace(other, plan=replace(other.plan, attempts=None, digest="another", scenario="another"))
    plans = [*([race.plan] * runs_of(race.plan, repeat)), *([other.plan] * repeat)]
    outcomes, told = iter(given), list[Event]()

    def run_one(index: int) -> RunResult:
        plan = plans[index]
        return replace(samples.passing(), digest=plan.digest, exit_code=next(outcomes) if plan is race.plan else 0)

    results = session.in_turn(
        [plan.scenario for plan in plans],
        run_one,
        lambda *_: None,
        told.append,
        lambda index, so_far: no_longer_needed(plans, index, so_far, repeat, told.append),
    )
    assert [result.digest for result in results].count(race.plan.digest) == made
    assert [result.digest for result in results].count("another") == repeat
    assert exit_code(results, [race, other]) == code
    notes = [event.text for event in told if isinstance(event, Note)]
    assert len(notes) == bool(said)
    assert all(note.endswith(said) and note.startswith("the race race [workload.rate=10/s] showed") for note in notes)
    (went,) = session.races_of(results, [race, other])
    assert (went.made, went.shown, went.at_least) == (made, given[:made].count(0), 2)


def test_a_race_that_was_interrupted_is_not_decided(tmp_path: Path) -> None:
    item = _selected(tmp_path, RACE)[0]
    (went,) = session.races_of(_runs(item, [0, 2]), [item])
    assert went.code is None
    assert exit_code(_runs(item, [0, 2]), [item]) is ExitCode.INTERRUPTED
    document = json.loads(session.results_json(_runs(item, [0, 2]), ExitCode.INTERRUPTED, [went]))
    (race,) = document["races"]
    assert (race["runs"], race["made"], race["shown"], race["code"]) == (4, 2, 1, None)


def test_the_runs_of_a_race_end_with_the_deciding_one(reports: Path) -> None:
    item = memory_plan()
    race = replace(item, plan=replace(item.plan, attempts=Attempts(runs=3, at_least=1)))
    results = session.run_all(
        [race], repeat=1, runtime="process", reports=reports, listener=lambda _: None, parts=MemoryParts()
    )
    assert [result.exit_code for result in results] == [0]


class FullDisk(MemoryParts):
    """Whatever is fetched finds the disk full."""

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where runs land; their leases lie in a directory of the test's own."""
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "reports"


def test_plans_run_one_after_the_other_and_count_together(reports: Path) -> None:
    plans = [memory_plan(), memory_plan(examined_min=1_000_000)]
    parts, told = MemoryParts(), list[Event]()
    results = session.run_all(plans, repeat=1, runtime="process", reports=reports, listener=told.append, parts=parts)
    assert [result.exit_code for result in results] == [ExitCode.PASS, ExitCode.INCONCLUSIVE], results[0].headline
    assert exit_code(results, plans) is ExitCode.INCONCLUSIVE
    assert [event.result for event in told if isinstance(event, RunFinished)] == results
    assert sorted(path.parent.name for path in reports.glob("*/result.json")) == sorted(
        Path(result.run_dir).name for result in results
    )


def test_a_run_directory_that_is_full_is_the_environment_s_fault(reports: Path) -> None:
    (result,) = session.run_all(
        [memory_plan()],
        repeat=1,
        runtime="process",
        reports=reports,
        listener=lambda _: None,
        parts=FullDisk(),
    )
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert result.error == "the run directory cannot be written: No space left on device"


PLAN = '{"file": "f", "variant": {}, "seed": 1, "digest": "d"}'
RECORD = '{"run_id": "r", "runtime": "process", "problems": [], "drain": "", "error": "", "exit_code": 0}'


@pytest.mark.parametrize(
    ("plan", "record", "scenario", "why"),
    [
        (None, RECORD, b"", "plan.json: No such file or directory"),
        ('{"file"', RECORD, b"", "plan.json: Expecting ':' delimiter: line 1 column 8 (char 7)"),
        ("null", RECORD, b"", "plan.json: it is not a JSON object"),
        ('{"file": "f", "seed": 1}', RECORD, b"", "plan.json: it has no variant, digest"),
        (PLAN, "{}", b"", "run.json: it has no run_id, runtime, problems, drain, error, exit_code"),
        (PLAN, RECORD.replace('"problems": [], ', ""), b"", "run.json: it has no problems"),
        (PLAN, RECORD.replace("[]", "[5]"), b"", "run.json: it has another problems than the engine writes"),
        (PLAN, RECORD.replace('""', "null", 1), b"", "run.json: it has another drain than the engine writes"),
        *(
            (
                PLAN,
                RECORD.replace("{", "{" + f'"{name}": {held}, ', 1),
                b"",
                f"run.json: it has another {name} than the",
            )
            for name, held in (
                ("timings_ns", '{"warmup": [5]}'),
                ("timings_ns", '{"warmup": 1' + 400 * "0" + "}"),
                ("timings_ns", '{"warmup": true}'),
                ("versions", '{"nats": 2}'),
                ("overhead", '{"cpu_s.harness": "much"}'),
                ("overhead", '{"cpu_s.harness": NaN}'),
            )
        ),
        (PLAN, RECORD.replace("0}", "6}"), b"", "run.json: it has another exit_code than the engine writes"),
        (PLAN, RECORD, None, "scenario.yaml: No such file or directory"),
        (PLAN, RECORD, b"title: \xff", "scenario.yaml: 'utf-8' codec can't decode byte 0xff in position 7: "),
    ],
)
def test_a_damaged_run_directory_is_refused_with_the_file_and_the_reason(
    plan: str | None, record: str, scenario: bytes | None, why: str, tmp_path: Path
) -> None:
    for name, content in (("plan.json", plan), ("run.json", record), ("scenario.yaml", scenario)):
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UnfitEnvironmentError) as caught:
        check_again(tmp_path)
    assert caught.value.message.startswith(f"{tmp_path} is not a complete run directory: {why}")


def test_a_run_bears_what_judging_it_has_cost(reports: Path) -> None:
    (result,) = session.run_all(
        [memory_plan()], repeat=1, runtime="process", reports=reports, listener=lambda _: None, parts=MemoryParts()
    )
    assert result.usage is not None
    engine = load_record(RunDir(Path(result.run_dir))).usage
    assert engine is not None
    assert set(result.usage.cpu_ns) == {"nodes", "toxiproxy", "workers", "monitor", "harness"}
    assert result.usage.cpu_ns["harness"] > engine.cpu_ns["harness"] > 0
    assert result.usage.wall_ns > engine.wall_ns
    assert result.usage.memory_peak_bytes == engine.memory_peak_bytes > 0


def test_each_run_of_a_race_says_how_far_its_race_has_come(reports: Path) -> None:
    item = memory_plan()
    race = replace(item, plan=replace(item.plan, attempts=Attempts(runs=4, at_least=2)))
    results = session.run_all(
        [race], repeat=3, runtime="process", reports=reports, listener=lambda _: None, parts=MemoryParts()
    )
    assert [result.attempts for result in results] == [
        AttemptCount(runs=4, at_least=2, made=made, shown=made) for made in (1, 2, 3)
    ]


def test_no_run_is_begun_after_one_that_did_not_pass(tmp_path: Path) -> None:
    items = [memory_plan(), memory_plan(examined_min=51)]
    heard: list[Event] = []
    results = session.run_all(
        items,
        repeat=2,
        runtime="process",
        reports=tmp_path,
        listener=heard.append,
        parts=MemoryParts(MemoryCluster(loses=frozenset({10, 11}))),
        first_failure_ends=True,
    )
    assert [result.exit_code for result in results] == [1]
    assert "-x: memory did not pass, so 3 runs are not made" in [str(getattr(event, "text", "")) for event in heard]


def test_the_reproduce_command_says_what_was_set_and_survives_a_shell(tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    (folder / "race.yaml").write_text(RACE, encoding="utf-8")
    (item,) = select([folder], wanted={"workload.rate": "10/s"}, settings={"cluster": "{nodes: 3}"})
    words = shlex.split(reproduce_command(item.plan, "process", item.source))
    options = {word.partition("=")[0]: words[index - 1] for index, word in enumerate(words) if "=" in word}
    assert options == {"workload.rate": "--variant", "cluster": "--set"}
    (again,) = select(
        [Path(words[2])], wanted={"workload.rate": "10/s"}, settings={"cluster": "{nodes: 3}"}, seed=item.plan.seed
    )
    assert again.plan.digest == item.plan.digest


@pytest.mark.parametrize(
    ("scenario", "part"), [("a, b", "a_ b"), ("задержка", "задержка"), ("ü" * 120, "ü" * 75), ("x" * 250, "x" * 150)]
)
def test_a_run_directory_has_a_name_that_every_broker_and_file_system_takes(
    scenario: str, part: str, tmp_path: Path
) -> None:
    plan = replace(memory_plan().plan, scenario=scenario)
    assert RunDir.create(tmp_path, plan, "20260101-000000-abcdef").path.name == f"20260101-000000-abcdef-{part}"


def test_the_program_is_named_so_that_a_shell_finds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "bin" / "harness"
    own.parent.mkdir()
    own.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert program(str(own)) == ["bin/harness"]
    monkeypatch.setenv("PATH", str(own.parent))
    assert program(str(own)) == ["harness"]
    assert program("/x/harness/__main__.py") == ["python", "-m", "harness"]
    assert program("/x/pytest") == ["harness"]


class _Unfit(MemoryParts):
    """A machine that lacks what a run needs."""

    async def software(
        self, bound: BoundBroker, runtime: str, listener: Listener, versions: dict[str, str]
    ) -> Binaries:
        raise UnfitEnvironmentError("there is no room", hint="make some")


def test_why_the_machine_is_unfit_is_said_once_with_what_to_do(tmp_path: Path) -> None:
    (result,) = session.run_all(
        [memory_plan()], repeat=1, runtime="process", reports=tmp_path, listener=lambda _: None, parts=_Unfit()
    )
    assert result.exit_code == ExitCode.ENVIRONMENT
    assert result.error == "there is no room\n  hint: make some"
    stream = io.StringIO()
    render_result(result, Console(file=stream, width=200))
    shown = stream.getvalue()
    assert (shown.count("there is no room"), shown.count("make some")) == (1, 1)


@pytest.mark.parametrize("damage", [{"cpu_ns": {"nodes": "much"}}, {"wall_ns": None}, {"machine_cores": [2]}])
def test_a_usage_that_is_damaged_is_left_out(damage: dict[str, object], tmp_path: Path) -> None:
    usage = {"cpu_ns": {"nodes": 1}, "memory_peak_bytes": 1, "wall_ns": 1, "machine_cores": 2.0, "machine_busy": 0.5}
    record = json.loads(RECORD) | {"usage": usage}
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    assert load_record(RunDir(tmp_path)).usage is not None
    (tmp_path / "run.json").write_text(json.dumps(record | {"usage": usage | damage}), encoding="utf-8")
    assert load_record(RunDir(tmp_path)).usage is None
