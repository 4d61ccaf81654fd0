"""Bodies: the JSON of fastjson, and messages as brokers store them."""

import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.rocketmq import fastjson
from harness.brokers.rocketmq.messages import decode_all

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_plain_json_is_read_as_json_reads_it(value: Any) -> None:
    assert fastjson.loads(json.dumps(value).encode()) == value


@given(
    st.dictionaries(st.integers(), plain, max_size=4), st.dictionaries(st.text(), st.text() | st.integers(), min_size=1)
)
def test_numbers_and_objects_may_be_keys(numbers: dict[int, Any], key: dict[str, Any]) -> None:
    inner = ",".join(f"{number}:{json.dumps(value)}" for number, value in numbers.items())
    text = f'{{"t":{{{json.dumps(key)}:{{{inner}}}}},"n":[true,null, -1.5e3]}}'
    assert fastjson.loads(text) == {"t": {tuple(sorted(key.items())): numbers}, "n": [True, None, -1500.0]}


def test_braces_within_strings_are_no_keys() -> None:
    assert fastjson.loads('{1:"{\\"a\\":2}:3,4:5"}') == {1: '{"a":2}:3,4:5'}


@pytest.mark.parametrize(
    "text", ["", "{", "[1", '{"a"}', "{1:2 3:4}", "{1:2} x", "nul", '"open', "-", "{1:[}", "[" * 200]
)
def test_what_is_no_json_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        fastjson.loads(text)


def stored(
    body: bytes = b"hello", topic: bytes = b"t", *, flags: int = 0, magic: int = 0xDAA320A7, checksum: int | None = None
) -> bytes:
    """Return a message as ``MessageDecoder.encode`` of apache/rocketmq writes it."""
    born, host = (bytes(16 if flags & v6 else 4) + struct.pack(">i", 80) for v6 in (1 << 4, 1 << 5))
    crc = zlib.crc32(body) & 0x7FFFFFFF if checksum is None else checksum
    properties = b"KEYS\x01k\x02our\x01a=b\x02"
    data = struct.pack(">IIiiqqiq", magic, crc, 3, 0, 41, 9000, flags, 111) + born
    data += struct.pack(">q", 222) + host + struct.pack(">iqi", 2, 0, len(body)) + body
    data += struct.pack(">B" if magic == 0xDAA320A7 else ">H", len(topic)) + topic
    data += struct.pack(">H", len(properties)) + properties
    return struct.pack(">i", len(data) + 4) + data


@pytest.mark.parametrize("magic", [0xDAA320A7, 0xDAA320AB])
@pytest.mark.parametrize("flags", [0, 1 << 4, 1 << 5, 3 << 4])
def test_messages_of_every_form_are_read(magic: int, flags: int) -> None:
    first, second = decode_all(stored(flags=flags, magic=magic) + stored(b"", b"other", flags=flags, magic=magic))
    assert (first.topic, first.queue, first.offset, first.log_offset, first.body) == ("t", 3, 41, 9000, b"hello")
    assert (first.born_ms, first.stored_ms, first.reconsumed) == (111, 222, 2)
    assert first.properties == {"KEYS": "k", "our": "a=b"}
    assert (second.topic, second.body) == ("other", b"")


def test_a_body_that_a_client_compressed_is_read_as_it_was() -> None:
    packed = zlib.compress(b"x" * 9000)
    assert [found.body for kind in (1, 1 | 3 << 8) for found in decode_all(stored(packed, flags=kind))] == [
        b"x" * 9000
    ] * 2
    with pytest.raises(ValueError, match="only zlib"):
        list(decode_all(stored(packed, flags=1 | 1 << 8)))
    with pytest.raises(ValueError, match="decompressed"):
        list(decode_all(stored(b"no zlib", flags=1)))


def test_a_body_that_was_altered_is_handed_on_as_it_is_stored() -> None:
    (altered,) = decode_all(stored(b"xello", checksum=zlib.crc32(b"hello")))
    assert altered.body == b"xello"
    (altered,) = decode_all(stored(b"no zlib", flags=1, checksum=1))
    assert altered.body == b"no zlib"


def test_a_message_of_an_unknown_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="0xcbd43194"):
        list(decode_all(stored(magic=0xCBD43194)))


@given(st.data())
def test_a_message_that_was_cut_is_never_read_as_a_whole_one(data: st.DataObject) -> None:
    whole = stored()
    cut = whole[: data.draw(st.integers(1, len(whole) - 1))]
    for size in (struct.pack(">i", len(whole)), struct.pack(">i", len(cut))):
        with pytest.raises(ValueError):
            list(decode_all(size + cut[4:] if len(cut) > 4 else cut))
