"""The name server's answers with a zone's addresses, on frames made up here in the dialects that real servers send."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.brokers.rocketmq.gateway import AnswerRewriter
from harness.brokers.rocketmq.remoting import Frame, decode, encode
from harness.clients.gateway import GATEWAYS

ZONE = {20911: "127.0.0.1:31001", 20921: "127.0.0.1:31002"}
ROUTE = (
    b'{"brokerDatas":[{"brokerAddrs":{0:"127.0.0.2:20911",1:"broker.example:20921"},"brokerName":"n1","cluster":"c",'
    b'"enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"n1","perm":6,"readQueueNums":4,'
    b'"topicSysFlag":0,"writeQueueNums":4}]}'
)
"""As fastjson writes it for clients that do not ask for standard JSON: a map's number is its key as it is."""


def answer(body: bytes, opaque: int = 1) -> bytes:
    return encode(Frame(code=0, opaque=opaque, flag=1, body=body))


def bodies(data: bytes) -> list[bytes]:
    """Return the bodies of frames that follow each other."""
    found = []
    while data:
        (length,) = struct.unpack_from(">I", data)
        found.append(decode(data[4 : 4 + length]).body)
        data = data[4 + length :]
    return found


def test_each_broker_is_at_the_zones_link_whatever_its_host_and_nothing_else_changes() -> None:
    (body,) = bodies(AnswerRewriter(ZONE).feed(answer(ROUTE)))
    expected = ROUTE.replace(b"127.0.0.2:20911", b"127.0.0.1:31001").replace(
        b"broker.example:20921", b"127.0.0.1:31002"
    )
    assert body == expected


def test_two_zones_get_their_own() -> None:
    far = AnswerRewriter({20911: "127.0.0.1:41001"}).feed(answer(ROUTE))
    assert b'0:"127.0.0.1:41001"' in far
    assert b'1:"broker.example:20921"' in far


def test_standard_json_and_keys_are_changed_as_well() -> None:
    told = {"filterServerTable": {"10.0.0.9:20911": []}, "brokerAddrs": {"0": "10.0.0.9:20911", "2": "10.0.0.9:1"}}
    (body,) = bodies(AnswerRewriter(ZONE).feed(answer(json.dumps(told).encode())))
    assert json.loads(body) == {
        "filterServerTable": {"127.0.0.1:31001": []},
        "brokerAddrs": {"0": "127.0.0.1:31001", "2": "10.0.0.9:1"},
    }


@pytest.mark.parametrize(
    "body",
    [b"", b"No topic route info", b'{"orderTopicConf":"n1:4;n2:4"}', b'"see 127.0.0.1:20911 and"', b'"20911"', b"\xff"],
)
def test_what_names_no_address_is_passed_on_byte_for_byte(body: bytes) -> None:
    assert AnswerRewriter(ZONE).feed(answer(body)) == answer(body)


def test_a_header_in_the_binary_form_is_passed_on_as_it_is() -> None:
    header = b'\x00\x00\x00\x01\x91"h:20911"'
    frame = struct.pack(">II", 4 + len(header) + len(ROUTE), 1 << 24 | len(header)) + header + ROUTE
    changed = AnswerRewriter(ZONE).feed(frame)
    assert changed[4 : 8 + len(header)] == frame[4 : 8 + len(header)]
    assert struct.unpack_from(">I", changed)[0] == len(changed) - 4
    assert b"127.0.0.1:31002" in changed


@given(st.lists(st.sampled_from([b"", ROUTE, b'{"a":1}']), max_size=5), st.data())
def test_frames_may_come_in_any_pieces(told: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(answer(body, opaque) for opaque, body in enumerate(told))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieced, whole = AnswerRewriter(ZONE), AnswerRewriter(ZONE)
    given_out = b"".join(
        pieced.feed(stream[start:end]) for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    )
    assert given_out == whole.feed(stream)
    assert len(bodies(given_out)) == len(told)


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK", b"\x00\x00\x00\x02ab", b"\x00\x00\x00\x06\x00\x00\x00\x09ab"])
def test_what_is_no_frame_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        AnswerRewriter(ZONE).feed(data)


def test_it_is_the_gateway_of_this_kind() -> None:
    assert GATEWAYS.get("rocketmq").rewriter(ZONE).feed(answer(b"")) == answer(b"")
