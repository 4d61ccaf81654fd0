"""Shards merge into what the unsplit suite is; what does not belong together or is not all there is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.recorded_runs import differing
from support.suite_samples import canary, cost, entry, generated, green, not_run, red, suite
from support.suite_shards import placed, split, write

from harness.errors import ExitCode, UnfitEnvironmentError, UsageError
from harness.report.serialize import from_json as run_from_json
from harness.report.suite_json import contradictions, from_json, to_json
from harness.session.check_again import check_again
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.agreement import absent_text, require_agreeing
from harness.suites.merge import Merged, Part, merge
from harness.suites.merge_files import merge_folders, read_parts, with_copies
from harness.verdict import Verdict

RECORDED = Path(__file__).parents[2] / "corpus" / "recorded"
OUT = Path("out")


def _parts(whole: SuiteResult, total: int, folder: Path = OUT) -> list[Part]:
    """Return shards whose paths are relative to the folder of the merged result, so that they stay as they are."""
    return [Part(folder=folder, suite=shard) for shard in split(whole, total)]


@pytest.mark.parametrize("make", [green, red, lambda: generated(60)])
@pytest.mark.parametrize("total", [1, 2, 4, 7, 100])
def test_shards_merge_into_the_unsplit_suite(make: Callable[[], SuiteResult], total: int) -> None:
    whole = make()
    merged = merge(_parts(whole, total), OUT)
    assert merged.suite.entries == whole.entries
    assert (merged.suite.exit_code, merged.suite.complete) == (whole.exit_code, whole.complete)
    assert (merged.suite.plan_digest, merged.suite.shard) == (whole.plan_digest, "")
    assert len(merged.suite.parts) == total
    assert contradictions(merged.suite) == ()
    assert merged.lacks == tuple(f"{one.key}: {one.reason}" for one in whole.entries if one.state == "missing")


def test_a_merged_suite_is_read_back() -> None:
    merged = merge(_parts(red(), 3), OUT).suite
    assert from_json(to_json(merged)) == merged


def test_merging_again_in_any_order_and_of_what_was_merged_changes_nothing() -> None:
    parts = _parts(red(), 4)
    whole = merge(parts, OUT).suite
    one, other = (Part(folder=OUT, suite=merge(half, OUT).suite) for half in (parts[:2], parts[1:]))
    everything = Part(folder=OUT, suite=whole)
    for again in (parts[::-1], [*parts, *parts], [everything], [everything, parts[2]], [other, one]):
        assert merge(again, OUT).suite == whole


def test_time_and_budget_are_those_of_all_machines() -> None:
    first, second = split(green(), 2)
    first = replace(first, started_wall="2026-03-14T02:00:00Z", wall_ns=60_000_000_000, cores=2.0, cpu_busy=0.5)
    second = replace(second, started_wall="2026-03-14T02:00:30Z", wall_ns=60_000_000_000, cores=4.0, cpu_busy=-1.0)
    merged = merge([Part(folder=OUT, suite=second), Part(folder=OUT, suite=first)], OUT).suite
    assert (merged.started_wall, merged.wall_ns) == ("2026-03-14T02:00:00Z", 90_000_000_000)
    assert (merged.cores, merged.cpu_busy) == (6.0, 0.5)
    assert merged.memory_bytes == first.memory_bytes + second.memory_bytes


def test_a_shard_that_regressed_against_its_baseline_fails_the_whole() -> None:
    first, second = split(green(), 2)
    parts = [Part(folder=OUT, suite=replace(first, exit_code=1)), Part(folder=OUT, suite=second)]
    merged = merge(parts, OUT).suite
    assert merged.exit_code == ExitCode.VIOLATED
    assert merge([Part(folder=OUT, suite=merged), *parts], OUT).suite == merged


def test_an_earlier_state_of_a_shard_does_not_hide_that_the_last_one_regressed() -> None:
    (shard,) = split(green(), 1)
    earlier = replace(
        shard,
        entries=(*shard.entries[:-1], not_run(shard.entries[-1].scenario, "it had not ended when this was written")),
        complete=False,
        exit_code=2,
        wall_ns=shard.wall_ns - 1,
    )
    parts = [Part(folder=OUT, suite=replace(shard, exit_code=1)), Part(folder=OUT, suite=earlier)]
    merged = [merge(order, OUT).suite for order in (parts, parts[::-1])]
    assert merged[0] == merged[1]
    assert (merged[0].exit_code, merged[0].complete, len(merged[0].parts)) == (ExitCode.VIOLATED, True, 1)
    assert merged[0].wall_ns == shard.wall_ns


def test_a_missing_shard_fails_the_merge_and_its_runs_are_named() -> None:
    whole = generated(12)
    parts = _parts(whole, 4)
    merged = merge([parts[0], parts[1], parts[3]], OUT)
    missing = [one for one in merged.suite.entries if one.state == "missing"]
    assert {one.key for one in missing} == {one.key for one in parts[2].suite.entries}
    assert {one.reason for one in missing} == {"shard 3/4 is missing"}
    assert merged.lacks == (f"shard 3/4 is missing ({len(missing)} of 12 runs)",)
    assert not merged.suite.complete
    assert merged.suite.exit_code != ExitCode.PASS
    assert contradictions(merged.suite) == ()
    late = merge([Part(folder=OUT, suite=merged.suite), parts[2]], OUT)
    assert late.suite == merge(parts, OUT).suite


def test_an_empty_shard_that_is_missing_fails_the_merge_as_well() -> None:
    parts = _parts(suite([entry("latency")]), 2)
    assert [len(part.suite.entries) for part in parts] == [1, 0]
    assert [part.suite.exit_code for part in parts] == [0, 0]
    assert merge(parts, OUT).suite.exit_code == ExitCode.PASS
    assert merge(parts[:1], OUT).lacks == ("shard 2/2 is missing (0 of 1 runs)",)


def test_a_run_that_its_shard_does_not_hold_fails_the_merge() -> None:
    parts = _parts(generated(12), 2)
    lost = parts[0].suite.entries[0]
    cut = replace(parts[0], suite=replace(parts[0].suite, entries=parts[0].suite.entries[1:]))
    merged = merge([cut, parts[1]], OUT)
    assert merged.lacks == (f"{lost.key}: shard 1/2 has no entry of it",)
    assert merged.suite.exit_code != ExitCode.PASS


def test_a_lost_run_of_a_race_leaves_the_race_undecided() -> None:
    whole = suite([entry("race", attempts=(3, 2), repetition=repetition) for repetition in (1, 2, 3)])
    (part,) = _parts(whole, 1)
    merged = merge([replace(part, suite=replace(part.suite, entries=part.suite.entries[:1]))], OUT)
    assert len(merged.lacks) == 2
    assert merged.suite.exit_code == ExitCode.INTERRUPTED
    assert contradictions(merged.suite) == ()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"harness": "0.8.0"}, r"differ in their harness:\n.*0\.9\.0\n.*0\.8\.0"),
        ({"plan_digest": "ab" * 32}, "differ in their plan_digest"),
        ({"cost_digest": "ab" * 32}, "differ in their cost_digest"),
        ({"shard": "2/3"}, "differ in their number of shards"),
        ({"planned": ()}, "differ in their list of planned runs"),
    ],
)
def test_what_is_not_of_one_suite_is_refused(changed: dict[str, Any], says: str) -> None:
    first, second = split(generated(8), 2)
    parts = [Part(folder=Path("a"), suite=first), Part(folder=Path("b"), suite=replace(second, **changed))]
    with pytest.raises(UsageError, match=says):
        merge(parts, OUT)


def test_an_unsplit_suite_and_a_shard_of_it_are_refused() -> None:
    whole = green()
    with pytest.raises(UsageError, match=r"differ in their cost_digest:\n  .*: \(none\)"):
        merge([Part(folder=Path("a"), suite=whole), Part(folder=Path("b"), suite=split(whole, 2)[0])], OUT)


def test_a_list_of_runs_that_was_cut_is_refused() -> None:
    parts = [
        replace(part, suite=replace(part.suite, planned=part.suite.planned[1:], entries=part.suite.entries[:0]))
        for part in _parts(green(), 2)
    ]
    with pytest.raises(UsageError, match="not those of its plan digest"):
        merge(parts, OUT)


def test_a_run_that_the_suite_does_not_have_is_refused() -> None:
    (part,) = _parts(green(), 1)
    more = replace(part, suite=replace(part.suite, entries=(*part.suite.entries, entry("other"))))
    with pytest.raises(UsageError, match=r"other\.yaml@auto#1: the suite has no such run"):
        merge([more], OUT)


def _attempt(number: int, one: SuiteEntry) -> Part:
    """Return an attempt of the only shard of a suite of one run."""
    (shard,) = split(suite([entry("latency")]), 1)
    attempt = replace(
        shard,
        suite_id=f"attempt-{number}",
        entries=(one,),
        complete=one.state != "missing",
        exit_code=one.exit_code if one.exit_code is not None else 2,
    )
    return Part(folder=OUT, suite=attempt)


_ENVIRONMENT = entry("latency", Verdict.INCONCLUSIVE, run_id="env", run_dir="runs/env", exit_code=7)
_MISSING = not_run("latency", "the suite was interrupted")
_PASSED = entry("latency", run_id="pass", run_dir="runs/pass")
_FAILED = entry("latency", Verdict.FAIL, run_id="fail", run_dir="runs/fail")
_INCONCLUSIVE = entry("latency", Verdict.INCONCLUSIVE, run_id="inc", run_dir="runs/inc")


@pytest.mark.parametrize(
    ("executions", "counts"),
    [
        ((_ENVIRONMENT, _PASSED), _PASSED),  # attempted again because the machine could not
        ((_MISSING, _PASSED), _PASSED),
        ((_MISSING, _ENVIRONMENT), _ENVIRONMENT),
        ((_PASSED, _FAILED), _FAILED),  # a second attempt never hides what another one found
        ((_INCONCLUSIVE, _PASSED), _INCONCLUSIVE),
        ((_INCONCLUSIVE, _FAILED), _FAILED),
    ],
)
def test_of_two_attempts_of_a_shard_the_verdict_counts_and_of_two_verdicts_the_worse(
    executions: tuple[SuiteEntry, SuiteEntry], counts: SuiteEntry
) -> None:
    parts = [_attempt(number, one) for number, one in enumerate(executions)]
    for order in (parts, parts[::-1]):
        merged = merge(order, OUT)
        assert merged.suite.entries == (counts,)
        assert merged.suite.exit_code == counts.exit_code
        assert len(merged.notes) == sum(one.run_id != "" for one in executions) - 1


def test_two_stories_of_one_run_are_refused() -> None:
    other = replace(_FAILED, run_id=_PASSED.run_id)
    with pytest.raises(UsageError, match="two results disagree about run pass"):
        merge([_attempt(1, _PASSED), _attempt(2, other)], OUT)


def test_a_copy_of_a_shard_is_the_shard(tmp_path: Path) -> None:
    shards = [write(shard, tmp_path / f"s{number}") for number, shard in enumerate(split(green(), 2))]
    again = write(shards[0].suite, tmp_path / "copy")
    merged = merge([again, *shards], tmp_path)
    assert merged.notes == ()
    assert merged.suite == merge([*shards, again], tmp_path).suite
    assert {one.run_dir.split("/")[0] for one in merged.suite.entries} == {"copy", "s1", ""}


# On disk, with runs that were recorded.


def _recorded() -> SuiteResult:
    """Return the recorded runs as one suite, whose folder is that of their run directories."""
    entries = []
    for folder in sorted(RECORDED.iterdir()):
        result = run_from_json((folder / "result.json").read_text(encoding="utf-8"))
        failed = tuple(check.check for check in result.checks if check.verdict is Verdict.FAIL)
        make = canary if result.must_fail else entry
        entries.append(
            make(
                result.scenario,
                verdict=result.verdict,
                file=result.file,
                key=f"{result.file}@process#1",
                digest=result.digest,
                must_fail=result.must_fail,
                failed=tuple(name for name in failed if not result.must_fail or name in result.must_fail),
                outcome=result.outcome,
                exit_code=result.exit_code,
                run_id=result.run_id,
                run_dir=folder.name,
                expected=cost(wall_ns=len(result.scenario) * 1_000_000_000),
            )
        )
    return suite(entries, harness="0.1.0")


def _merged_on_disk(tmp_path: Path, total: int = 4) -> tuple[Path, Merged]:
    for shard in split(_recorded(), total):
        write(placed(shard, RECORDED, tmp_path / shard.suite_id), tmp_path / shard.suite_id)
    out = tmp_path / "merged"
    out.mkdir()
    return out, merge(read_parts([tmp_path]), out)


def test_recorded_runs_split_in_four_and_merged_are_equal_finding_by_finding(tmp_path: Path) -> None:
    whole = _recorded()
    out, merged = _merged_on_disk(tmp_path)
    assert [len(part.suite.entries) for part in read_parts([tmp_path])] == [2, 1, 1, 1]
    assert require_agreeing(merged.suite, out) == []
    assert placed(merged.suite, out, RECORDED).entries == whole.entries
    for one, unsplit in zip(merged.suite.entries, whole.entries, strict=True):
        split_off, kept = (check_again(place)[0] for place in (out / one.run_dir, RECORDED / unsplit.run_dir))
        assert [check.findings for check in split_off.checks] == [check.findings for check in kept.checks]
        assert split_off.verdict == kept.verdict == one.verdict
        assert differing(out / one.run_dir) == []


def test_copies_of_run_directories_are_complete_and_made_once(tmp_path: Path) -> None:
    out, merged = _merged_on_disk(tmp_path)
    copied = with_copies(merged.suite, out)
    assert [one.run_dir for one in copied.entries] == [f"runs/{one.run_id}" for one in copied.entries]
    assert require_agreeing(copied, out) == []
    assert all(differing(out / one.run_dir) == [] for one in copied.entries)
    mark = out / copied.entries[0].run_dir / "mark"
    mark.touch()
    assert with_copies(merged.suite, out) == copied
    assert mark.exists()


def test_a_result_that_says_other_than_its_run_directory_is_refused(tmp_path: Path) -> None:
    whole = _recorded()
    failed = whole.entries[0]
    green_now = replace(
        whole, entries=(replace(failed, run_dir=str(RECORDED / failed.run_dir), run_id="other"), *whole.entries[1:])
    )
    with pytest.raises(UsageError, match=r"run_id is other in suite\.json and 20\S+ in .*result\.json"):
        require_agreeing(green_now, RECORDED)
    place = tmp_path / "run"
    place.mkdir()
    (place / "result.json").write_text(
        json.dumps({"run_id": failed.run_id, "digest": failed.digest, "verdict": "pass"})
    )
    with pytest.raises(UsageError, match="verdict is fail in suite"):
        require_agreeing(replace(whole, entries=(replace(failed, run_dir="run"),)), tmp_path)


def test_run_directories_that_are_not_there_are_counted_and_cannot_be_copied(tmp_path: Path) -> None:
    whole = green()
    absent = require_agreeing(whole, tmp_path)
    assert len(absent) == 5
    (said,) = absent_text(absent)
    assert said.startswith("5 run directories are not here")
    assert said.endswith("and 2 more")
    assert list(absent_text([])) == []
    with pytest.raises(UnfitEnvironmentError, match="cannot be copied"):
        with_copies(whole, tmp_path)
    assert not list(tmp_path.rglob("*.partial"))


def test_a_run_cannot_be_copied_out_of_the_folder(tmp_path: Path) -> None:
    one = replace(entry("latency"), run_id="../elsewhere")
    with pytest.raises(UsageError, match="is no name of a run"):
        with_copies(suite([one]), tmp_path)


def test_folders_without_a_result_are_refused(tmp_path: Path) -> None:
    (tmp_path / "shard-1").mkdir()
    with pytest.raises(UsageError, match=r"shard-1: no suite\.json in or below it"):
        read_parts([tmp_path / "shard-1"])
    with pytest.raises(UsageError, match=r"no such folder: .*shard-2\n.*did you mean 'shard-1'"):
        read_parts([tmp_path / "shard-2"])
    (tmp_path / "shard-1" / "suite.json").write_text("{", encoding="utf-8")
    with pytest.raises(UsageError, match=r"shard-1/suite\.json: the suite is not valid JSON"):
        read_parts([tmp_path / "shard-1"])


def test_a_result_below_one_that_was_merged_before_counts(tmp_path: Path) -> None:
    early, late = split(green(), 2)
    write(early, tmp_path / "early")
    merge_folders([tmp_path], tmp_path, copy=False)
    write(late, tmp_path / "late")
    merged, _ = merge_folders([tmp_path], tmp_path, copy=False)
    assert (merged.suite.complete, merged.suite.exit_code, merged.lacks) == (True, ExitCode.PASS, ())


def test_what_is_left_aside_must_agree_with_its_run_directory_too(tmp_path: Path) -> None:
    for number, one in enumerate((_ENVIRONMENT, _PASSED)):
        write(_attempt(number, one).suite, tmp_path / str(number))
    place = tmp_path / "0" / _ENVIRONMENT.run_dir
    place.mkdir(parents=True)
    said = {"run_id": "env", "digest": _ENVIRONMENT.digest, "verdict": "fail", "outcome": "fail", "exit_code": 1}
    (place / "result.json").write_text(json.dumps(said))
    with pytest.raises(UsageError, match=r"verdict is inconclusive in suite\.json and fail in"):
        merge_folders([tmp_path], tmp_path / "out", copy=False)
    assert not (tmp_path / "out").exists()
