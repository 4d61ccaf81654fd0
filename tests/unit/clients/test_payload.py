"""Bodies: each is read as it was written, one that was altered is not intact, and many are read as single ones are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clients.payload import BODY_BYTES_MIN, decode, decode_all, encode, encode_all, read, read_all
from harness.scenario.model import Workload

values = st.tuples(st.integers(0, 2**31 - 1), st.integers(0, 2**62))


def as_rows(bodies: list[bytes]) -> list[tuple[int, int, bool]]:
    """Return what ``read_all`` says of each."""
    return [(int(key), int(seq), bool(intact)) for key, seq, intact in zip(*read_all(bodies), strict=True)]


@given(st.lists(values, max_size=40), st.integers(1, 90))
def test_bodies_in_bulk_are_those_one_by_one(given_values: list[tuple[int, int]], size: int) -> None:
    keys, seqs = (np.array([value[place] for value in given_values], np.int64) for place in (0, 1))
    bodies = encode_all(keys, seqs, size)
    assert bodies == [encode(key, seq, size) for key, seq in given_values]
    assert as_rows(bodies) == [(*value, True) for value in given_values] == [read(body) for body in bodies]
    assert [tuple(map(int, pair)) for pair in zip(*decode_all(bodies), strict=True)] == given_values


@given(values, st.integers(BODY_BYTES_MIN, 200), st.data())
def test_one_altered_byte_is_seen_wherever_it_is(value: tuple[int, int], size: int, data: st.DataObject) -> None:
    body = encode(*value, size)
    at = data.draw(st.integers(0, size - 1))
    altered = body[:at] + bytes([data.draw(st.integers(0, 255).filter(lambda byte: byte != body[at]))]) + body[at + 1 :]
    assert not read(altered)[2]
    many = [altered, *[body] * 20]
    assert as_rows(many) == [read(altered), *[(*value, True)] * 20]


@given(values, st.integers(BODY_BYTES_MIN, 200), st.data())
def test_a_body_cut_or_lengthened_is_seen(value: tuple[int, int], size: int, data: st.DataObject) -> None:
    body = encode(*value, size)
    cut = body[: data.draw(st.integers(0, size - 1))]
    for altered in (cut, body + b"x", body + b" ", b""):
        assert not read(altered)[2]
        assert as_rows([altered] * 20) == [read(altered)] * 20


@given(
    st.lists(
        st.binary(max_size=50) | st.builds(encode, st.integers(0, 9), st.integers(0, 9), st.sampled_from([50, 2_000]))
    )
)
def test_foreign_bodies_in_bulk_are_read_as_one_by_one(bodies: list[bytes]) -> None:
    assert as_rows(bodies) == [read(body) for body in bodies]
    assert [tuple(map(int, pair)) for pair in zip(*decode_all(bodies), strict=True)] == [decode(b) for b in bodies]


@pytest.mark.parametrize("digits", [b"9999999999 0000000000000000000", b"0000000001 9999999999999999999"])
def test_a_number_too_large_for_a_record_is_not_ours(digits: bytes) -> None:
    body = b"00000000 " + digits + b" "
    assert read(body) == (-1, -1, False)
    assert as_rows([body] * 20) == [(-1, -1, False)] * 20


def test_half_of_another_messages_body_is_seen() -> None:
    one, other = encode(3, 7, 256), encode(3, 8, 256)
    assert one[BODY_BYTES_MIN:] != other[BODY_BYTES_MIN:]
    for at in range(BODY_BYTES_MIN, 256, 32):
        torn = one[:at] + other[at:]
        assert read(torn) == (3, 7, False)


def test_bodies_hold_no_nul_and_are_text() -> None:
    bodies = encode_all(np.arange(5000) % 7, np.arange(5000), 128)
    assert all(body.isascii() and b"\0" not in body for body in bodies)
    assert len({body[BODY_BYTES_MIN:] for body in bodies}) > 4000


def test_the_least_payload_of_a_scenario_is_that_of_a_body() -> None:
    assert Workload.__dataclass_fields__["payload_bytes"].metadata["minimum"] == BODY_BYTES_MIN
    assert len(encode(0, 0, 1)) == BODY_BYTES_MIN
