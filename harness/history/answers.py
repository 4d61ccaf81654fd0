"""What became of sends: the answers to each of them, joined with their SENDs.

Owns what holds when a send has several answers. What was acknowledged stays acknowledged, and each place that an
acknowledgement names is a promise of its own. Knows records only; must never know a check.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.history.columns import Bytes, Columns, Completions, Int64, Mask, Part, Word, flag_in, outcome_in
from harness.history.record import Flag, Outcome, RecordKind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToldAgain:
    """Acknowledgements of sends that name another place than the one that decides; parallel arrays.

    Attributes:
        send: Row of the send.
        offset: That it names.
        t_done: When it came.
    """

    send: Int64
    offset: Int64
    t_done: Int64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Columns of what became of every SEND: the first acknowledgement decides; without one, the last answer does.

    Attributes:
        outcome: ``UNKNOWN`` without an answer.
        t_done, offset: Of that answer; -1 when there is none, or it names no place.
        duplicate: The broker said that it had the message already.
        again: Further acknowledgements.
    """

    outcome: Bytes
    t_done: Int64
    offset: Int64
    duplicate: Mask
    again: ToldAgain

    @staticmethod
    def of(parts: Sequence[Part], sent: Columns) -> Answers:
        """Join the SENT records of all journals with their SENDs."""
        outcome = np.full(sent.size, Outcome.UNKNOWN, np.uint8)
        done = np.full(sent.size, -1, np.int64)
        offset = np.full(sent.size, -1, np.int64)
        duplicate = np.zeros(sent.size, np.bool_)
        again = [_NONE]
        for part, low, high in zip(parts, sent.bounds, sent.bounds[1:], strict=False):
            completions = Completions(part, RecordKind.SENT, high - low)
            if not completions.size:
                continue
            here, at = slice(low, high), completions.at
            said = outcome_in(completions.head)
            said[said == Outcome.NONE] = Outcome.UNKNOWN
            outcome[here][at] = completions.spread(said)
            done[here][at] = completions.spread(completions.each(Word.T))
            # The offset is that of the first of the range: the others need not be its neighbours.
            offset[here][completions.first] = completions.each(Word.OFFSET)
            duplicate[here][at] = completions.spread(flag_in(completions.head, Flag.DUPLICATE))
            if not isinstance(at, slice) and np.bincount(at).max() > 1:
                again.append(_first_decides(completions, at, said, low, (outcome[here], done[here], offset[here])))
        send, told, t_done = np.concatenate(again, axis=1)
        return Answers(
            outcome=outcome,
            t_done=done,
            offset=offset,
            duplicate=duplicate,
            again=ToldAgain(send=send, offset=told, t_done=t_done),
        )


_NONE = np.empty((3, 0), np.int64)


def _first_decides(
    completions: Completions, at: Int64, said: Bytes, low: int, columns: tuple[Bytes, Int64, Int64]
) -> Int64:
    """Let the first acknowledgement of each send of a journal decide; return (row, offset, time) of further ones.

    Args:
        completions: Of the journal's sends, some of which have several.
        at: Send of each entry, from 0 in the journal.
        said: Outcome that each completion names.
        low: First row of the journal.
        columns: Outcome, time and offset of the journal's sends; changed in place.
    """
    outcome, done, offset = columns
    several = np.bincount(at) > 1
    record = completions.spread(np.arange(completions.size))
    entries = np.flatnonzero(several[at] & (said[record] == Outcome.OK))
    rows, records = at[entries], record[entries]
    named = np.where(completions.first[records] == rows, completions.each(Word.OFFSET)[records], -1)
    times = completions.each(Word.T)[records]
    outcome[rows] = Outcome.OK
    # Written backwards, so that the first one is written last.
    done[rows[::-1]], offset[rows[::-1]] = times[::-1], named[::-1]
    more = (named >= 0) & (named != offset[rows])
    return np.stack([rows[more] + low, named[more], times[more]])
