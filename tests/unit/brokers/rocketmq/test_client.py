"""How the reference clients begin and end. Servers are fakes; the library is a stand-in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from support.rocketmq_fake import FakeServer, fake_cluster
from support.worker_session import made

from harness.brokers.rocketmq.consumer import await_route, begin_at_first, masters
from harness.brokers.rocketmq.remoting import Code
from harness.errors import StartError


async def asked(server: FakeServer, count: int) -> None:
    """Wait until a server has been asked so often."""
    while len(server.asked) < count:  # noqa: ASYNC110  the server counts; it has no event
        await asyncio.sleep(0.01)


def test_a_client_waits_until_every_queue_can_be_read(tmp_path: Path) -> None:
    async def run() -> None:
        async with fake_cluster(4, masters=2) as (names, nodes):
            session = made(tmp_path, addresses=(names.address,), partitions=4)
            assert names.route is not None
            whole, names.route = names.route, None
            waiting = asyncio.create_task(await_route(session))
            await asked(names, 1)
            names.route = {**whole, "queueDatas": whole["queueDatas"][:1]}  # one of two masters has registered
            await asked(names, len(names.asked) + 2)
            assert not waiting.done()
            names.route = whole
            assert masters(await waiting) == {node.name: node.address for node in nodes}

    asyncio.run(run())


def test_a_client_that_finds_no_topic_says_what_is_lacking(tmp_path: Path) -> None:
    async def run() -> None:
        async with fake_cluster(2) as (names, _):
            session = made(tmp_path, addresses=(names.address,), partitions=4)
            with pytest.raises(StartError, match="the topic has 2 of 4 queues"):
                await await_route(session, patience_s=0.0)
            await names.stop()
            with pytest.raises(StartError, match=f"c0 cannot start at {names.address}"):
                await await_route(session, patience_s=0.0)

    asyncio.run(run())


def test_a_group_begins_at_the_first_message_where_it_has_no_position(tmp_path: Path) -> None:
    async def run() -> None:
        async with fake_cluster(4, masters=2) as (names, (first, second)):
            session = made(tmp_path, addresses=(names.address,), partitions=4)
            first.positions[1] = 42  # another member has been here
            await begin_at_first(session, await await_route(session))
            assert first.positions == {0: 0, 1: 42}
            assert second.positions == {0: 0, 1: 0}
            # Else a broker answers 0 for a group that never committed, and the library begins at the end all the same.
            queries = [frame.fields for frame in first.asked if frame.code == Code.QUERY_CONSUMER_OFFSET]
            assert {fields["setZeroIfNotFound"] for fields in queries} == {"false"}

    asyncio.run(run())


def test_a_broker_that_does_not_answer_is_asked_again(tmp_path: Path) -> None:
    async def run() -> None:
        async with fake_cluster(1) as (names, (broker,)):
            session = made(tmp_path, addresses=(names.address,))
            broker.silent.add(Code.QUERY_CONSUMER_OFFSET)
            beginning = asyncio.create_task(begin_at_first(session, await await_route(session), timeout_s=0.05))
            await asked(broker, 2)
            broker.silent.clear()
            await beginning
            assert broker.positions == {0: 0}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        ("process.clean = True", 7),  # that of the program
        ("process.clean = False", 0),
        ("raise StartError('no')", int(StartError("").exit_code)),
        ("raise asyncio.CancelledError", 0),
        ("raise ValueError('a mistake')", 1),
    ],
)
def test_a_process_whose_library_has_not_ended_does_not_wait_for_it(ending: str, status: int) -> None:
    code = f"""
import asyncio, sys, threading
from harness.brokers.rocketmq.client import _Process
from harness.errors import StartError
try:
    with _Process() as process:
        {ending}
except BaseException:
    pass
sys.exit(7)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr


def test_its_module_brings_no_library() -> None:
    code = "import sys, harness.brokers.rocketmq.client\nprint('rocketmq' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
