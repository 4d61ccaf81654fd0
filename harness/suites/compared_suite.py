"""A finished suite's folder against the store: reads one run's result at a time. Knows no rule of comparing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import HarnessError
from harness.suite_baseline import BaselineResult
from harness.suite_result import SuiteResult
from harness.suites.baseline import TOLERANCE, choose, compare
from harness.suites.compared_run import ComparedRun, of_result
from harness.suites.ingest import place_of, read_result
from harness.suites.prediction import FALSE_ALARM
from harness.suites.store import Store
from harness.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRequest:
    """What a suite is to be compared with.

    Attributes:
        store: The store's file.
        text: ``last:10``, or a name.
        tolerance: Share of the median by which a measure may be worse.
        optional: What cannot be compared does not count against the suite.
    """

    store: Path
    text: str
    tolerance: float = TOLERANCE
    optional: bool = False

    def check(self) -> None:
        """Refuse what can never be compared, before anything is run.

        A store that does not exist yet is none of these: the first night creates it.

        Raises:
            UsageError: The baseline does not exist, or the file is no store.
        """
        if self.store.exists() or not self.text.startswith("last:"):
            with Store.read(self.store) as store:
                choose(store, self.text)


def compare_suite(suite: SuiteResult, folder: Path, request: BaselineRequest) -> BaselineResult:
    """Compare a suite that has ended; what prevents that makes it inconclusive, and is never raised.

    Args:
        suite: What its ``suite.json`` says.
        folder: Of ``suite.json``.
        request: With what.
    """
    try:
        with Store.read(request.store) as store:
            return compare(
                store,
                _runs(suite, folder),
                choose(store, request.text),
                tolerance=request.tolerance,
                optional=request.optional,
            )
    except (HarnessError, OSError) as error:
        said = error.message if isinstance(error, HarnessError) else str(error)
        return BaselineResult(
            baseline=request.text,
            tolerance=request.tolerance,
            false_alarm=FALSE_ALARM,
            optional=request.optional,
            verdict=Verdict.INCONCLUSIVE,
            skipped=(said,),
        )


def _runs(suite: SuiteResult, folder: Path) -> Iterator[ComparedRun]:
    """Yield the runs that count, as their run directories hold them."""
    for entry in suite.entries:
        if entry.state == "ended":
            result = read_result(folder / entry.run_dir / "result.json")
            yield of_result(result, place_of(suite.suite_id, suite.name, entry))
