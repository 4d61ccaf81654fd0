"""An instance of an application as the engine sees it, with real processes: its life, its deaths, and its lies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.application_programs import GOOD, PREAMBLE, Told, instance, until_counted
from support.recorded_lines import until

from harness.applications.instance import Instance
from harness.applications.program import command_of
from harness.errors import StartError
from harness.history.record import HEADER_BYTES, RECORD_DTYPE, RecordKind
from harness.scenario.application import Ready

STUBBORN = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = connected()
while True: time.sleep(0.05)
"""
WITH_CHILD = """
child = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(600)"], start_new_session=True)
end = connected()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("child", child.pid, flush=True)
while True: time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def _state(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path_factory.mktemp("s")))


@contextlib.asynccontextmanager
async def running(folder: Path, program: str, **changes: Any) -> AsyncIterator[tuple[Instance, Told]]:
    """Yield an instance that is started; in the end nothing of it runs."""
    made, told, ledger = instance(folder, program, **changes)
    try:
        await made.start()
        yield made, told
    finally:
        made.expect_end()
        if made.pids or any(made.companions.values()):
            await made.kill()
        assert made.pids == ()
        assert not any(made.companions.values())
        assert ledger.close() == (), "nothing is left to be removed"


def journal(folder: Path, incarnation: int = 1) -> tuple[list[int], bool]:
    """Return the offsets that an incarnation's journal has as delivered, and whether it has its end."""
    rows = np.frombuffer((folder / "history" / f"c0.{incarnation}.journal").read_bytes()[HEADER_BYTES:], RECORD_DTYPE)
    return rows["offset"][rows["kind"] == RecordKind.DELIVERED].tolist(), bool(rows["kind"][-1] == RecordKind.END)


def test_the_life_of_a_good_application(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, GOOD) as (made, told):
            await made.wait_ready()
            assert made.ready
            await until_counted(made, 3)
            assert made.pids == (made.pid,)
            made.send_command("stop")
            assert await made.finish(0.0)
            assert (made.finished, made.returncode) == (True, 0)
        assert told.states == [("started", None), ("ready", None), ("finished", 0)]
        assert told.troubles == []
        assert journal(tmp_path) == ([0, 1, 2], True)

    asyncio.run(work())


def test_a_kill_keeps_what_was_written_and_a_restart_is_a_new_incarnation(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, GOOD) as (made, told):
            await made.wait_ready()
            first = made.pid
            await until_counted(made, 3)
            await made.kill()
            assert made.identity() is None
            assert journal(tmp_path) == ([0, 1, 2], True), "it is whole when the kill is reported"
            await made.restart(0)
            assert made.pid not in {0, first}
            assert made.spec.incarnation == 2
            await until_counted(made, 6)
            made.send_command("stop")
            assert await made.finish(0.0)
        assert [state for state, _ in told.states] == ["started", "ready", "killed", "started", "ready", "finished"]
        assert told.states[2] == ("killed", -9)
        assert told.troubles == []
        assert journal(tmp_path, 2) == ([0, 1, 2], True)

    asyncio.run(work())


def records(folder: Path, incarnation: int) -> list[int]:
    """Return the kinds of the records in an incarnation's journal."""
    rows = np.frombuffer((folder / "history" / f"c0.{incarnation}.journal").read_bytes()[HEADER_BYTES:], RECORD_DTYPE)
    return [int(kind) for kind in rows["kind"]]


def test_one_that_shows_nothing_has_no_recorder_and_journals_that_are_empty_and_whole(tmp_path: Path) -> None:
    async def work() -> None:
        quiet = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\nprint(sys.argv[1:], flush=True)\nsignal.pause()"
        command = (sys.executable, "-P", "-c", PREAMBLE + quiet, "{member}")
        async with running(tmp_path, "", command=command, shows="commits") as (made, told):
            await made.wait_ready()
            assert (made.companions, made.reporting, made.reports) == ({}, False, ())
            await until(lambda: "['c0']" in made.logs())
            await made.kill()
            assert records(tmp_path, 1) == [RecordKind.END], "it is whole when the kill is reported"
            await made.restart(0)
            assert made.spec.incarnation == 2
            await until(lambda: made.logs().count("['c0']") == 2)
            made.send_command("stop")
            assert await made.finish(0.0)
        assert [state for state, _ in told.states] == ["started", "ready", "killed", "started", "ready", "finished"]
        assert told.troubles == []
        assert records(tmp_path, 2) == [RecordKind.END]
        assert (tmp_path / "history" / "c0.2.events.jsonl").read_bytes() == b""

    asyncio.run(work())


def test_one_that_shows_nothing_and_dies_is_reported(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, "time.sleep(0.2); os._exit(4)", shows="commits") as (_, told):
            await until(lambda: bool(told.states) and told.states[-1] == ("died", 4))
            assert records(tmp_path, 1) == [RecordKind.END]

    asyncio.run(work())


def test_an_application_that_never_gets_ready(tmp_path: Path) -> None:
    async def work() -> None:
        silent = "print('I am here'); time.sleep(600)"
        async with running(tmp_path, silent, within_ns=500_000_000) as (made, _):
            with pytest.raises(StartError, match=r"c0 was not ready within 500ms: it has not connected") as caught:
                await made.wait_ready()
            assert "I am here" in str(caught.value), "the end of its log is shown"

    asyncio.run(work())


@pytest.mark.parametrize("status", [0, 3])
def test_an_application_that_ends_before_it_is_ready(status: int, tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, f"print('no such topic'); sys.exit({status})") as (made, _):
            with pytest.raises(StartError, match=rf"ended before it was ready \(exit status {status}\)") as caught:
                await made.wait_ready()
            assert "no such topic" in str(caught.value)

    asyncio.run(work())


@pytest.mark.parametrize("status", [0, 3])
def test_an_application_that_dies_silently_is_reported_with_all_that_it_wrote(status: int, tmp_path: Path) -> None:
    async def work() -> None:
        dying = f"end = connected()\nfor offset in range(200): delivered(end, offset)\nos._exit({status})"
        async with running(tmp_path, dying) as (made, told):
            await until(lambda: bool(told.states) and told.states[-1][0] == "died")
            assert journal(tmp_path) == (list(range(200)), True)
            assert told.states[-1] == ("died", status)
            assert not any(made.companions.values())

    asyncio.run(work())


def test_an_application_that_ignores_the_stop_signal_is_killed_and_has_not_finished(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, STUBBORN, patience_ns=300_000_000) as (made, told):
            await made.wait_ready()
            made.send_command("stop")
            assert not await made.finish(60.0)
            assert made.returncode == -9
            assert not made.finished
        assert "did not end within 300ms of SIGTERM" in told.troubles[0]
        assert "finished" not in [state for state, _ in told.states]

    asyncio.run(work())


def test_a_child_that_outlives_its_application_is_named_and_killed(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, WITH_CHILD) as (made, told):
            await made.wait_ready()
            assert len(made.pids) == 2
            (child,) = set(made.pids) - {made.pid}
            made.send_command("stop")
            assert await made.finish(0.0)
            assert command_of(child) == "", "it is gone"
        assert told.troubles[0].startswith(f"the application of c0 ended and left 1 running: pid {child} (")

    asyncio.run(work())


def test_a_pause_stops_children_too_and_is_no_pause_while_one_of_them_runs(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, WITH_CHILD) as (made, _):
            await made.wait_ready()
            (child,) = set(made.pids) - {made.pid}
            made.pause("fault-1")
            await until(lambda: made.state() == "T")
            os.kill(child, 18)  # SIGCONT
            await until(lambda: made.state() != "T")
            assert made.held
            made.resume("fault-1")
            assert not made.held

    asyncio.run(work())


def test_a_kill_takes_children_that_left_the_session_with_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, WITH_CHILD) as (made, told):
            await made.wait_ready()
            (child,) = set(made.pids) - {made.pid}
            await made.kill()
            assert command_of(child) == ""
        assert told.troubles == [], "the fault does that, and not the application"

    asyncio.run(work())


def test_a_child_without_our_mark_is_found_by_its_session(tmp_path: Path) -> None:
    async def work() -> None:
        cleaned = WITH_CHILD.replace("start_new_session=True", "env={}")
        async with running(tmp_path, cleaned) as (made, _):
            await made.wait_ready()
            assert len(made.pids) == 2

    asyncio.run(work())


def test_lines_that_cannot_be_recorded_are_told(tmp_path: Path) -> None:
    async def work() -> None:
        lying = "end = connected()\nprocessed(end, 7)\nprocessed(end, 8)\n" + GOOD
        async with running(tmp_path, lying) as (made, told):
            await made.wait_ready()
            await until_counted(made, 3)
            made.send_command("stop")
            assert await made.finish(0.0)
        assert "line 1 says processed of partition 0 offset 7, which was not delivered" in told.troubles[0]
        assert told.troubles[1] == "2 lines of c0.1 were not recorded"
        assert journal(tmp_path) == ([0, 1, 2], True)

    asyncio.run(work())


def test_a_recorder_that_dies_is_told_apart_from_its_application(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, GOOD) as (made, told):
            await made.wait_ready()
            os.kill(made.companions["recorder-c0"], 9)
            await until(lambda: bool(told.troubles))
            assert "the recorder of c0 died (exit status -9)" in told.troubles[0]
            assert "died" not in [state for state, _ in told.states]
            assert made.pid, "the application lives"

    asyncio.run(work())


def test_a_line_of_the_log_says_that_it_is_ready_and_one_of_an_earlier_incarnation_does_not(tmp_path: Path) -> None:
    async def work() -> None:
        late = "time.sleep(0.3)\nprint('member {member} is up', sys.argv[1:])\n" + GOOD
        ready = Ready(line="member c0 is up")
        async with running(tmp_path, late.replace("{member}", "c0"), ready=ready) as (made, _):
            with contextlib.suppress(StartError):
                assert await made._lacks() == "no line of its log holds 'member c0 is up'"
            await made.wait_ready()
            await made.kill()
            await made.restart(0)
            assert made.ready

    asyncio.run(work())


def test_an_address_says_that_it_is_ready(tmp_path: Path) -> None:
    async def work() -> None:
        serving = """
import http.server, threading
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/ready" else 503); self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", 0), Health)
open("port", "w").write(str(server.server_port))
threading.Thread(target=server.serve_forever, daemon=True).start()
end = connected()
while True: time.sleep(0.05)
"""
        async with running(tmp_path, serving, ready=Ready(http="http://127.0.0.1:1/ready")) as (made, _):
            from harness.applications.readiness import HttpAnswer

            assert "does not answer" in await made._lacks()
            written = tmp_path / "port"
            await until(lambda: written.exists() and bool(written.read_text()))
            port = written.read_text()
            assert await HttpAnswer(f"http://127.0.0.1:{port}/ready").lacks() == ""
            assert await HttpAnswer(f"http://127.0.0.1:{port}/no").lacks() == f"http://127.0.0.1:{port}/no answers 503"

    asyncio.run(work())


def test_words_are_filled_in_and_the_environment_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setenv("SECRET_OF_THE_USER", "x")
        asking = "print(os.environ.get('WHO'), os.environ.get('SECRET_OF_THE_USER'), os.getcwd())\n" + GOOD
        (tmp_path / "here").mkdir()
        env = {"WHO": "{member} of {topic} at {bootstrap}, {{member}}"}
        async with running(tmp_path, asking, env=env, directory=tmp_path / "here") as (made, _):
            await made.wait_ready()
            said = made.logs()
        assert f"c0 of chaos at 127.0.0.1:1,127.0.0.1:2, {{member}} None {tmp_path / 'here'}" in said

    asyncio.run(work())


def test_a_program_or_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def work(**changes: Any) -> None:
        async with running(tmp_path, "", **changes):
            pass

    with pytest.raises(StartError, match="cannot start the application of c0: no-such-program"):
        asyncio.run(work(command=("no-such-program",)))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    async def work() -> None:
        async with running(tmp_path, "", directory=tmp_path / "nowhere"):
            pass

    with pytest.raises(StartError, match=f"cannot start the application of c0: {tmp_path / 'nowhere'}"):
        asyncio.run(work())


def test_a_socket_s_path_that_is_too_long_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_STATE_DIR", str(tmp_path / ("s" * 100)))

    async def work() -> None:
        async with running(tmp_path, GOOD):
            pass

    with pytest.raises(StartError, match="HARNESS_STATE_DIR"):
        asyncio.run(work())
