"""A suite of real runs split in four, as on four machines, and merged: equal to the suite in one piece."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from support.cli_runner import Cli
from support.made_again import record_entries

from harness.errors import ExitCode
from harness.report.serialize import from_json as run_of
from harness.report.suite_json import from_json
from harness.suite_result import SuiteEntry, SuiteResult

SCENARIO = """
version: 1
title: A short run
seed: 5
broker: nats-2
cluster: {nodes: 1}
workload: {producers: 1, consumers: 1, partitions: 2, keys: 8, rate: 50/s, warmup: 300ms, duration: 1s, drain: 15s}
expect:
  loss: {examined_min: 20}
  order: {}
"""
STORAGES = "matrix: {cluster.topic.storage: [file, memory]}\n"
# No run can meet these: nothing is delivered within 1 µs, and 50 messages a second are sent.
TOO_SLOW = "  latency: {p50_max: 1us}\n"
TOO_FEW = "  throughput: {processed_min: 1000/s}\n"
FILES = {
    "late": SCENARIO + TOO_SLOW,
    "few": SCENARIO + TOO_FEW + "must_fail: [throughput]\n",
    "few-twin": SCENARIO,
    "storages": SCENARIO + STORAGES,
}
RUNS = 5
TOTAL = 4
Findings = dict[str, list[tuple[str, str, list[tuple[str, str]]]]]


def test_four_shards_merge_into_the_whole_and_none_can_be_withheld(cli: Cli) -> None:
    files = [cli.write(text, f"{name}.yaml") for name, text in FILES.items()]
    whole = _ran(cli, files, "--cores", "1")
    machines = {f"{index}/{TOTAL}": Cli(cli.home / f"machine{index}") for index in range(1, TOTAL + 1)}
    with ThreadPoolExecutor() as pool:
        ran = {
            shard: pool.submit(_ran, machine, files, "--shard", shard, "--cores", "0.6")
            for shard, machine in machines.items()
        }
        shards = {shard: future.result() for shard, future in ran.items()}
    for result in (whole, *shards.values()):
        record_entries(result.entries)
    _require_split(whole, shards)

    out = cli.home / "merged"
    reports = [machine.reports for machine in machines.values()]
    done = _merge(cli, reports, out, "--copy")
    merged = from_json(done.stdout)
    assert done.returncode == merged.exit_code == whole.exit_code == ExitCode.VIOLATED, done.stderr
    assert merged.complete
    assert merged.plan_digest == whole.plan_digest
    assert [_planned(entry) for entry in merged.entries] == [_planned(entry) for entry in whole.entries]
    assert [_came_of(entry) for entry in merged.entries] == [_came_of(entry) for entry in whole.entries]
    assert _findings(merged, out) == _findings(whole, _folder(cli))
    of_shards = [_placeless(entry) for shard in shards.values() for entry in shard.entries]
    assert sorted(map(_placeless, merged.entries), key=_key) == sorted(of_shards, key=_key)

    before = (out / "suite.json").read_bytes()
    again = _merge(cli, [*reversed(reports), out], out, "--copy")
    assert again.returncode == ExitCode.VIOLATED
    assert again.stdout.encode() == (out / "suite.json").read_bytes() == before

    # Without the only run that failed, all that is there is green.
    withheld = next(shard for shard, result in shards.items() if result.exit_code)
    shutil.rmtree(machines[withheld].home)
    _require_lack(cli, merged, withheld, [machine.reports for machine in machines.values() if machine.home.exists()])


def _require_split(whole: SuiteResult, shards: Mapping[str, SuiteResult]) -> None:
    """Require that the shards are the whole suite, each run exactly once, and that all of them agree on it."""
    assert len(whole.entries) == RUNS
    held = Counter(entry.key for shard in shards.values() for entry in shard.entries)
    assert held == Counter(entry.key for entry in whole.entries)
    assert sorted(len(shard.entries) for shard in shards.values()) == [1, 1, 1, 2]
    pair = next(shard for shard in shards.values() if len(shard.entries) == 2)
    assert [entry.scenario for entry in pair.entries] == ["few", "few-twin"]
    assert {shard.plan_digest for shard in shards.values()} == {whole.plan_digest}
    assert len({shard.cost_digest for shard in shards.values()}) == 1
    assert [shard.shard for shard in shards.values()] == list(shards)
    assert all(shard.complete for shard in shards.values())
    assert sorted(shard.exit_code for shard in shards.values()) == [0, 0, 0, ExitCode.VIOLATED]


def _require_lack(cli: Cli, merged: SuiteResult, withheld: str, reports: Sequence[Path]) -> None:
    """Require that a merge without one shard fails, names it, and lists everything that is there."""
    out = cli.home / "lacking"
    done = _merge(cli, reports, out)
    lacking = from_json(done.stdout)
    assert done.returncode == lacking.exit_code == ExitCode.INTERRUPTED, done.stderr
    assert not lacking.complete
    assert f"error: shard {withheld} is missing (1 of {RUNS} runs)" in done.stderr.splitlines()
    assert [_planned(entry) for entry in lacking.entries] == [_planned(entry) for entry in merged.entries]
    (missing,) = (entry for entry in lacking.entries if entry.state == "missing")
    assert (missing.scenario, missing.reason) == ("late", f"shard {withheld} is missing")
    there = [entry for entry in lacking.entries if entry is not missing]
    assert list(map(_placeless, there)) == [_placeless(entry) for entry in merged.entries if entry.key != missing.key]
    assert all((out / entry.run_dir / "result.json").exists() for entry in there)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert all(entry.run_id in page for entry in there)


def _ran(cli: Cli, files: Sequence[Path], *words: str) -> SuiteResult:
    """Run a suite, or a shard of it, on a machine of its own; return what it printed."""
    done = cli.run("suite", *files, "--runtime", "process", "--reports", cli.reports, "--json", *words)
    assert done.stdout, done.stderr
    result = from_json(done.stdout)
    assert done.returncode == result.exit_code, done.stderr
    return result


def _merge(cli: Cli, folders: Sequence[Path], out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return cli.run("suite", "merge", *folders, "--out", out, "--json", *words)


def _folder(cli: Cli) -> Path:
    (path,) = cli.reports.glob("*/suite.json")
    return path.parent


def _key(entry: SuiteEntry) -> str:
    return entry.key


def _placeless(entry: SuiteEntry) -> SuiteEntry:
    """Return an entry without its paths, which differ between a shard and what it was merged into."""
    again = entry.made_again
    return replace(entry, run_dir="", made_again=replace(again, run_dir="") if again is not None else None)


def _planned(entry: SuiteEntry) -> tuple[str, str]:
    return entry.key, entry.digest


def _came_of(entry: SuiteEntry) -> tuple[object, ...]:
    return entry.key, entry.state, entry.verdict, entry.outcome, entry.exit_code, entry.failed


def _findings(result: SuiteResult, folder: Path) -> Findings:
    """Return key → its expected checks, as the run directory says: the verdict, and of each finding its type and limit.

    Times and counts are left out, because no two real runs share them.
    """
    found = {}
    for entry in result.entries:
        run = run_of((folder / entry.run_dir / "result.json").read_text(encoding="utf-8"))
        found[entry.key] = [
            (check.check, check.verdict.value, [(finding.type, finding.metric) for finding in check.findings])
            for check in run.checks
            if check.expected
        ]
    assert sum(len(findings) for checks in found.values() for _, _, findings in checks) == 2
    return found
