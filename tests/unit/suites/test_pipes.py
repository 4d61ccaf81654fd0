"""What a run says to its suite never holds it up, and its result arrives whole."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.suites import process as suite_process
from harness.suites.messages import PROGRESS_MAX, RunAnswer, RunRequest, line
from harness.suites.pipes import AnswerPipe, CommandPipe


def _lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(text) for text in content.splitlines()]


def _drain(fd: int) -> bytes:
    """Return what a pipe holds now."""
    os.set_blocking(fd, False)
    found = b""
    try:
        while part := os.read(fd, 1 << 16):
            found += part
    except BlockingIOError:
        pass
    return found


def test_progress_is_dropped_when_the_pipe_is_full_and_what_matters_comes_later() -> None:
    read, write = os.pipe()
    answers = AnswerPipe(write)
    filler = {"event": "note", "text": "x" * 1_000}
    for _ in range(500):
        answers.send(filler, droppable=True)
    for _ in range(500):  # what is left of the last page
        answers.send({"event": "note"}, droppable=True)
    answers.send({"event": "phase", "phase": "warmup"}, droppable=False)
    answers.send(filler, droppable=True)
    first = _lines(_drain(read))
    assert {line["event"] for line in first} == {"note"}
    assert sum("text" in line for line in first) < 500
    answers.send({"event": "phase", "phase": "drain"}, droppable=False)
    assert [line["phase"] for line in _lines(_drain(read))] == ["warmup", "drain"]


def test_a_result_larger_than_the_pipe_arrives_whole() -> None:
    read, write = os.pipe()
    answers = AnswerPipe(write)
    answers.send({"event": "phase", "phase": "clean"}, droppable=False)
    result = {"event": "ended", "text": "y" * 300_000}

    def deliver() -> None:
        answers.deliver(result)
        os.close(write)

    thread = threading.Thread(target=deliver)
    thread.start()
    found = b""
    while part := os.read(read, 1 << 16):
        found += part
    thread.join()
    assert _lines(found) == [{"event": "phase", "phase": "clean"}, result]


def test_a_line_that_a_pipe_may_take_in_part_is_not_sent() -> None:
    read, write = os.pipe()
    answers = AnswerPipe(write)
    answers.send({"event": "note", "text": "z" * PROGRESS_MAX}, droppable=False)
    answers.send({"event": "ready"}, droppable=False)
    assert _lines(_drain(read)) == [{"event": "ready"}]


def test_lines_of_several_threads_neither_mix_nor_get_lost() -> None:
    read, write = os.pipe()
    answers = AnswerPipe(write)
    begin = threading.Barrier(5)
    usual = sys.getswitchinterval()

    def send(name: int) -> None:
        begin.wait()
        for number in range(1_000):
            answers.send({"event": "phase", "thread": name, "number": number}, droppable=False)

    threads = [threading.Thread(target=send, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    found = b""
    sys.setswitchinterval(1e-6)  # so that threads meet in the middle of a line
    try:
        begin.wait()
        while any(thread.is_alive() for thread in threads):
            found += _drain(read)
    finally:
        sys.setswitchinterval(usual)
    found += _drain(read)  # else what is left might not fit
    answers.deliver({"event": "ended"})
    lines = _lines(found + _drain(read))
    said = [(line["thread"], int(str(line["number"]))) for line in lines[:-1]]
    assert len(said) == len(set(said)), "a line came twice"
    assert lines[-1] == {"event": "ended"}
    # Of those that the pipe did not take at once, the oldest are dropped: what comes is in order.
    for name in range(4):
        of_thread = [number for thread, number in said if thread == name]
        assert of_thread == sorted(of_thread)


def test_a_suite_that_is_gone_costs_a_run_nothing() -> None:
    read, write = os.pipe()
    answers = AnswerPipe(write)
    os.close(read)
    answers.send({"event": "ready"}, droppable=False)
    answers.deliver({"event": "ended"})


def test_commands_are_lines_and_end_with_the_suite() -> None:
    read, write = os.pipe()
    commands = CommandPipe(read)
    os.write(write, b'{"one": 1}\n{"two"')
    assert commands.next_line() == b'{"one": 1}'
    os.write(write, b": 2}\n")
    assert commands.next_line() == b'{"two": 2}'
    os.close(write)
    assert commands.next_line() == b""


def test_a_process_that_has_said_all_and_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_process, "LEAVES_S", 0.2)
    said = replace(suite_process.lost(6, "nothing was proven"), lost=False)
    script = f"import time; print({line(RunAnswer(result=said)).decode().strip()!r}, flush=True); time.sleep(600)"
    request = RunRequest(text="", file="a.yaml", variant={}, seed=1, digest="d", runtime="process", reports="")
    log = tmp_path / "log"
    process = suite_process.RunProcess(request, log, (sys.executable, "-c", script), lambda *_: None, 0)
    assert asyncio.run(asyncio.wait_for(process.run(), 60)) == said
