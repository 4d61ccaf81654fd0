"""Who keeps the journal of an application's instance: a recorder next to it that takes its lines. Where it shows
nothing itself, the broker's word is the history, and its journals are empty.

Owns the two ways, and what leaves a run without proof in each. Does not start the application and sends it no signal.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from harness.applications.journaling import SETTLES, WHOLE
from harness.applications.recorder import REPORT, socket_path
from harness.clients.base import Counters, WorkerSpec, WorkerStats
from harness.errors import StartError
from harness.history.record import EventLog, Journal
from harness.runtime.ledger import Ledger
from harness.workload.launcher import Worker

SOCKET_BYTES_MAX: Final = 107
"""Of the path of a Unix socket (``sun_path`` of Linux has 108 bytes with the NUL behind it)."""
_RECORDED_S: Final = 30.0
"""How long a recorder may take to journal what its application left behind."""


class Recording(Protocol):
    """The journal of one instance, incarnation by incarnation.

    Attributes:
        reporting: The application says of itself what it does.
    """

    reporting: bool

    @property
    def spec(self) -> WorkerSpec:
        """Of the current incarnation."""
        ...

    @property
    def companions(self) -> Mapping[str, int]:
        """Processes of ours that keep it → pid, 0 of one that does not run."""
        ...

    @property
    def cpu_ns(self) -> int:
        """CPU time of these so far, over all incarnations."""
        ...

    @property
    def counters(self) -> Counters:
        """What was recorded, over all incarnations."""
        ...

    @property
    def reports(self) -> Sequence[WorkerStats]:
        """What was counted in the last minute, oldest first."""
        ...

    @property
    def abandoned(self) -> int:
        """What the application has reported as delivered, and will not finish."""
        ...

    async def begin(self) -> str:
        """Begin the journal of the current incarnation; return where the application reports, empty = nowhere. Raises
        StartError.
        """
        ...

    def lacks(self) -> str:
        """Return why the application cannot be ready yet, or an empty string."""
        ...

    async def end(self) -> None:
        """End the journal; the application runs no more, and all that it wrote is recorded first."""
        ...

    def advance(self) -> None:
        """Go on to the next incarnation, without beginning it."""
        ...


class LinesRecording:
    """The recorder next to an instance that shows ``lines``; fulfils ``Recording``.

    Args:
        spec: Of the consumer whose place the application takes.
        settles, whole: As of ``instance.Setup``.
        run_dir, ledger: Of the run.
        on_trouble: As of ``instance.Instance``.
    """

    reporting = True

    def __init__(
        self,
        spec: WorkerSpec,
        settles: str,
        whole: bool | None,
        run_dir: Path,
        ledger: Ledger,
        on_trouble: Callable[[str], None],
    ) -> None:
        self._on_trouble, self._connected = on_trouble, False
        self._socket = str(ledger.folder.absolute() / f"{spec.worker}.{{incarnation}}.sock")
        self._recorder = Worker(
            dataclasses.replace(spec, options={REPORT: self._socket, SETTLES: settles, WHOLE: whole}),
            run_dir,
            ledger,
            self._changed,
            module="applications.recorder",
            label=f"{spec.worker}.recorder",
            on_word=self._said,
        )

    @property
    def spec(self) -> WorkerSpec:
        """Of the current incarnation."""
        return self._recorder.spec

    @property
    def companions(self) -> Mapping[str, int]:
        """Its recorder → pid, 0 when it does not run."""
        return {f"recorder-{self.spec.worker}": self._recorder.pid}

    @property
    def cpu_ns(self) -> int:
        """CPU time of its recorders so far."""
        return self._recorder.cpu_ns

    @property
    def counters(self) -> Counters:
        """By its lines, cumulative over all incarnations."""
        return self._recorder.counters

    @property
    def reports(self) -> Sequence[WorkerStats]:
        """What its recorder counted in the last minute, oldest first; four times a second."""
        return self._recorder.reports

    @property
    def abandoned(self) -> int:
        """What it reported as delivered, and will not finish."""
        return self._recorder.abandoned

    async def begin(self) -> str:
        """Start the recorder, and return the path of its socket; raises StartError."""
        self._connected = False
        path = socket_path(self._socket, self.spec.incarnation)
        if len(path.encode()) > SOCKET_BYTES_MAX:
            raise StartError(
                f"the path of the socket for {self.spec.worker} has {len(path.encode())} bytes, more than the "
                f"{SOCKET_BYTES_MAX} of a Unix socket: {path}",
                hint="set HARNESS_STATE_DIR to a directory with a shorter path",
            )
        await self._recorder.start()
        await self._recorder.wait_ready()
        return path

    def lacks(self) -> str:
        """Return that it has not connected, or an empty string."""
        return "" if self._connected else "it has not connected to {report}"

    async def end(self) -> None:
        """End the recorder, which first reads all that was written."""
        if not self._recorder.pid:
            return
        self._recorder.send_command("stop")
        if not await self._recorder.finish(_RECORDED_S):
            self._on_trouble(f"the recorder of {self.spec.worker} did not record all that its application had written")

    def advance(self) -> None:
        """Go on to the next incarnation; what the last one said counts to the past."""
        self._recorder.advance()

    def _changed(self, _: Worker, state: str, code: int | None) -> None:
        name = self.spec.worker
        if state == "died":
            last = self._recorder.logs().strip().splitlines()[-1:] or ["no message"]
            self._on_trouble(f"the recorder of {name} died (exit status {code}): {last[0]}")
        elif state == "silent":
            self._on_trouble(f"the recorder of {name} hangs: what its application reports is not recorded")

    def _said(self, what: str, fields: Mapping[str, Any]) -> None:
        if what == "connected":
            self._connected = True
        elif what == "rejected":
            first, count = str(fields["first"]), int(fields["count"])
            name = self.spec.worker
            if count == 1:
                self._on_trouble(f"the application of {name} reported what cannot be recorded: {first}")
            else:
                self._on_trouble(f"{count} lines of {name}.{self.spec.incarnation} were not recorded")


class NoRecording:
    """The journals of an instance that shows nothing itself: that there was an incarnation, and no record; fulfils
    ``Recording``.

    Args:
        spec: Of the consumer whose place the application takes.
    """

    reporting = False
    companions: Mapping[str, int] = {}
    cpu_ns = 0
    counters = Counters()
    reports: Sequence[WorkerStats] = ()
    abandoned = 0

    def __init__(self, spec: WorkerSpec) -> None:
        self.spec = spec
        self._journal: Journal | None = None

    async def begin(self) -> str:
        """Begin a journal and an event file in which nothing will stand; raises JournalError."""
        folder, name = Path(self.spec.history_dir), f"{self.spec.worker}.{self.spec.incarnation}"
        meta = {"worker": self.spec.worker, "incarnation": self.spec.incarnation, "role": self.spec.role}
        EventLog(folder / f"{name}.events.jsonl", self.spec.worker).close()
        self._journal = Journal(folder / f"{name}.journal", meta)
        return ""

    def lacks(self) -> str:
        """Return nothing: that it runs is all that it shows."""
        return ""

    async def end(self) -> None:
        """Write the journal's end."""
        if self._journal is not None:
            self._journal.close()

    def advance(self) -> None:
        """Go on to the next incarnation."""
        self.spec = dataclasses.replace(self.spec, incarnation=self.spec.incarnation + 1)
