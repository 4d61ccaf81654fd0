"""A line says what docs/applications.md says of it, or is refused with what is wrong."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.applications.protocol import Assigned, Committed, Delivered, LineError, Processed, Returned, parse
from harness.clients.payload import encode
from harness.history.record import Outcome


def said(event: str, **fields: Any) -> Any:
    return parse(json.dumps({"event": event} | fields).encode())


def test_a_whole_body_is_verified_and_the_beginning_of_one_is_not() -> None:
    body = encode(3, 17, 100).decode()
    whole = said("delivered", partition=2, offset=9, body=body, attempt=2, number=11, t=5)
    assert whole == Delivered(2, 9, 3, 17, True, 2, 11, 5)
    assert said("delivered", partition=2, offset=9, head=body[:40]) == Delivered(2, 9, 3, 17, None, 0, -1)
    broken = said("delivered", partition=2, offset=9, body=body[:-1] + "#")
    assert (broken.key, broken.seq, broken.intact) == (3, 17, False)
    foreign = said("delivered", partition=0, offset=0, body="nothing of ours")
    assert (foreign.key, foreign.seq, foreign.intact) == (-1, -1, False)


def test_the_other_events() -> None:
    assert said("processed", partition=1, offset=2) == Processed(1, 2, Outcome.OK)
    assert said("processed", partition=1, offset=2, outcome="failed") == Processed(1, 2, Outcome.FAIL)
    assert said("returned", partition=1, offset=2) == Returned(1, 2)
    assert said("committed", partition=1, position=3) == Committed(1, -1, 3, Outcome.OK, False)
    assert said("committed", partition=1, offset=3, confirmed=True) == Committed(1, 3, -1, Outcome.OK, True)
    assert said("committed", partition=1, position=3, outcome="unknown").outcome is Outcome.UNKNOWN
    assert said("assigned", partitions=[3, 1, 1]) == Assigned("assigned", (1, 3))
    assert said("revoked", partitions=[]) == Assigned("revoked", ())
    assert said("lost", partitions=[0]) == Assigned("lost", (0,))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "is no JSON"),
        (b"delivered 1 2", "is no JSON"),
        (b"\xff\xfe", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"1" * 10_000, "is no JSON"),
        (b"[]", "is no JSON object"),
        (b"{}", "names no event"),
        (b'{"event": "deliverd"}', "did you mean 'delivered'"),
        (b'{"event": ["x"]}', "names no event"),
        (b'{"event": "processed", "partition": 0}', "needs 'offset'"),
        (b'{"event": "processed", "partition": 0, "ofset": 1}', "did you mean 'offset'"),
        (b'{"event": "processed", "partition": true, "offset": 1}', "whole number"),
        (b'{"event": "processed", "partition": 0.0, "offset": 1}', "whole number"),
        (b'{"event": "processed", "partition": null, "offset": 1}', "whole number"),
        (b'{"event": "processed", "partition": -1, "offset": 1}', "from 0 to 999999"),
        (b'{"event": "processed", "partition": 1000000, "offset": 1}', "from 0 to 999999"),
        (b'{"event": "processed", "partition": 0, "offset": 4611686018427387904}', "whole number"),
        (b'{"event": "processed", "partition": 0, "offset": 1, "outcome": "unknown"}', "one of ok, failed"),
        (b'{"event": "processed", "partition": 0, "offset": 1, "outcome": {}}', "one of ok, failed"),
        (b'{"event": "committed", "partition": 0}', "one of the two"),
        (b'{"event": "committed", "partition": 0, "offset": 1, "position": 2}', "one of the two"),
        (b'{"event": "committed", "partition": 0, "offset": 1, "confirmed": 1}', "true or false"),
        (b'{"event": "delivered", "partition": 0, "offset": 1}', "one of the two"),
        (b'{"event": "delivered", "partition": 0, "offset": 1, "body": 7}', "must be text"),
        (b'{"event": "delivered", "partition": 0, "offset": 1, "head": "short"}', "first 40 bytes"),
        (b'{"event": "delivered", "partition": 0, "offset": 1, "body": "", "attempt": 4294967296}', "whole number"),
        (b'{"event": "assigned", "partitions": 3}', "a list"),
        (b'{"event": "assigned", "partitions": ["0"]}', "whole numbers"),
        (b'{"event": "processed", "partition": 0, "offset": 1, "t": "now"}', "whole number"),
    ],
)
def test_a_malformed_line_says_what_is_wrong(text: bytes, why: str) -> None:
    with pytest.raises(LineError, match=why) as caught:
        parse(text)
    assert len(str(caught.value)) < 400, "what is quoted of a line is short"


@given(st.binary(max_size=300))
def test_no_bytes_do_anything_but_parse_or_be_refused(text: bytes) -> None:
    with contextlib.suppress(LineError):
        assert parse(text).sent_ns >= 0


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
_KEYS = st.sampled_from(
    ("partition", "offset", "position", "body", "head", "attempt", "number", "outcome", "confirmed", "partitions", "t")
)


@given(
    st.sampled_from(("delivered", "processed", "returned", "committed", "assigned", "revoked", "lost")),
    st.dictionaries(_KEYS, _VALUES, max_size=6),
)
def test_no_object_does_anything_but_parse_or_be_refused(event: str, fields: dict[str, Any]) -> None:
    try:
        found = said(event, **fields)
    except LineError:
        return
    for name in ("partition", "offset", "position", "number"):
        assert -1 <= getattr(found, name, 0) < 1 << 62, "a journal has room for it"
