"""Administration of NATS while servers refuse, are silent or cut answers short; fake servers answer (and say so)."""

from __future__ import annotations

import asyncio
import http.client
import json
import socketserver
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import nats.errors
import nats.js.errors
import pytest
from nats.js import api

from harness.brokers.nats import admin as nats_admin
from harness.brokers.nats import view as nats_view
from harness.brokers.nats.admin import NatsAdmin
from harness.brokers.nats.options import durable
from harness.brokers.nats.positions import positions
from harness.brokers.nats.view import NatsView
from harness.errors import ControlError, StartError
from harness.history.events import LeaderEvent, PositionsEvent

PORTS = {name: {"client": 1, "monitor": 2} for name in ("n1", "n2", "n3")}
UNAVAILABLE = nats.js.errors.ServiceUnavailableError(code=503, err_code=10008, description="temporarily unavailable")


class FakeView(NatsView):
    """Nodes that have the views told (None: silent, -: no stream)."""

    def __init__(self, *views: str | None) -> None:
        super().__init__({name: roles["monitor"] for name, roles in PORTS.items()})
        self.told = views

    async def view(self, node: str) -> dict[str, Any] | None:
        leader = self.told[int(node[1:]) - 1]
        if leader == "-":
            return {}
        return None if leader is None else {"leader": leader, "replicas": []}


class FakeCluster(NatsAdmin):
    """An administration whose requests end as told."""

    def __init__(self, answer: Exception, *views: str | None) -> None:
        super().__init__(PORTS, 4)
        self.answer = answer
        self._view = FakeView(*views)

    async def _jetstream(self) -> Any:
        raise self.answer


@pytest.mark.parametrize(
    ("answer", "views", "observed"),
    [
        (UNAVAILABLE, ("n2", "n2", None), "n2"),
        (nats.errors.TimeoutError(), ("n2", "n2", "n1"), "n2"),
        (nats.errors.TimeoutError(), ("", "", None), ""),
        (nats.errors.TimeoutError(), ("n3", "n3", None), "n3"),  # it was killed: no election yet
        (nats.errors.TimeoutError(), ("n3", "n3", ""), ""),  # it is back, and waits for the election
        (nats.errors.TimeoutError(), ("n3", "n3", "-"), ""),
        (nats.errors.TimeoutError(), (None, "-", "-"), None),
        (UNAVAILABLE, (None, None, None), None),
        (ControlError("no node accepts connections"), (None, None, None), None),
        (nats.js.errors.NotFoundError(code=404, err_code=10059), (None, None, None), ""),
    ],
)
def test_a_request_that_is_not_answered_is_no_word_of_a_stream_without_a_leader(
    answer: Exception, views: tuple[str | None, ...], observed: str | None
) -> None:
    admin = FakeCluster(answer, *views)
    told = [] if observed is None else [LeaderEvent(partition=-1, leader=observed)]
    assert asyncio.run(admin.observe()) == told
    assert asyncio.run(admin.leader()) == (observed or "")


@pytest.mark.parametrize(
    "answer", [UNAVAILABLE, nats.errors.TimeoutError(), nats.errors.NoRespondersError(), ControlError("nobody")]
)
def test_an_order_that_is_refused_is_a_control_error(answer: Exception) -> None:
    with pytest.raises(ControlError, match="did not step down"):
        asyncio.run(FakeCluster(answer, "n1", "n1", "n1").move_leader(0))


MIRROR = {"mirror": {"name": "chaos"}}
SOURCES = {"sources": [{"name": "chaos", "lag": 4}]}


@pytest.mark.parametrize(
    ("first", "second", "uncopied"),
    [
        ({"last_seq": 9, "first_seq": 1, "messages": 9}, {"last_seq": 9} | MIRROR, 0),
        ({"last_seq": 9, "first_seq": 1, "messages": 9}, {"last_seq": 6} | MIRROR, 3),
        # A mirror whose origin has been emptied since is behind by its sequences, too.
        ({"last_seq": 9, "first_seq": 10, "messages": 0}, {"last_seq": 6} | MIRROR, 3),
        # A stream of sources counts from 1, whatever the first sequence of its origin.
        ({"last_seq": 509, "first_seq": 500, "messages": 10, "begin": 500}, {"last_seq": 10} | SOURCES, 0),
        ({"last_seq": 509, "first_seq": 500, "messages": 10, "begin": 500}, {"last_seq": 7} | SOURCES, 3),
        # What the origin has removed by itself may never come: the server's word on the lag decides.
        ({"last_seq": 509, "first_seq": 503, "messages": 7, "begin": 500}, {"last_seq": 7} | SOURCES, 4),
        ({"last_seq": 509, "first_seq": 510, "messages": 0, "begin": 500}, {"last_seq": 7} | SOURCES, 4),
        ({"last_seq": 499, "first_seq": 500, "messages": 0, "begin": 500}, {"last_seq": 0} | SOURCES, 0),
    ],
)
def test_what_a_copy_has_never_had_is_pending(first: dict[str, int], second: dict[str, Any], uncopied: int) -> None:
    class Told(NatsAdmin):
        async def _order(self, api_subject: str, body: Any = None) -> dict[str, Any]:
            del body
            if api_subject == "STREAM.INFO.chaos":
                return {"config": {"first_seq": first.get("begin", 0)}, "state": first}
            kinds = {key: value for key, value in second.items() if key != "last_seq"}
            return {"state": {"last_seq": second["last_seq"]}} | kinds

    assert asyncio.run(Told(PORTS, 1, consumed="chaos-copy")._uncopied()) == uncopied
    assert asyncio.run(Told(PORTS, 1)._uncopied()) == 0


def test_no_suitable_peers_is_an_answer_for_now() -> None:
    no_peers = nats.js.errors.BadRequestError(code=400, err_code=10005, description="no suitable peers")
    script: list[Exception] = [no_peers, UNAVAILABLE]

    async def call() -> str:
        if script:
            raise script.pop(0)
        return "made"

    assert asyncio.run(nats_admin._until_accepted(call, "the stream")) == "made"
    script = [nats.js.errors.BadRequestError(code=400, err_code=10025), no_peers]
    with pytest.raises(StartError, match=r"cannot create the stream: .*10025"):
        asyncio.run(nats_admin._until_accepted(call, "the stream"))
    with pytest.raises(StartError, match=r"cannot create the stream: .*10005"):
        asyncio.run(nats_admin._until_accepted(call, "the stream", 0.0))


class FakeServer(socketserver.ThreadingTCPServer):
    """Sends the same bytes to everybody who connects, whatever is asked; keeps the connection open if ``holds``."""

    daemon_threads = True

    def __init__(self) -> None:
        self.says, self.holds = b"", False
        self.ended = threading.Semaphore(0)
        super().__init__(("127.0.0.1", 0), FakeHandler)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])


class FakeHandler(socketserver.BaseRequestHandler):
    """See ``FakeServer``."""

    server: FakeServer

    def handle(self) -> None:
        """Answer."""
        if self.server.says:
            self.request.recv(1 << 16)
            self.request.sendall(self.server.says)
        while self.server.holds and self.request.recv(1 << 16):
            pass
        self.server.ended.release()


@pytest.fixture
def server() -> Iterator[FakeServer]:
    with FakeServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def _answer(status: str, body: bytes, length: int) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n".encode() + body


@pytest.mark.parametrize("status", ["200 OK", "503 Service Unavailable"])
def test_an_answer_that_is_cut_short_is_a_control_error(server: FakeServer, status: str) -> None:
    server.says = _answer(status, b'{"status": ', 500)
    with pytest.raises(ControlError, match="n1 "):
        nats_view._get_json(f"http://127.0.0.1:{server.port}/healthz", "n1")
    server.says = b"no HTTP at all\r\n\r\n"
    with pytest.raises(ControlError) as caught:
        nats_view._get_json(f"http://127.0.0.1:{server.port}/healthz", "n1")
    assert isinstance(caught.value.__cause__, http.client.HTTPException)


def test_a_node_that_knows_the_account_before_its_streams_has_no_view(server: FakeServer) -> None:
    body = json.dumps({"account_details": [{"name": "$G"}]}).encode()
    server.says = _answer("200 OK", body, len(body))
    admin = NatsAdmin({"n1": {"client": 1, "monitor": server.port}}, 1)
    assert asyncio.run(admin.leadership(0)).leader == ""


def test_a_connection_without_an_answer_is_given_up_and_closed(server: FakeServer) -> None:
    server.holds = True
    admin = NatsAdmin({"n1": {"client": server.port, "monitor": 1}}, 1, connect_s=0.3)

    async def run() -> None:
        with pytest.raises(ControlError, match="no node accepts connections"):
            await asyncio.wait_for(admin.partitions(), 5)
        assert await asyncio.to_thread(server.ended.acquire, timeout=5), "nothing is left open"

    asyncio.run(run())


class FakeStream:
    """A JetStream context that has some durable consumers, and a stream or not."""

    def __init__(self, *durables: str, stream: bool = True) -> None:
        self._durables, self._stream = durables, stream
        self.floors: dict[str, int] = {}

    async def get_last_msg(self, _stream: str, _subject: str) -> Any:
        if not self._stream:
            raise nats.js.errors.NotFoundError(code=404, err_code=10059, description="stream not found")
        return api.RawStreamMsg(seq=7)

    async def consumer_info(self, _stream: str, name: str, **_: float) -> Any:
        if name not in self._durables:
            raise nats.js.errors.NotFoundError(code=404, err_code=10014, description="consumer not found")
        floor = SimpleNamespace(stream_seq=self.floors.get(name, 0))
        return SimpleNamespace(
            delivered=SimpleNamespace(stream_seq=7), num_pending=0, num_ack_pending=0, ack_floor=floor
        )


class FakeJetStream(NatsAdmin):
    """An administration over such a context."""

    def __init__(self, context: FakeStream, *, by_positions: bool = False) -> None:
        super().__init__(PORTS, 2, by_positions=by_positions)
        self._context = context

    async def _jetstream(self) -> Any:
        return self._context


def test_a_durable_consumer_that_does_not_exist_is_not_a_stream_that_does_not_exist() -> None:
    states = asyncio.run(FakeJetStream(FakeStream(durable(1))).partitions())
    assert states is not None
    assert [(state.partition, state.consumer_gone, state.drained) for state in states] == [
        (0, True, False),
        (1, False, True),
    ]
    assert states[0].end_offset == 7
    assert asyncio.run(FakeJetStream(FakeStream(stream=False)).partitions()) is None


@pytest.mark.parametrize("by_positions", [False, True])
def test_a_position_is_what_lies_behind_the_acknowledgement_floor(by_positions: bool) -> None:
    context = FakeStream(durable(0), durable(1))
    context.floors = {durable(0): 7}
    admin = FakeJetStream(context, by_positions=by_positions)

    async def leader() -> str:
        return "n1"

    admin._leader = leader  # type: ignore[method-assign]
    found = [event for event in asyncio.run(admin.observe()) if isinstance(event, PositionsEvent)]
    assert [event.committed for event in found] == ([{0: 8, 1: -1}] if by_positions else [])
    assert all(event.asked_ns <= event.t for event in found)


def test_a_consumer_that_does_not_answer_is_left_out_of_the_positions() -> None:
    told = asyncio.run(positions(FakeStream(durable(1)), "chaos", 2, 1.0))  # type: ignore[arg-type]
    assert told is not None
    assert told.committed == {1: -1}
    assert asyncio.run(positions(FakeStream(), "chaos", 2, 1.0)) is None  # type: ignore[arg-type]
