"""Messages in the files of a NATS stream, altered so that the server takes them for its own.

The layout of a record and its checksum are those of ``writeMsgRecordLocked`` in server/filestore.go, the key of the
checksum that of ``hashKeyForBlock``; the hash is HighwayHash of 64 bits (github.com/google/highwayhash).
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

_MASK = (1 << 64) - 1
_MUL0 = (0xDBE6D5D5FE4CCE2F, 0xA4093822299F31D0, 0x13198A2E03707344, 0x243F6A8885A308D3)
_MUL1 = (0x3BD39E10CB0EF593, 0xC0ACF169B5F18A8C, 0xBE5466CF34E90C6C, 0x452821E638D01377)
_PACKET = struct.Struct("<4Q")
_RECORD_HEADER_BYTES = 22
_CHECKSUM_BYTES = 8


def _halves_turned(lane: int, bits: int) -> int:
    """Return a lane whose halves are each rotated to the left."""
    low, high = lane & 0xFFFFFFFF, lane >> 32
    turned = [((half << bits) | (half >> (32 - bits))) & 0xFFFFFFFF for half in (low, high)]
    return turned[0] | turned[1] << 32


def _swapped(lane: int) -> int:
    return (lane >> 32 | lane << 32) & _MASK


def _merged(one: int, zero: int) -> tuple[int, int]:
    """Return what a zipper merge adds to the upper and to the lower lane."""
    low = (
        ((zero & 0xFF000000) | (one & 0xFF00000000)) >> 24
        | ((zero & 0xFF0000000000) | (one & 0xFF000000000000)) >> 16
        | zero & 0xFF0000
        | (zero & 0xFF00) << 32
        | (one & 0xFF00000000000000) >> 8
        | zero << 56
    )
    high = (
        ((one & 0xFF000000) | (zero & 0xFF00000000)) >> 24
        | one & 0xFF0000
        | (one & 0xFF0000000000) >> 16
        | (one & 0xFF00) << 24
        | (zero & 0xFF000000000000) >> 8
        | (one & 0xFF) << 48
        | zero & 0xFF00000000000000
    )
    return high & _MASK, low & _MASK


class _Hash:
    """The state of one HighwayHash."""

    def __init__(self, key: bytes) -> None:
        lanes: tuple[int, ...] = _PACKET.unpack(key)
        self.mul0: list[int] = list(_MUL0)
        self.mul1: list[int] = list(_MUL1)
        self.v0: list[int] = [lane ^ mul for lane, mul in zip(lanes, _MUL0, strict=True)]
        self.v1: list[int] = [_swapped(lane) ^ mul for lane, mul in zip(lanes, _MUL1, strict=True)]

    def update(self, packet: bytes) -> None:
        v0, v1 = self.v0, self.v1
        for place, lane in enumerate(_PACKET.unpack(packet)):
            v1[place] = (v1[place] + self.mul0[place] + lane) & _MASK
            self.mul0[place] ^= (v1[place] & 0xFFFFFFFF) * (v0[place] >> 32)
            v0[place] = (v0[place] + self.mul1[place]) & _MASK
            self.mul1[place] ^= (v0[place] & 0xFFFFFFFF) * (v1[place] >> 32)
        for source, target in ((v1, v0), (v0, v1)):
            for low in (0, 2):
                high_added, low_added = _merged(source[low + 1], source[low])
                target[low + 1] = (target[low + 1] + high_added) & _MASK
                target[low] = (target[low] + low_added) & _MASK

    def update_remainder(self, rest: bytes) -> None:
        size = len(rest)
        whole, over = size & ~3, size & 3
        self.v0 = [(lane + (size << 32) + size) & _MASK for lane in self.v0]
        self.v1 = [_halves_turned(lane, size) for lane in self.v1]
        packet = bytearray(rest[:whole].ljust(32, b"\0"))
        if size & 16:
            packet[28:] = rest[-4:]
        elif over:
            tail = rest[whole:]
            packet[16:19] = bytes((tail[0], tail[over >> 1], tail[over - 1]))
        self.update(bytes(packet))

    def sum64(self) -> int:
        for _ in range(4):
            self.update(_PACKET.pack(*(_swapped(self.v0[place]) for place in (2, 3, 0, 1))))
        return (self.v0[0] + self.v1[0] + self.mul0[0] + self.mul1[0]) & _MASK


def highway_hash(key: bytes, data: bytes) -> bytes:
    """Return the hash of 64 bits, in the order of bytes in which files have it; the key has 32 bytes."""
    state, whole = _Hash(key), len(data) & ~31
    for at in range(0, whole, 32):
        state.update(data[at : at + 32])
    if whole < len(data):
        state.update_remainder(data[whole:])
    return state.sum64().to_bytes(8, "little")


def alter_message(block: Path, stream: str, subject: str, body: bytes, altered: bytes, *, checksum: bool = True) -> int:
    """Put another body of the same length in place of one in a file of a stream, whose server is down.

    Args:
        block: ``N.blk``.
        stream: Its name.
        subject: Of the message, which has no headers.
        body: As it is there.
        altered: As it is to be.
        checksum: Make the record's checksum right.

    Returns:
        How many messages were altered: 0 where the file does not have it, else 1.
    """
    content = block.read_bytes()
    at = content.find(subject.encode() + body)
    if at < 0:
        return 0
    key = hashlib.sha256(f"{stream}-{block.stem}".encode()).digest()
    header = content[at - _RECORD_HEADER_BYTES : at]
    end = at + len(subject) + len(body)
    sums = [highway_hash(key, header[4:20] + subject.encode() + text) for text in (body, altered)]
    assert content[end : end + _CHECKSUM_BYTES] == sums[0], "the server computes its checksums in another way"
    with block.open("r+b") as file:
        file.seek(at + len(subject))
        file.write(altered + sums[1 if checksum else 0])
    return 1
