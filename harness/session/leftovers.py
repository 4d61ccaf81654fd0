"""What dead runs left behind, removed and put in words. Knows nothing of who asks."""

from __future__ import annotations

from harness.progress import Note
from harness.runtime.ledger import sweep


def sweep_notes() -> list[Note]:
    """Remove what dead runs left behind; return one note per thing, a warning for each that could not be removed.

    Living runs hold their leases and are not touched. Blocks: from an event loop call it in a thread.
    """
    notes = []
    for leftover in sweep():
        notes += [Note(text=f"removed what run {leftover.run_id} left behind: {what}") for what in leftover.items]
        notes += [
            Note(text=f"could not remove what run {leftover.run_id} left behind: {what}", warning=True)
            for what in leftover.left
        ]
        notes += [
            Note(text=f"what run {leftover.run_id} left behind: {what}, so it was skipped", warning=True)
            for what in leftover.skipped
        ]
    return notes
