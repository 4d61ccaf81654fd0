"""The body of a message: a checksum, its identity, and padding to the wanted size, all of it text.

Text and no NUL: one broker's client library ends bodies at NUL. What precedes the padding is of fixed width, so that a
batch is written and read as one matrix of digits. The padding differs from message to message, so that a piece of
another message's body is not taken for a piece of this one's; the checksum (CRC-32) covers all that follows it.
"""

from __future__ import annotations

import functools
import hashlib
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

_CRC_DIGITS: Final = 8
_KEY_DIGITS: Final = 10
_SEQ_DIGITS: Final = 19
_COVERED: Final = _CRC_DIGITS + 1
"""Where what the checksum covers begins."""
_KEY: Final = slice(_COVERED, _COVERED + _KEY_DIGITS)
_SEQ: Final = slice(_KEY.stop + 1, _KEY.stop + 1 + _SEQ_DIGITS)
BODY_BYTES_MIN: Final = _SEQ.stop + 1
"""Bytes of checksum and identity: no body is smaller."""
_SPACES: Final = (_CRC_DIGITS, _KEY.stop, _SEQ.stop)

_KEY_MAX: Final = (1 << 31) - 1
_SEQ_MAX: Final = (1 << 63) - 1
_KEY_POWERS: Final = 10 ** np.arange(_KEY_DIGITS - 1, -1, -1, dtype=np.int64)
_SEQ_POWERS: Final = 10 ** np.arange(_SEQ_DIGITS - 1, -1, -1, dtype=np.uint64)
_CRC_POWERS: Final = 16 ** np.arange(_CRC_DIGITS - 1, -1, -1, dtype=np.int64)
_FOUR_DIGITS: Final = np.frombuffer(b"".join(b"%04d" % number for number in range(10_000)), np.uint32)
_TWO_HEX: Final = np.frombuffer(b"".join(b"%02x" % number for number in range(256)), np.uint16)
_HEX: Final = b"0123456789abcdef"
_NO_HEX: Final = 1 << 33
"""Larger than any checksum, and small enough that no power of it overflows."""
_HEX_VALUES: Final = np.array([_HEX.find(byte) if byte in _HEX else _NO_HEX for byte in range(256)], np.int64)
_MANY: Final = 12
"""From how many bodies on they are read together."""
_LONG: Final = 1_024
"""Bytes of a body from which on only its beginning is copied to be read with others."""
_ZERO: Final = ord("0")
_SPACE: Final = ord(" ")

_WINDOWS: Final = 4093
"""Paddings of one size; a prime, so that no step between keys or sequences repeats soon."""
_LETTERS: Final = bytes((b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" * 4)[:256])


class Contents(NamedTuple):
    """What bodies say, one entry for each.

    Attributes:
        keys, seqs: -1 where a body does not have the form of ours.
        intact: The body has the checksum that it names. One that has not is not the body that was sent, and its
            identity may be another one's.
    """

    keys: NDArray[np.int64]
    seqs: NDArray[np.int64]
    intact: NDArray[np.bool_]


def encode(key: int, seq: int, size: int) -> bytes:
    """Return ``b"<checksum> <key> <seq> …"`` of at least ``size`` bytes (``BODY_BYTES_MIN`` are the least)."""
    padding = max(0, size - BODY_BYTES_MIN)
    start = _window(key, seq)
    covered = b"%010d %019d " % (key, seq) + _text(padding)[start : start + padding]
    return b"%08x %b" % (zlib.crc32(covered), covered)


def read(body: bytes) -> tuple[int, int, bool]:
    """Return (key, seq, whether the body has its checksum); key and seq are -1 for a body not of our form."""
    key, seq = decode(body)
    return key, seq, key >= 0 and b"%08x" % zlib.crc32(body[_COVERED:]) == body[:_CRC_DIGITS]


def decode(body: bytes) -> tuple[int, int]:
    """Return (key, seq), whatever the checksum says; (-1, -1) for a body not of our form."""
    key, seq = body[_KEY], body[_SEQ]
    if len(body) < BODY_BYTES_MIN or not (key.isdigit() and seq.isdigit()):
        return -1, -1
    found = int(key), int(seq)
    spaced = body[_CRC_DIGITS] == body[_KEY.stop] == body[_SEQ.stop] == _SPACE
    return found if spaced and found[0] <= _KEY_MAX and found[1] <= _SEQ_MAX else (-1, -1)


def encode_all(keys: NDArray[np.int64], seqs: NDArray[np.int64], size: int) -> list[bytes]:
    """Return what ``encode`` does, for many at once."""
    count, width = keys.size, max(size, BODY_BYTES_MIN)
    matrix = np.empty((count, width), np.uint8)
    padding = width - BODY_BYTES_MIN
    if padding:
        text = _text(padding)
        starts = _windows(keys, seqs).tolist()
        matrix[:, BODY_BYTES_MIN:] = np.frombuffer(
            b"".join([text[start : start + padding] for start in starts]), np.uint8
        ).reshape(count, padding)
    matrix[:, _KEY] = _digits(keys, _KEY_DIGITS)
    matrix[:, _SEQ] = _digits(seqs, _SEQ_DIGITS)
    matrix[:, _SPACES] = _SPACE
    joined = memoryview(matrix.tobytes())
    sums = (zlib.crc32(joined[start + _COVERED : start + width]) for start in range(0, count * width, width))
    matrix[:, :_CRC_DIGITS] = _hex_digits(np.fromiter(sums, np.uint32, count))
    whole = matrix.tobytes()
    return [whole[start : start + width] for start in range(0, count * width, width)]


def decode_all(bodies: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return what ``decode`` does, for many at once: (keys, seqs)."""
    matrix = _heads(bodies)
    found = None if matrix is None else _identities(matrix)
    if found is None:
        pairs = np.array([decode(body) for body in bodies], np.int64).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]
    return found


def read_all(bodies: Sequence[bytes]) -> Contents:
    """Return what ``read`` does, for many at once."""
    matrix = _heads(bodies) if len(bodies) >= _MANY else None
    found = None if matrix is None else _identities(matrix)
    if matrix is None or found is None:
        rows = np.array([read(body) for body in bodies], np.int64).reshape(-1, 3)
        return Contents(rows[:, 0], rows[:, 1], rows[:, 2] != 0)
    crc = zlib.crc32
    sums = np.array([crc(body[_COVERED:]) for body in bodies], np.int64)
    return Contents(*found, sums == _HEX_VALUES[matrix[:, :_CRC_DIGITS]] @ _CRC_POWERS)


def _identities(matrix: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Return (keys, seqs) in checksums and identities; None where one is not of our form."""
    digits = matrix - np.uint8(_ZERO)  # what is no digit wraps around to above 9
    key, seq = digits[:, _KEY], digits[:, _SEQ]
    if int(key.max()) > 9 or int(seq.max()) > 9 or (matrix[:, _SPACES] != _SPACE).any():
        return None
    keys, seqs = key @ _KEY_POWERS, seq @ _SEQ_POWERS
    if int(keys.max()) > _KEY_MAX or int(seqs.max()) > _SEQ_MAX:
        return None
    return keys, seqs.astype(np.int64)


def _heads(bodies: Sequence[bytes]) -> NDArray[np.uint8] | None:
    """Return checksum and identity of bodies as a matrix; None unless all of them have one size, and room for them."""
    width = len(bodies[0]) if bodies else 0
    if width < BODY_BYTES_MIN or len(set(map(len, bodies))) > 1:
        return None
    if width > _LONG:
        return np.frombuffer(b"".join([body[:BODY_BYTES_MIN] for body in bodies]), np.uint8).reshape(-1, BODY_BYTES_MIN)
    # To copy all of them costs less than to cut each.
    return np.frombuffer(b"".join(bodies), np.uint8).reshape(-1, width)[:, :BODY_BYTES_MIN]


def _window(key: int, seq: int) -> int:
    """Return which of the paddings a message has."""
    return (key % _WINDOWS * 1009 + seq % _WINDOWS) % _WINDOWS


def _windows(keys: NDArray[np.int64], seqs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which of the paddings messages have."""
    found: NDArray[np.int64] = (keys % _WINDOWS * 1009 + seqs % _WINDOWS) % _WINDOWS
    return found


@functools.lru_cache(maxsize=4)
def _text(padding: int) -> bytes:
    """Return the text of whose windows paddings of a size are taken: the same in every process."""
    return hashlib.shake_128(b"padding").digest(padding + _WINDOWS).translate(_LETTERS)


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


def _hex_digits(numbers: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return numbers as rows of eight hexadecimal digits."""
    rows = _TWO_HEX[numbers.astype(">u4").view(np.uint8).reshape(-1, 4)]
    return rows.view(np.uint8)
