"""The monitor's round trips while a run goes on, read from its journal as it grows."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

from harness.faults.base import Sample
from harness.history.record import HEADER_BYTES, RECORD, Break, Outcome, RecordKind


class JournalProbes:
    """Follows the monitor's journal; fulfils ``ProbeView``.

    Args:
        journal: The monitor's journal; may not exist yet.
        targets: Names in the order of the monitor's targets.
    """

    def __init__(self, journal: Path, targets: Sequence[str]) -> None:
        self._journal = journal
        self._targets = tuple(targets)
        self._position = HEADER_BYTES
        self._samples: dict[str, list[Sample]] = {name: [] for name in targets}

    def samples(self, target: str, since_ns: int, until_ns: int | None = None) -> Sequence[Sample]:
        """Return the round trips to ``target`` that began at ``since_ns`` or later and ended by ``until_ns``."""
        self._follow()
        samples = self._samples.get(target, [])
        first = bisect_left(samples, since_ns, key=lambda sample: sample.start_ns)
        return [sample for sample in samples[first:] if until_ns is None or sample.end_ns <= until_ns]

    def _follow(self) -> None:
        try:
            with self._journal.open("rb") as journal:
                journal.seek(self._position)
                data = journal.read()
        except FileNotFoundError:
            return
        whole = len(data) - len(data) % RECORD.size
        self._position += whole
        for kind, outcome, _, count, t, key, partition, seq, offset, ref in RECORD.iter_unpack(data[:whole]):
            if kind in (RecordKind.PROBE, RecordKind.GAUGE):
                sample = Sample(
                    start_ns=seq,
                    end_ns=t,
                    ok=outcome == Outcome.OK,
                    length_ns=offset,
                    broken=Break(count),
                    sent=key,
                    received=ref,
                )
                self._samples[self._targets[partition]].append(sample)
