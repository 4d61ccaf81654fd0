"""The body of a message: its identity as text, padded to the wanted size.

Text and no NUL: one broker's client library ends bodies at NUL.
"""

from __future__ import annotations


def encode(key: int, seq: int, size: int) -> bytes:
    """Return ``b"<key> <seq> xxx…"`` of at least ``size`` bytes."""
    return (b"%d %d " % (key, seq)).ljust(size, b"x")


def decode(body: bytes) -> tuple[int, int]:
    """Return (key, seq); (-1, -1) for a body that no producer of ours wrote."""
    try:
        key, seq, _ = body.split(b" ", 2)
        return int(key), int(seq)
    except ValueError:
        return -1, -1
