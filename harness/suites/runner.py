"""Many runs side by side within a budget, as one result.

Owns which run starts when, and how a suite ends early. Each run is a process of its own; of what it found a bounded
entry is kept. What is made again and when a race is decided, the places know. Knows nothing of how one run works.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from harness.clock import monotonic_ns
from harness.errors import ExitCode
from harness.progress import (
    Note,
    SuiteListener,
    SuiteRunEnded,
    SuiteRunFaults,
    SuiteRunPhase,
    SuiteRunStarted,
)
from harness.report.suite_files import SuiteReports
from harness.session.leftovers import sweep_notes
from harness.session.signals import heeded
from harness.suite_result import Cost, SuiteResult
from harness.suites.account import Account
from harness.suites.admission import Admission
from harness.suites.budget import Budget
from harness.suites.messages import RunRequest
from harness.suites.outlook import announcement, outlook
from harness.suites.place import Place
from harness.suites.places import Places
from harness.suites.process import RunProcess
from harness.suites.rules import Costs, Keep, Rules, SuiteHead
from harness.suites.schedule import next_start
from harness.suites.state import SuiteDir
from harness.suites.twins import show_twins

_FAILED: Final = frozenset({ExitCode.VIOLATED, ExitCode.INTERNAL, ExitCode.ENVIRONMENT})
"""What ends a suite that is to end at the first failure: an inconclusive run does not."""


async def run_suite(
    places: Sequence[Place],
    folder: SuiteDir,
    *,
    head: SuiteHead,
    rules: Rules,
    budget: Budget,
    costs: Costs,
    listener: SuiteListener,
    keep: Keep | None = None,
    isolate: str = "never",
) -> SuiteResult:
    """Make every run that waits; return the result of the suite, which ``suite.json`` holds as well.

    A first signal ends all runs cleanly and keeps what is done; a second one leaves them no time to be judged.

    Args:
        places: In the order of selection; those that are done stay as they are.
        folder: Of the suite.
        head: What it is.
        rules: How it may end early.
        budget: For all runs together.
        costs: Are written after each run.
        listener: Hears of progress.
        keep: Hears of each run that ended, and is waited for before the suite ends.
        isolate: What ``--isolate`` has come to on this machine.

    Raises:
        UnfitEnvironmentError: ``suite.json`` cannot be written.
    """
    return await _Suite(
        Places(places, rules.rounds, rules.repeat), folder, head, rules, budget, costs, listener, keep, isolate
    ).run()


class _Suite:
    """One session of a suite."""

    def __init__(
        self,
        places: Places,
        folder: SuiteDir,
        head: SuiteHead,
        rules: Rules,
        budget: Budget,
        costs: Costs,
        listener: SuiteListener,
        keep: Keep | None,
        isolate: str,
    ) -> None:
        self._places, self._folder, self._head, self._rules = places, folder, head, rules
        self._budget, self._costs, self._listener, self._keep = budget, costs, listener, keep
        self._isolate = isolate
        self._running: dict[asyncio.Task[None], tuple[Place, RunProcess]] = {}
        self._changed = asyncio.Event()
        self._admission = Admission(self._changed.set)
        self._account = Account(folder, head, budget)
        self._signals = 0
        self._closed: tuple[str, ExitCode] | None = None
        self._reports, self._page = SuiteReports(folder.path), asyncio.Lock()

    async def run(self) -> SuiteResult:
        began = self._account.publish(self._places.entries())
        self._listener(announcement(self._head.name, self._folder.path, self._places, self._budget))
        await self._refresh_page(began)
        with self._interruptible():
            try:
                while self._go_on():
                    await self._changed.wait()
                    self._changed.clear()
                    self._reap()
            finally:
                for _, process in self._running.values():
                    process.cut()
                await asyncio.gather(*self._running, return_exceptions=True)
            await self._show_twins()
        return self._account.publish(self._places.entries())

    # --- starting -----------------------------------------------------------------------------------------------

    def _go_on(self) -> bool:
        """Start what may start now; return whether there is anything left to wait for."""
        self._places.decide_races()
        if self._closed is None:
            self._places.next_round()
            self._give_up_late()
            self._start_next()
        if self._closed is not None:
            self._places.close(*self._closed)
        self._listener(outlook(self._places, self._left(), self._budget))
        return bool(self._running)

    def _start_next(self) -> None:
        """Start at most one run: its process loads while the cluster before it starts."""
        now = monotonic_ns()
        if any(not process.admitted for _, process in self._running.values()):
            return
        waiting = self._places.startable()
        chosen = next_start([place.cost for place in waiting], self._left(), self._budget, starting=False)
        self._account.count_blocked(now, blocked=bool(waiting) and chosen is None)
        if chosen is not None:
            self._start(waiting[chosen])
        elif not self._running and (again := self._places.to_make_again()):
            self._start(again[0])  # alone: nothing else runs, and nothing waits

    def _start(self, place: Place) -> None:
        item, declared = place.needed_item, place.needed_item.plan.workload
        again = place.entry.made_again
        place.begin(self._account.since_start_ns(monotonic_ns()))
        request = RunRequest(
            text=item.selected.source,
            file=item.plan.file,
            variant=dict(item.plan.variant),
            seed=item.plan.seed,
            digest=item.plan.digest,
            runtime=place.runtime,
            reports=str(self._folder.runs),
            isolate=self._isolate,
        )
        log = self._folder.logs / f"{self._places.number(place)}{'-again' if again else ''}.log"
        process = RunProcess(
            request,
            log,
            self._rules.child_command,
            lambda event, message: self._hear(place, process, event, message),
            declared.warmup_ns + declared.duration_ns + declared.drain_ns,
        )
        self._listener(
            SuiteRunStarted(
                key=item.key,
                label=place.label,
                runtime=place.runtime,
                expected_ns=place.cost.wall_ns,
                again=again.cause if again else "",
            )
        )
        task = asyncio.create_task(self._attend(place, process), name=item.key)
        task.add_done_callback(lambda _: self._changed.set())
        self._running[task] = place, process
        for one, _ in self._running.values():
            one.neighbours = max(one.neighbours, len(self._running) - 1)

    def _give_up_late(self) -> None:
        """Give up what can no longer end before the deadline."""
        if self._rules.deadline_ns is not None:
            left = self._rules.deadline_ns - self._account.session_ns()
            self._places.give_up_longer_than(left)

    def _left(self) -> list[Cost]:
        """Return what runs, with what is expected to be left of each."""
        now = monotonic_ns()
        return [
            dataclasses.replace(
                place.cost, wall_ns=max(0, place.cost.wall_ns - (now - process.began_ns if process.admitted else 0))
            )
            for place, process in self._running.values()
        ]

    # --- one run ------------------------------------------------------------------------------------------------

    async def _attend(self, place: Place, process: RunProcess) -> None:
        """See one run through to its entry."""
        ended = await process.run()
        self._admission.give_back(process)
        if ended.lost:
            for note in await asyncio.to_thread(sweep_notes):
                self._listener(note)
        again = place.end(ended, began_ns=self._account.since_start_ns(process.began_ns))
        if ended.usage is not None:
            if again:
                self._account.add_first(ended.usage)
            if ended.exit_code in {ExitCode.PASS, ExitCode.VIOLATED, ExitCode.INCONCLUSIVE}:
                self._costs.record(place.needed_item.plan, place.runtime, ended.usage)
        self._listener(
            SuiteRunEnded(key=place.entry.key, label=place.label, entry=place.first or place.entry, again=again)
        )
        self._consider_ending(place)
        result = self._account.publish(self._places.entries())
        if self._keep is not None and (why := await self._keep(place.first or place.entry, again)):
            self._listener(Note(text=why, warning=True))
        await self._show_twins()
        await self._refresh_page(result)

    async def _refresh_page(self, result: SuiteResult) -> None:
        """Write the page of the suite as it stands, in a thread, unless one is being written."""
        if not self._page.locked():
            async with self._page:
                await asyncio.to_thread(self._reports.refresh, result)

    async def _show_twins(self) -> None:
        for members in self._places.families_done():
            for why in await asyncio.to_thread(show_twins, members, self._folder.path):
                self._listener(Note(text=why, warning=True))

    def _hear(self, place: Place, process: RunProcess, event: str, message: Mapping[str, Any]) -> None:
        key = place.entry.key
        if event == "ready":
            self._listener(SuiteRunPhase(key=key, phase="waits"))
            self._admission.ask(process)
        elif event == "phase":
            if message["phase"] in {"warmup", "clean"}:
                self._admission.give_back(process)
            self._listener(SuiteRunPhase(key=key, phase=message["phase"], length_ns=message["length_ns"]))
        elif event == "faults":
            self._listener(SuiteRunFaults(key=key, active=tuple(message["active"])))
        elif event == "note":
            self._listener(Note(text=f"{place.label}: {message['text']}", warning=message["warning"]))

    # --- ending -------------------------------------------------------------------------------------------------

    def _consider_ending(self, place: Place) -> None:
        if self._closed is None and (self._rules.fail_fast or self._rules.rounds > 1):
            code = self._places.settled_code(place)
            if code in _FAILED:
                self._closed = f"the suite ended at the first failure: {place.label}", ExitCode.INCONCLUSIVE

    def _interrupt(self) -> None:
        self._signals += 1
        self._admission.close()
        self._closed = "the suite was interrupted", ExitCode.INTERRUPTED
        for _, process in self._running.values():
            if process.admitted and self._signals == 1:
                process.stop()
            else:
                process.cut()
        self._changed.set()

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        numbers = heeded()
        for number in numbers:
            loop.add_signal_handler(number, self._interrupt)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)

    def _reap(self) -> None:
        for task in [task for task in self._running if task.done()]:
            del self._running[task]
            task.result()
