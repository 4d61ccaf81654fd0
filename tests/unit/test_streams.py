"""A reader that leaves changes no exit code and ends nothing; a stream that was closed does not become a file."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from harness import streams
from harness.report.live_console import LiveConsole

MANY = """
import sys
from harness.streams import outlive_readers
outlive_readers()
for stream in (sys.stdout, sys.stderr):
    for _ in range(2000):
        print("a line that is as long as lines of a run are", file=stream)
    stream.flush()
open(sys.argv[1], "w").write("the end was reached")
sys.exit(6)
"""
RECORDED = Path(__file__).parents[1] / "corpus" / "recorded"


def test_a_closed_pipe_ends_nothing(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", MANY, tmp_path / "end"], stdout=writer, stderr=writer, timeout=120, check=False
    )
    os.close(writer)
    assert done.returncode == 6
    assert (tmp_path / "end").read_text(encoding="utf-8") == "the end was reached"


PROGRESS = """
import sys
from harness.streams import going_on, outlive_readers
outlive_readers()
with going_on():
    for number in range(20_000):
        print("a line of progress", number, file=sys.stderr)
print("all of it")
open(sys.argv[1], "w").write("the end was reached")
sys.stdin.read(1)
print("a last line", file=sys.stderr)
sys.exit(6)
"""


def test_a_reader_that_does_not_read_progress_holds_nothing_up(tmp_path: Path) -> None:
    """A pager, Ctrl-S, a program that waits for the end: the run goes on, and what was left out is said."""
    reader, writer = os.pipe()
    words = [sys.executable, "-c", PROGRESS, str(tmp_path / "end")]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    assert process.stdout is not None
    assert process.stdin is not None
    with process, io.FileIO(reader) as progress:
        deadline = time.monotonic() + 60
        while not (tmp_path / "end").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        held_up = not (tmp_path / "end").exists()
        first = progress.read(1 << 20)  # which also lets it go on
        process.stdin.close()
        rest = progress.readall()
        said = process.stdout.read()
    assert not held_up
    assert first.startswith(b"a line of progress 0\n")
    assert len(first) < 20_000 * 20, "a pipe takes no more than it has room for"
    assert re.search(rb"\n\([\d,]+ bytes of progress were left out, because the reader did not read them\)\n", rest)
    assert rest.endswith(b"a last line\n")
    assert said == b"all of it\n"
    assert process.returncode == 6


def test_outside_a_run_a_slow_reader_gets_everything() -> None:
    """Errors in a pager are read to their end."""
    words = [sys.executable, "-c", PROGRESS.replace("with going_on():", "if True:"), os.devnull]
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    time.sleep(1)  # the reader is slow: much longer than progress waits, and far more is written than a pipe holds
    with process:
        progress = process.stderr.read()
    assert progress.count(b"\n") == 20_001
    assert b"left out" not in progress


def test_the_view_of_a_run_is_what_waits_for_no_reader() -> None:
    class View(LiveConsole):
        def render(self) -> str:
            return ""

    with View(Console(file=io.StringIO())):
        assert streams._Progress.runs == 1
    assert streams._Progress.runs == 0


def test_streams_that_were_closed_go_nowhere(tmp_path: Path) -> None:
    """Else the first file that is opened gets the number of stderr, and messages are written into it."""
    command = [sys.executable, "-c", MANY, str(tmp_path / "end")]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command], timeout=120, check=False, close_fds=True
    )
    assert done.returncode == 6
    assert (tmp_path / "end").read_text(encoding="utf-8") == "the end was reached"


@pytest.mark.parametrize(
    "words", [["validate", "scenarios/gate"], ["checks"], ["check", str(RECORDED / "leader-kill")]]
)
def test_no_command_says_other_than_its_own_code_into_a_closed_pipe(words: list[str]) -> None:
    program = Path(sys.executable).parent / "harness"
    root = Path(__file__).parents[2]
    expected = subprocess.run([program, *words], cwd=root, capture_output=True, check=False).returncode
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([program, *words], cwd=root, stdout=writer, stderr=writer, timeout=300, check=False)
    os.close(writer)
    assert done.returncode == expected
