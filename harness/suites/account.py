"""What a suite says of itself as it stands: its result, with times and use of the machine over all its sessions.

Owns ``suite.json`` while runs are made. Knows nothing of schedules and processes.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness import __version__
from harness.clock import monotonic_ns
from harness.errors import ExitCode
from harness.result import Usage
from harness.suite_result import SuiteEntry, SuiteResult, plan_digest, suite_code
from harness.suites.budget import Budget
from harness.suites.rules import SuiteHead
from harness.suites.state import SuiteDir


class Account:
    """The account of one session of a suite, which begins when this is made.

    Args:
        folder: Of the suite.
        head: What it is.
        budget: For all runs together.
    """

    def __init__(self, folder: SuiteDir, head: SuiteHead, budget: Budget) -> None:
        self._folder, self._head, self._budget = folder, head, budget
        self._began_ns = monotonic_ns()
        self._blocked_ns: int | None = None
        self._waited_ns = 0
        self._first_cpu_ns = 0  # of executions that were made again

    def session_ns(self) -> int:
        """Return how long this session has gone on."""
        return monotonic_ns() - self._began_ns

    def since_start_ns(self, at_ns: int) -> int:
        """Return a moment of the monotonic clock as time since the suite's start, without breaks between sessions."""
        return max(0, at_ns - self._began_ns) + self._head.wall_ns

    def count_blocked(self, now: int, *, blocked: bool) -> None:
        """Add up how long runs waited for want of budget."""
        if self._blocked_ns is not None:
            self._waited_ns += now - self._blocked_ns
        self._blocked_ns = now if blocked else None

    def add_first(self, usage: Usage) -> None:
        """Count what an execution used that is made again, because its entry will show the second one."""
        self._first_cpu_ns += sum(usage.cpu_ns.values())

    def publish(self, entries: tuple[SuiteEntry, ...]) -> SuiteResult:
        """Write and return the result as it stands; raises UnfitEnvironmentError when it cannot be written."""
        wall_ns = self._head.wall_ns + self.session_ns()
        result = SuiteResult(
            suite_id=self._head.suite_id,
            name=self._head.name,
            harness=__version__,
            started_wall=self._head.started_wall,
            plan_digest=self._head.plan_digest or plan_digest((entry.key, entry.digest) for entry in entries),
            cost_digest=self._head.cost_digest,
            shard=self._head.shard,
            planned=self._head.planned,
            complete=all(entry.state != "missing" for entry in entries),
            exit_code=int(ExitCode.PASS if self._head.shard and not entries else suite_code(entries)),
            cores=self._budget.cores,
            memory_bytes=self._budget.memory_bytes,
            wall_ns=wall_ns,
            cpu_busy=self._busy(entries, wall_ns),
            waited_ns=self._head.waited_ns + self._waited_ns,
            entries=entries,
        )
        self._folder.write(result)
        return result

    def _busy(self, entries: Sequence[SuiteEntry], wall_ns: int) -> float:
        """Return which share of the budget's CPUs all runs used, over all sessions; -1 when none was measured."""
        used = [sum(entry.usage.cpu_ns.values()) for entry in entries if entry.usage is not None]
        if not used or not wall_ns:
            return -1.0
        return min(1.0, (sum(used) + self._first_cpu_ns) / (wall_ns * self._budget.cores))
