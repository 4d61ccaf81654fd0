"""The body of a message: its identity as text, padded to the wanted size.

Text and no NUL: one broker's client library ends bodies at NUL. Of fixed width, so that a batch is written and read as
one matrix of digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_KEY_DIGITS: Final = 10
_SEQ_DIGITS: Final = 19
_HEAD: Final = _KEY_DIGITS + 1 + _SEQ_DIGITS + 1
_KEY_POWERS: Final = 10 ** np.arange(_KEY_DIGITS - 1, -1, -1, dtype=np.int64)
_SEQ_POWERS: Final = 10 ** np.arange(_SEQ_DIGITS - 1, -1, -1, dtype=np.int64)
_FOUR_DIGITS: Final = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), np.uint32)
_ZERO: Final = ord("0")
_SPACE: Final = ord(" ")


def encode(key: int, seq: int, size: int) -> bytes:
    """Return ``b"<key> <seq> xxx…"`` of at least ``size`` bytes (31 are the least)."""
    return (b"%010d %019d " % (key, seq)).ljust(size, b"x")


def decode(body: bytes) -> tuple[int, int]:
    """Return (key, seq); (-1, -1) for a body that no producer of ours wrote."""
    try:
        key, seq, _ = body.split(b" ", 2)
        return int(key), int(seq)
    except ValueError:
        return -1, -1


def encode_all(keys: NDArray[np.int64], seqs: NDArray[np.int64], size: int) -> list[bytes]:
    """Return what ``encode`` does, for many at once."""
    count, width = keys.size, max(size, _HEAD)
    matrix = np.full((count, width), ord("x"), np.uint8)
    matrix[:, :_KEY_DIGITS] = _digits(keys, _KEY_DIGITS)
    matrix[:, _KEY_DIGITS] = _SPACE
    matrix[:, _KEY_DIGITS + 1 : _HEAD - 1] = _digits(seqs, _SEQ_DIGITS)
    matrix[:, _HEAD - 1] = _SPACE
    joined = matrix.tobytes()
    return [joined[start : start + width] for start in range(0, count * width, width)]


def _digits(numbers: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Return numbers as rows of ``count`` ASCII digits, four of them at a time from a table."""
    groups = -(-count // 4)
    rows = np.empty((numbers.size, groups), np.uint32)
    rest = numbers
    for group in range(groups - 1, 0, -1):
        higher = rest // 10_000
        rows[:, group] = _FOUR_DIGITS[rest - higher * 10_000]
        rest = higher
    rows[:, 0] = _FOUR_DIGITS[rest]
    return rows.view(np.uint8)[:, 4 * groups - count :]


def decode_all(bodies: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what ``decode`` does, for many at once: (keys, seqs)."""
    width = len(bodies[0]) if bodies else 0
    if width >= _HEAD and all(len(body) == width for body in bodies):
        matrix = np.frombuffer(b"".join(bodies), np.uint8).reshape(len(bodies), width)[:, :_HEAD]
        digits = matrix - np.uint8(_ZERO)  # what is no digit wraps around to above 9
        key, seq = digits[:, :_KEY_DIGITS], digits[:, _KEY_DIGITS + 1 : _HEAD - 1]
        if (
            (key <= 9).all()
            and (seq <= 9).all()
            and (matrix[:, _KEY_DIGITS] == _SPACE).all()
            and (matrix[:, _HEAD - 1] == _SPACE).all()
        ):
            return key @ _KEY_POWERS, seq @ _SEQ_POWERS
    pairs = np.array([decode(body) for body in bodies], np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]
