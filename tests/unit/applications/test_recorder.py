"""What an application reports is in the journal as it came, whatever becomes of the application."""

from __future__ import annotations

import asyncio
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from support.recorded_lines import BURST, Recorded, delivered, line, recording, sender, until

from harness.applications.protocol import LINE_BYTES_MAX
from harness.history.record import Flag, JournalError, Outcome

KILLS = int(os.environ.get("HARNESS_TEST_KILLS", "20"))


async def _told(recorded: Recorded, *texts: bytes) -> None:
    """Send lines over one connection, and wait until it has ended."""
    with sender(recorded.path) as end:
        for text in texts:
            await asyncio.to_thread(end.sendall, text)


def test_lines_become_records_by_the_rules_of_journaling(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            await _told(
                recorded,
                delivered(5, key=1, seq=7) + delivered(6, key=2, seq=8),
                line("processed", partition=0, offset=5) + line("processed", partition=0, offset=6),
                line("committed", partition=0, position=7, outcome="unknown"),
                line("committed", partition=0, position=7),
            )
        rows = recorded.records()
        assert recorded.kinds() == ["DELIVERED", "DELIVERED", "PROCESSED", "COMMIT", "COMMIT"]
        assert rows["key"][:2].tolist() == [1, 2]
        assert rows["seq"][:2].tolist() == [7, 8]
        assert rows["offset"].tolist() == [5, 6, -1, 7, 7]
        assert set(rows["flags"][:2].tolist()) == {Flag.INTACT}
        assert (rows["ref"][2], rows["count"][2]) == (0, 2), "one record for handlers that end in order"
        assert rows["outcome"][3:].tolist() == [Outcome.UNKNOWN, Outcome.OK]
        assert rows["t"].tolist() == sorted(rows["t"].tolist())
        assert recorded.session.counters.delivered == recorded.session.counters.processed == 2
        assert recorded.said == [{"say": "connected"}]
        assert recorded.session.journal.ended

    asyncio.run(work())


def test_acknowledgements_of_messages_one_by_one(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path, settles="messages") as recorded:
            await _told(
                recorded,
                delivered(5, attempt=2, number=4) + delivered(6) + delivered(7) + delivered(8),
                *(line("processed", partition=0, offset=offset) for offset in (5, 6, 7)),
                line("committed", partition=0, offset=5, confirmed=True),
                line("committed", partition=0, offset=6, outcome="unknown"),
                line("committed", partition=0, offset=6, outcome="failed"),
                line("committed", partition=0, offset=7, outcome="unknown"),
                line("returned", partition=0, offset=8),
            )
        rows = recorded.records()
        acked = rows[rows["kind"] == 5]
        assert acked["ref"].tolist() == [0, 1, 2]
        assert acked["outcome"].tolist() == [Outcome.OK, Outcome.FAIL, Outcome.UNKNOWN], "7 was never answered"
        assert acked["flags"].tolist() == [Flag.CONFIRMED, 0, 0]
        assert rows["flags"][0] & Flag.REDELIVERED
        assert rows["ref"][0] == 4
        assert recorded.session.counters.returned == 1
        assert recorded.said == [{"say": "connected"}]

    asyncio.run(work())


def test_a_place_that_came_twice_is_two_deliveries_and_each_has_its_end(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            again = line("processed", partition=0, offset=5)
            await _told(recorded, delivered(5) + delivered(5), again, again, again)
        rows = recorded.records()
        ended = [row["ref"] + number for row in rows if row["kind"] == 4 for number in range(row["count"])]
        assert ended == [0, 1]
        (_, rejected) = recorded.said
        assert rejected["first"].startswith("line 5 says processed of partition 0 offset 5, which was not delivered")

    asyncio.run(work())


def test_what_is_malformed_or_out_of_turn_is_told_with_its_number_and_stops_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            await _told(
                recorded,
                delivered(1),
                b"nonsense\n",
                line("processed", partition=0, offset=99),
                line("committed", partition=0, offset=1),
                b"x" * (LINE_BYTES_MAX + 10) + b"\n",
                b"\n",
                line("processed", partition=0, offset=1),
                b'{"event": "delivered", "partition": 0, "off',
            )
        assert recorded.kinds() == ["DELIVERED", "PROCESSED"]
        assert recorded.said[1]["first"] == "line 2 is no JSON: nonsense"
        assert recorded.said[2]["count"] == 5
        events = recorded.events()
        messages = [event["message"] for event in events if event["kind"] == "error"]
        assert [message.split(" ")[:2] for message in messages] == [["line", str(n)] for n in (2, 3, 4, 5, 6)]
        assert "longer than" in messages[3]
        (cost,) = (event for event in events if event["kind"] == "recorder")
        assert (cost["lines"], cost["rejected"], cost["torn"], cost["connections"]) == (7, 5, 1, 1)

    asyncio.run(work())


def test_assignments_are_events(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            await _told(recorded, line("assigned", partitions=[2, 1]), line("revoked", partitions=[1]))
            await _told(recorded, line("lost", partitions=[2]))
        found = [(event["kind"], event.get("partitions")) for event in recorded.events()]
        assert found[:3] == [("assign", [1, 2]), ("revoke", [1]), ("lost", [2])]

    asyncio.run(work())


def test_where_nothing_is_acknowledged_nothing_can_be_committed(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path, settles="") as recorded:
            await _told(recorded, delivered(1), line("committed", partition=0, offset=1))
        assert recorded.kinds() == ["DELIVERED"]
        assert "nothing is acknowledged here" in recorded.said[1]["first"]

    asyncio.run(work())


def test_a_delay_is_measured_where_a_line_says_when_it_was_written(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            now = asyncio.get_running_loop().time()
            await _told(recorded, delivered(1), delivered(2, t=int(now * 1e9) - 1_000_000_000), delivered(3, t=1 << 61))
        (cost,) = (event for event in recorded.events() if event["kind"] == "recorder")
        assert cost["timed"] == 1, "a time of another clock is none"
        assert cost["longest_ns"] == cost["median_ns"] >= 1_000_000_000

    asyncio.run(work())


def test_a_connection_that_nobody_has_taken_yet_is_read_to_its_end(tmp_path: Path) -> None:
    """The application was killed before the recorder came to it: its lines are in the kernel."""

    async def work() -> None:
        async with recording(tmp_path) as recorded:
            for offset in range(40):
                with sender(recorded.path) as end:
                    end.sendall(delivered(offset))
            # The recorder has not had its turn since; it is asked to stop at once.
        assert recorded.records()["offset"].tolist() == list(range(40))

    asyncio.run(work())


def test_a_journal_that_cannot_be_written_ends_the_recorder(tmp_path: Path) -> None:
    async def work() -> None:
        async with recording(tmp_path) as recorded:
            device = os.open("/dev/full", os.O_WRONLY)
            os.dup2(device, recorded.session.journal._fd)
            os.close(device)
            await _told(recorded, delivered(1))
            await asyncio.sleep(0.05)

    with pytest.raises(JournalError):
        asyncio.run(work())


@pytest.mark.parametrize("seed", range(KILLS))
def test_no_line_is_lost_and_none_invented_when_the_application_is_killed_in_a_burst(seed: int, tmp_path: Path) -> None:
    async def work() -> None:
        count = tmp_path / "count"
        count.write_bytes(bytes(8))
        async with recording(tmp_path) as recorded:
            words = [sys.executable, "-I", "-S", "-c", BURST, recorded.path, str(count)]
            program = await asyncio.to_thread(subprocess.Popen, words)
            try:
                await until(lambda: recorded.session.counters.delivered > 0)
                await asyncio.sleep(random.Random(seed).uniform(0.0, 0.05))
            finally:
                program.kill()
                await asyncio.to_thread(program.wait)
        (written,) = struct.unpack("<q", count.read_bytes())
        offsets = recorded.records()["offset"].tolist()
        assert offsets == list(range(len(offsets))), "each once, in order"
        # The last line may be written and not yet counted.
        assert written <= len(offsets) <= written + 1
        assert written > 0
        assert recorded.session.journal.ended

    asyncio.run(work())
