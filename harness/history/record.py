"""The record format of a journal: fixed-width binary records behind a versioned header.

A journal is the append-only file of one incarnation of one worker. It is written with one ``os.write`` per batch on an
O_APPEND descriptor, so that a SIGKILL loses nothing that was recorded, and read by mapping it into memory.

Layout: ``HEADER_BYTES`` bytes of header (magic, version, JSON, padded with spaces), then records of ``RECORD.size``
bytes, little-endian. Operations carry the value; completions refer to operations by ordinal (the index among the
operations of the same kind in the same journal, from 0), so that one completion can cover a range of them:

=========== ============ =========================================================================================
kind        role         fields
=========== ============ =========================================================================================
SEND        operation    t = before the send; key, seq, partition; offset = when a delayed message is due (monotonic
                         ns), -1 for one that is not delayed
SENT        completion   of the SENDs [ref, ref + count): t, outcome; offset (of the first) when known;
                         flag DUPLICATE when the broker said it had the message already
DELIVERED   operation    t = handed to the application; key, seq, partition, offset; count = delivery attempt as
                         reported by the broker (1 = first, 0 = not reported); ref = consumer sequence (-1 = none);
                         outcome = number of the thread that handles it (from 1; 0 = not reported); offset -1 where the
                         broker does not say its place; flag REDELIVERED when the broker or client said so
PROCESSED   completion   of the DELIVEREDs [ref, ref + count): t = handler finished; outcome ok or fail
ACKED       completion   of the DELIVEREDs [ref, ref + count): t, outcome; flag CONFIRMED when the broker confirmed
                         it (double ack, commit response); outcome ok without it = handed to the socket only
STORED      operation    found in the broker's log by the audit after the run: key, seq, partition, offset
REPLICA     operation    found in a replica's own log by the audit: as STORED; ref = the node's index in the facts
DEAD_LETTER operation    found by the audit in the log of messages that the broker has given up delivering: key, seq;
                         partition, offset = its place in that log
TICK        operation    monitor only: t, offset = nanoseconds since the tick before
PROBE       operation    monitor only: partition = index of the target in header ``targets``; t = answer or timeout,
                         seq = start of the round trip (monotonic ns), offset = round trip in ns; outcome ok or fail;
                         count = how it failed (``Break``); key, ref = bytes sent and received on its connection so far
GAUGE       operation    monitor only: as PROBE, of a look that serves one fault's evidence and shows no outage
COMMIT      operation    of a position: t = its outcome was known, seq = it began (monotonic ns), partition, offset =
                         the position (next offset to be read), outcome; flag CONFIRMED when the broker said so
POLL        operation    consumer only, at most every 100 ms: t = a poll returned; count = polls since the last POLL,
                         offset = longest time in ns from the return of one of them to the call of the next
END         operation    the last record of a journal that its writer closed: t = then, seq = number of records before
                         it, count = CRC-32 of all bytes before it. Readers of a history do not see it
TRANSACTION operation    a step of a transaction: t, key = which (``TransactionStep``), ref = ordinal of its first
                         operation. Its operations are the SENDs of a producer's journal, of a consumer's the
                         DELIVEREDs, from there on: ``count`` of them at every step after the first, until then
                         all that follow.
                         Of the last step, outcome = what became of it: ok (committed), fail (aborted) or unknown.
                         Steps of one transaction follow each other; the next one begins after the last
OUTPUT      operation    found by the audit in the log to which read-process-write workers write: key, seq = of the
                         message that was read; partition, offset = its place in that log
=========== ============ =========================================================================================

What holds a message (DELIVERED, STORED, REPLICA, DEAD_LETTER) has flag INTACT when its body had the checksum that the
body names, CORRUPTED when it had not, and neither where bodies are not verified. Of a corrupted one, key and seq are
what its body says, which may be another message's, and -1 when it does not have the form of ours.

``seq`` carries the producer's incarnation in its high bits (``seq >> SEQ_BITS``, from 0) and the key's own count from 0
in the low ones, so that a key's sequence increases over restarts of its producer.
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import threading
import zlib
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from harness.clock import clock_identity, monotonic_ns, wall_ns
from harness.errors import UnfitEnvironmentError
from harness.history.event_form import to_line
from harness.history.events import UNSTAMPED, Event

MAGIC: Final = b"BCHJ"
VERSION: Final = 2
"""Of the format of a journal. Version 1 had no END."""

HEADER_BYTES: Final = 4096
SEQ_BITS: Final = 40

RECORD: Final = struct.Struct("<BBHIqiiqqq")
"""kind, outcome, flags, count, t, key, partition, seq, offset, ref"""

_pack = RECORD.pack
_pack_head = struct.Struct("<BBHIq").pack
_pack_send = struct.Struct("<16siiq16s").pack
_NO_PLACE: Final = RECORD.pack(0, 0, 0, 0, 0, 0, 0, 0, -1, -1)[-16:]
"""A record in parts, as SENDs of one time differ in key, partition and seq alone."""

FIELDS: Final = (
    ("kind", "u1"),
    ("outcome", "u1"),
    ("flags", "<u2"),
    ("count", "<u4"),
    ("t", "<i8"),
    ("key", "<i4"),
    ("partition", "<i4"),
    ("seq", "<i8"),
    ("offset", "<i8"),
    ("ref", "<i8"),
)

RECORD_DTYPE: Final = np.dtype(list(FIELDS))
"""A record as NumPy reads and writes it."""


class RecordKind(IntEnum):
    """Record kinds; see the module's table."""

    SEND = 1
    SENT = 2
    DELIVERED = 3
    PROCESSED = 4
    ACKED = 5
    STORED = 6
    TICK = 7
    PROBE = 8
    COMMIT = 9
    POLL = 10
    GAUGE = 11
    DEAD_LETTER = 12
    END = 13
    REPLICA = 14
    TRANSACTION = 16
    OUTPUT = 17


_SEND, _SENT, _DELIVERED = int(RecordKind.SEND), int(RecordKind.SENT), int(RecordKind.DELIVERED)
_PROCESSED, _ACKED = int(RecordKind.PROCESSED), int(RecordKind.ACKED)
_COMMIT, _POLL, _END = int(RecordKind.COMMIT), int(RecordKind.POLL), int(RecordKind.END)


class TransactionStep(IntEnum):
    """Steps of a transaction: it begins, its commit or its abort is asked for, its outcome is known (or given up)."""

    BEGUN = 0
    COMMITTING = 1
    ABORTING = 2
    ENDED = 3


class Outcome(IntEnum):
    """Outcome of an operation: ``FAIL`` is definite (it did not happen), ``UNKNOWN`` is not (it may have)."""

    NONE = 0
    OK = 1
    FAIL = 2
    UNKNOWN = 3


class Break(IntEnum):
    """How a round trip failed: no answer in time, its connection ended, or no connection was taken."""

    NONE = 0
    SILENT = 1
    CUT = 2
    REFUSED = 3


class Flag(IntFlag):
    """Record flags."""

    REDELIVERED = 1
    DUPLICATE = 2
    CONFIRMED = 4
    INTACT = 8
    CORRUPTED = 16


_OK, _REDELIVERED = int(Outcome.OK), int(Flag.REDELIVERED)
_INTACT, _CORRUPTED = int(Flag.INTACT), int(Flag.CORRUPTED)


class JournalError(UnfitEnvironmentError):
    """A journal could not be written whole; the worker stops before it acknowledges anything more."""


def alike(size: int, kind: int, *, t: int = 0, outcome: int = 0, count: int = 1) -> NDArray[np.void]:
    """Return so many records of one kind whose other columns are to be filled in, and are -1 until then."""
    return np.frombuffer(bytearray(_pack(kind, outcome, 0, count, t, -1, -1, -1, -1, -1) * size), RECORD_DTYPE)


def verified(intact: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Return the flags of messages whose bodies were verified."""
    return np.where(intact, np.uint16(_INTACT), np.uint16(_CORRUPTED))


class Journal:
    """Appends records to a new file, batch by batch.

    Records are packed into a buffer by ``add`` and reach the file in one ``os.write`` at ``flush``; nothing counts as
    recorded before ``flush`` returned. ``close`` ends it with an END, unless a write failed: what follows a torn record
    could not be read.

    Args:
        path: File to create; must not exist.
        meta: JSON-compatible description (worker, incarnation, role…) for the header.

    Raises:
        JournalError: When a write was short or failed (full disk).
    """

    def __init__(self, path: Path, meta: Mapping[str, Any]) -> None:
        header = dict(meta) | {
            "clock": clock_identity(),
            "mono_ns": monotonic_ns(),
            "wall_ns": wall_ns(),
            "pid": os.getpid(),
        }
        text = MAGIC + struct.pack("<I", VERSION) + json.dumps(header).encode()
        if len(text) > HEADER_BYTES:
            raise JournalError(f"journal header of {len(text)} bytes exceeds {HEADER_BYTES}")
        self.path = path
        self._pending = bytearray()
        self._lock = threading.Lock()  # what another thread flushes while this one closes must not follow the END
        self._bytes = self._checksum = 0
        self._open = True
        self.ended = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._write(text.ljust(HEADER_BYTES))

    def add(
        self,
        kind: int,
        *,
        t: int,
        outcome: int = 0,
        flags: int = 0,
        count: int = 1,
        key: int = -1,
        partition: int = -1,
        seq: int = -1,
        offset: int = -1,
        ref: int = -1,
    ) -> None:
        """Pack one record; it is recorded only once ``flush`` returned."""
        self._pending += _pack(kind, outcome, flags, count, t, key, partition, seq, offset, ref)

    def sends(self, t: int, rows: Iterable[tuple[int, int, int]]) -> None:
        """Pack SENDs of one time: (key, seq, partition) of each. A hot path of producers."""
        head = _pack_head(_SEND, 0, 0, 1, t)
        self._pending += b"".join([_pack_send(head, key, partition, seq, _NO_PLACE) for key, seq, partition in rows])

    def send_later(self, t: int, key: int, seq: int, partition: int, due_ns: int) -> None:
        """Pack the SEND of a delayed message, which is due at a monotonic time."""
        self._pending += _pack(_SEND, 0, 0, 1, t, key, partition, seq, due_ns, -1)

    def sent(self, t: int, outcome: int, flags: int, offset: int, ref: int) -> None:
        """Pack the SENT of one SEND; a hot path of producers, hence without keywords."""
        self._pending += _pack(_SENT, outcome, flags, 1, t, -1, -1, -1, offset, ref)

    def deliveries(
        self,
        t: int,
        rows: Sequence[tuple[int, int, int, int, int, int]],
        thread: int = 0,
        intact: Sequence[bool] | None = None,
    ) -> None:
        """Pack DELIVEREDs of one time and thread: (key, seq, partition, offset, attempt, ref) of each; a later attempt
        than the first is REDELIVERED. ``intact`` says of each whether its body was, None that bodies are not verified.
        A hot path of consumers.
        """
        bodies = [0] * len(rows) if intact is None else [_INTACT if whole else _CORRUPTED for whole in intact]
        self._pending += b"".join(
            [
                _pack(
                    *(_DELIVERED, thread, body | _REDELIVERED if attempt > 1 else body, attempt, t),
                    *(key, partition, seq, offset, ref),
                )
                for (key, seq, partition, offset, attempt, ref), body in zip(rows, bodies, strict=True)
            ]
        )

    def processed(self, t: int, first: int, count: int, outcome: int = _OK) -> None:
        """Pack the PROCESSED of a range whose handlers have ended, well unless said; a hot path of consumers."""
        self._pending += _pack(_PROCESSED, outcome, 0, count, t, -1, -1, -1, -1, first)

    def acked(self, t: int, outcome: int, flags: int, first: int, count: int) -> None:
        """Pack the ACKED of a range; a hot path of consumers."""
        self._pending += _pack(_ACKED, outcome, flags, count, t, -1, -1, -1, -1, first)

    def commit(self, t: int, begun: int, partition: int, position: int, outcome: int, flags: int) -> None:
        """Pack a COMMIT of a position.

        Args:
            t: When its outcome was known, monotonic ns.
            begun: When it was asked for, monotonic ns.
            partition: Whose position.
            position: Next offset to be read.
            outcome: ``OK``, ``FAIL`` (it did not happen) or ``UNKNOWN``.
            flags: ``CONFIRMED`` when the broker confirmed it.
        """
        self._pending += _pack(_COMMIT, outcome, flags, 1, t, -1, partition, begun, position, -1)

    def poll(self, t: int, count: int, longest_ns: int) -> None:
        """Pack a POLL: the ``count`` polls since the last one, and the longest time between two of them."""
        self._pending += _pack(_POLL, 0, 0, count, t, -1, -1, -1, longest_ns, -1)

    def extend(self, records: NDArray[np.void]) -> None:
        """Append whole records (of ``RECORD_DTYPE``, any shape) to what is pending, in order.

        Raises:
            TypeError: When the array is of another type, which would be read as other records.
        """
        if records.dtype != RECORD_DTYPE:
            raise TypeError(f"records of {records.dtype} cannot be appended to a journal of {RECORD_DTYPE}")
        self._pending += records.tobytes()

    def flush(self) -> None:
        """Write everything pending in one ``os.write``."""
        if self._pending:
            with self._lock:
                pending, self._pending = self._pending, bytearray()
                self._write(pending)

    def close(self) -> None:
        """Flush, write the END and close; of a journal that is closed, or to which a write failed, nothing more."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd < 0:
                return
            try:
                if self._open:
                    pending, self._pending = self._pending, bytearray()
                    self._write_to(fd, pending)
                    records = (self._bytes - HEADER_BYTES) // RECORD.size
                    self._write_to(fd, _pack(_END, 0, 0, self._checksum, monotonic_ns(), -1, -1, records, -1, -1))
                    self.ended = True
            finally:
                self._open = False
                os.close(fd)

    def _write(self, data: bytes | bytearray) -> None:
        if not self._open:
            raise JournalError(f"cannot write journal {self.path.name}: it is closed, or a write to it failed")
        self._write_to(self._fd, data)

    def _write_to(self, fd: int, data: bytes | bytearray) -> None:
        try:
            written = os.write(fd, data)
        except OSError as error:
            self._open = False
            raise JournalError(f"cannot write journal {self.path.name}: {error.strerror}") from error
        if written != len(data):
            self._open = False
            raise JournalError(
                f"short write to journal {self.path.name}: {written} of {len(data)} bytes (is the disk full?)"
            )
        self._bytes += written
        self._checksum = zlib.crc32(data, self._checksum)


class EventLog:
    """Appends sparse events to a line-based file (one JSON object a line), one ``os.write`` each.

    Args:
        path: File to append to; it is made when it does not exist.
        source: Who writes, as the events say.
    """

    def __init__(self, path: Path, source: str) -> None:
        self.path = path
        self.source = source
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def write(self, event: Event) -> None:
        """Append one event, stamped with now where it has no time. Raises JournalError when it could not be written
        whole.
        """
        t = monotonic_ns() if event.t == UNSTAMPED else event.t
        line = to_line(dataclasses.replace(event, t=t, source=self.source))
        try:
            written = os.write(self._fd, line)
        except OSError as error:
            raise JournalError(f"cannot write events {self.path.name}: {error.strerror}") from error
        if written != len(line):
            raise JournalError(f"short write to events {self.path.name} (is the disk full?)")

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
