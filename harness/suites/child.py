"""One run of a suite as a process of its own: runs, judges and reports it, and hands back what came of it.

It loads everything first, then waits for the permission to start its cluster. Progress never holds the run up: a line
that the pipe does not take at once is dropped. When stdin ends, the suite is gone: the run is taken down as after
SIGINT, and the process ends soon after, judged or not. Knows nothing of other runs.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from harness.clock import monotonic_ns
from harness.engine.isolation import Isolation, Networks
from harness.engine.parts import Parts
from harness.errors import ExitCode, HarnessError, UnfitEnvironmentError
from harness.progress import Event, FaultChanged, Note, PhaseStarted, RunStarted, Snapshot
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.scenario.plugins import Vocabulary
from harness.session.selection import Selected, replan
from harness.session.session import run_one
from harness.session.stopper import Stopper
from harness.suites.again import Again, why_again
from harness.suites.messages import RunAnswer, RunRefusal, RunRequest, ended_of, request_of
from harness.suites.pipes import AnswerPipe, CommandPipe, take_pipes

ORPHANED_S: Final = 2.5
"""How long the run of a suite that is gone may go on once its cluster is down, to be judged."""

_TEXT_MAX: Final = 500


Decide = Callable[[RunResult], Again | None]


def main(
    parts: Parts | None = None,
    words: Vocabulary | None = None,
    decide: Decide = why_again,
    networks: Networks | None = None,
) -> None:
    """Carry out the one run that stdin asks for; exits with 0 when its result was handed over.

    Args:
        parts: What the run is put together from; None = this machine's.
        words: What the scenario may say; None = what is registered.
        decide: Why a run may be made again; tests put their own in its place.
        networks: What is asked of the kernel for isolation; None = of this machine's.
    """
    commands, answers = take_pipes()
    request = request_of(commands.next_line())
    notes: list[Event] = []
    try:
        item = _selected(request, words)
        # While there is one thread alone.
        isolation = Isolation(request.isolate, networks or Networks()).prepared(notes.append)
    except HarnessError as error:
        answers.deliver(RunRefusal(message=error.message, exit_code=int(error.exit_code)))
        sys.exit(ExitCode.INTERNAL)
    answers.send({"event": "ready"}, droppable=False)
    if b'"go"' not in commands.next_line():
        sys.exit(ExitCode.INTERRUPTED)  # the suite ends, and nothing was started
    stopper, reporter, began_ns = Stopper(), _Reporter(answers), monotonic_ns()
    threading.Thread(target=_listen, args=(commands, stopper, reporter.down), daemon=True, name="commands").start()
    for note in notes:
        reporter(note)
    result = run_one(
        item, request.runtime, Path(request.reports), reporter, parts, stopper=stopper, isolation=isolation
    )
    answers.deliver(RunAnswer(result=ended_of(result, decide(result), monotonic_ns() - began_ns)))


def _selected(request: RunRequest, words: Vocabulary | None) -> Selected:
    """Make the plan again from its text; raises UnfitEnvironmentError when it is another one."""
    plan = replan(request.text, request.file, request.variant, request.seed, words)
    if plan.digest != request.digest:
        raise UnfitEnvironmentError(
            f"{request.file} gives another plan in the process of its run", hint="was the harness changed meanwhile?"
        )
    return Selected(plan=plan, source=request.text)


def _listen(commands: CommandPipe, stopper: Stopper, down: threading.Event) -> None:
    """Wait for the end of the run, in a thread: the suite's word ends it, and so does the suite's death."""
    said = commands.next_line()
    stopper.ask()
    while said:
        said = commands.next_line()
    down.wait()
    time.sleep(ORPHANED_S)
    os._exit(ExitCode.INTERRUPTED)


class _Reporter:
    """Hands the progress of the run on, as far as a suite shows it.

    Attributes:
        down: Set once the cluster is down.
    """

    def __init__(self, answers: AnswerPipe) -> None:
        self.down = threading.Event()
        self._answers = answers
        self._active: tuple[str, ...] = ()

    def __call__(self, event: Event) -> None:
        match event:
            case RunStarted():
                self._answers.send({"event": "began", "run_dir": Path(event.run_dir).name}, droppable=False)
            case PhaseStarted():
                if event.phase == "clean":
                    self.down.set()
                self._answers.send(
                    {"event": "phase", "phase": event.phase, "length_ns": event.length_ns}, droppable=False
                )
            case Snapshot() if event.active_faults != self._active:
                self._active = event.active_faults
                self._answers.send({"event": "faults", "active": list(event.active_faults[:8])}, droppable=True)
            case FaultChanged() if event.action == "failed":
                self._note(f"fault {event.fault} failed: {event.text}", warning=True)
            case Note():
                self._note(event.text, warning=event.warning)
            case _:
                pass

    def _note(self, text: str, *, warning: bool) -> None:
        self._answers.send({"event": "note", "text": clip(clean(text), _TEXT_MAX), "warning": warning}, droppable=True)


if __name__ == "__main__":
    main()
