"""Whatever becomes of a run directory, it is never judged better than it was. ``make prove`` damages 2,000."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.run_dir_mutations import MUTATIONS, contents, copy
from support.run_dirs import RUNS, WORDS, make_run

from harness.errors import ExitCode, UnfitEnvironmentError, UsageError
from harness.history.manifest import MANIFEST
from harness.result import RunResult
from harness.session.check_again import JudgedAgain, check_again
from harness.verdict import Verdict

RECORDED = Path(__file__).parents[1] / "corpus" / "recorded"
COUNT = int(os.environ.get("HARNESS_MUTATIONS", "200"))

VERDICTS = {
    "passing": Verdict.PASS,
    "node killed": Verdict.PASS,
    "client killed": Verdict.PASS,
    "losing": Verdict.FAIL,
    "unproven fault": Verdict.INCONCLUSIVE,
    "problem": Verdict.INCONCLUSIVE,
}


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Path, Verdict]]:
    """Return run directory → its verdict, of runs made here and recorded ones."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HARNESS_STATE_DIR", str(folder / "state"))
        found = {Path(make_run(name, folder / name).run_dir): VERDICTS[name] for name in RUNS}
        found |= {path: _judged(path).result.verdict for path in sorted(RECORDED.iterdir())}
        yield found


def _judged(run_dir: Path) -> JudgedAgain:
    return check_again(run_dir, WORDS)


def _judged_or_refused(run_dir: Path) -> RunResult | None:
    """Return a result, or None when the directory is refused with a clear error, which is no verdict."""
    with contextlib.suppress(UnfitEnvironmentError, UsageError):
        return _judged(run_dir).result
    return None


def test_the_originals_agree_with_their_results(originals: dict[Path, Verdict]) -> None:
    for run_dir, verdict in originals.items():
        again = _judged(run_dir)
        assert again.result.verdict is verdict, (run_dir, again.result.headline, again.result.blocking)
        assert not again.verdict_differs, (run_dir, again.differing)


def test_no_mutated_run_directory_is_judged_better(originals: dict[Path, Verdict], tmp_path: Path) -> None:
    """Nor does a mutation make a violation: with its manifest, a directory that was changed proves nothing."""
    seen: Counter[str] = Counter()
    for number in range(COUNT):
        draw = random.Random(number)
        original = draw.choice(sorted(originals))
        name = draw.choice(sorted(MUTATIONS))
        mutated = copy(original, tmp_path / "mutated")
        MUTATIONS[name](mutated, draw)
        if draw.random() < 0.25:
            (mutated / MANIFEST).unlink(missing_ok=True)
        sealed = (mutated / MANIFEST).exists()
        same = contents(mutated) == contents(original)
        where = f"mutation {number}: {name} of {original.name}{'' if sealed else ', without manifest'}"
        result = _judged_or_refused(mutated)
        seen["refused" if result is None else f"{originals[original]} → {result.verdict}"] += not same
        if same:
            assert result is not None, where
            assert result.verdict is originals[original], where
        elif result is not None:
            assert Verdict.PASS not in {result.verdict, result.outcome}, f"{where}: {result.headline}"
            assert result.exit_code != ExitCode.PASS, where
            assert not sealed or result.verdict is Verdict.INCONCLUSIVE, f"{where}: {result.headline}"
        shutil.rmtree(mutated)
    assert seen["pass → inconclusive"] > COUNT / 8, seen
    assert seen["fail → inconclusive"] > COUNT / 20, seen
    print(dict(seen))
