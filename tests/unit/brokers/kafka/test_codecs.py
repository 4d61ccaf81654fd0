"""Compressed batches: what librdkafka and a real node wrote is read, and what no codec writes is refused."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import cramjam
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.kafka.codecs import unpacked
from harness.brokers.kafka.fetch import FormatError
from harness.brokers.kafka.record_batches import messages_in
from harness.brokers.kafka.wire import ProtocolError
from harness.clients.payload import encode

BATCHES = {
    name: bytes.fromhex(text)
    for name, text in json.loads(Path(__file__).with_name("compressed_batches.json").read_text(encoding="utf-8"))[
        "batches"
    ].items()
}
GZIP, SNAPPY, LZ4, ZSTD = 1, 2, 3, 4
NUMBERS = {"gzip": GZIP, "snappy": SNAPPY, "lz4": LZ4, "zstd": ZSTD}
HEADER_BYTES, ATTRIBUTES_AT = 61, 22
XERIAL = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)


def content(name: str) -> bytes:
    """Return what follows the header of a real batch."""
    return BATCHES[name][HEADER_BYTES:]


def xerial(*blocks: bytes) -> bytes:
    """Return blocks in snappy-java's framing."""
    return XERIAL + b"".join(struct.pack(">i", len(block)) + block for block in blocks)


def test_every_codec_was_written_by_the_client_and_by_the_node() -> None:
    assert set(BATCHES) == {f"{codec}-{writer}" for codec in NUMBERS for writer in ("client", "node")}
    for name, batch in BATCHES.items():
        assert batch[ATTRIBUTES_AT] & 7 == NUMBERS[name.split("-")[0]]
    # librdkafka writes one block without a framing, a node snappy-java's.
    assert content("snappy-node").startswith(XERIAL)
    assert not content("snappy-client").startswith(XERIAL[:8])


@pytest.mark.parametrize("name", sorted(BATCHES))
def test_messages_of_real_batches_are_those_that_were_sent(name: str) -> None:
    found = messages_in(BATCHES[name], 0)
    assert found.offsets == [0, 1, 2, 3]
    assert found.bodies == [encode(3, seq, 60) for seq in range(4)]
    assert found.next == 4


@given(st.lists(st.binary(max_size=300), max_size=6))
def test_blocks_of_snappy_are_put_together(parts: list[bytes]) -> None:
    blocks = [bytes(cramjam.snappy.compress_raw(part)) for part in parts]
    assert unpacked(xerial(*blocks), SNAPPY) == b"".join(parts)


@given(st.binary(max_size=5000))
def test_what_was_packed_is_unpacked(data: bytes) -> None:
    packer = zlib.compressobj(wbits=31)
    assert unpacked(data, 0) == data
    assert unpacked(packer.compress(data) + packer.flush(), GZIP) == data
    assert unpacked(bytes(cramjam.snappy.compress_raw(data)), SNAPPY) == data
    assert unpacked(bytes(cramjam.lz4.compress(data)), LZ4) == data
    assert unpacked(bytes(cramjam.zstd.compress(data)), ZSTD) == data


@given(st.sampled_from(sorted(BATCHES)), st.data())
def test_a_damaged_batch_is_read_otherwise_or_refused(name: str, data: st.DataObject) -> None:
    """Nothing else is raised: the reading of other partitions goes on."""
    damaged = bytearray(content(name))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    try:
        assert len(unpacked(cut, NUMBERS[name.split("-", 1)[0]])) < 4 << 20
    except ProtocolError:
        return


@pytest.mark.parametrize(
    ("packed", "codec", "says"),
    [
        (content("gzip-client")[:-9], GZIP, "unpacked by gzip"),
        (content("snappy-client")[:-1], SNAPPY, "unpacked by snappy"),
        (content("lz4-client")[:-9], LZ4, "unpacked by lz4"),
        (content("zstd-client")[:-1], ZSTD, "unpacked by zstd"),
        (content("zstd-client"), LZ4, "unpacked by lz4"),
        (b"", SNAPPY, "unpacked by snappy"),
        (content("snappy-node")[:-1], SNAPPY, "a block has the length"),
        (xerial() + b"\0\0", SNAPPY, "ends within a length"),
        (XERIAL + struct.pack(">i", -1), SNAPPY, "a block has the length -1"),
        # A length of 4 GiB, of which no byte follows.
        (b"\xff\xff\xff\xff\x0f\x00", SNAPPY, "a block of 6 bytes names 4294967295 as its length"),
    ],
)
def test_what_a_codec_does_not_write_is_refused(packed: bytes, codec: int, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        unpacked(packed, codec)


def test_a_codec_that_no_kafka_has_is_refused_by_its_number() -> None:
    with pytest.raises(FormatError, match="codec 5, which is not known"):
        unpacked(b"x", 5)
