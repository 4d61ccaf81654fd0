"""Tries mutants: runs the tests that concern each in a process of its own, many at a time.

Most are quick. One process collects the tests once, and each mutant's process is forked from it and puts the mutated
code into the function that is loaded already. A mutant outside of functions, or of one that was called before any test,
needs its module loaded again, in a process that collects for itself. Must never know which mutants are chosen, nor why.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, NoReturn

import pytest
from hypothesis import Phase, settings
from proofs.mutation import Finder, Mutant, mutated
from proofs.reach import Choosing, Reach, Watching

CPU_SECONDS_MAX = 600
"""Of each process; a mutant that takes longer loops, and counts as dead."""
WALL_SECONDS_MAX = 5_400
"""For one that waits for ever; wide, because the machine may be busy."""
NOT_RUN = 70
_OPTIMIZED = 1
"""A flag of the code of functions, which that of classes has not."""

Ended = Callable[[Mutant, str], None]
"""Hears of a mutant what became of it: ``died``, ``timeout`` or ``survived``."""


def watch(copy: Path, files: Sequence[str], folders: Sequence[str], kept: Path) -> int:
    """Start a process that runs tests without a mutant and writes what they reach to ``kept``; return its id."""

    def work() -> int:
        watching = Watching(copy, folders)
        watching.begin()
        code = _pytest(copy, files, watching)
        watching.reach().save(kept)
        return code

    return _fork(lambda: _begin(copy, work))


def try_all(chosen: Sequence[Mutant], copy: Path, files: Sequence[str], reach: Reach, jobs: int, ended: Ended) -> None:
    """Try mutants against the tests of some files, ``jobs`` at a time; on any exception, what runs is killed."""
    concerned = [mutant for mutant in chosen if reach.tests(mutant.module, mutant.function)]
    for mutant in chosen:
        if mutant not in concerned:
            ended(mutant, "survived")
    quick = {mutant: place for mutant in concerned if (place := _swap(mutant, copy, reach)) is not None}
    _from_one(quick, copy, files, reach, jobs, ended)
    slow = [mutant for mutant in concerned if mutant not in quick]
    _pool(slow, jobs, lambda mutant: _fork(lambda: _begin(copy, lambda: _anew(mutant, copy, reach))), ended)


Swap = tuple[Sequence[str], CodeType]
"""Where a function stands in its module, and its mutated code."""


def _swap(mutant: Mutant, copy: Path, reach: Reach) -> Swap | None:
    """Return how to put a mutant into a loaded module; None where that would come too late, or cannot be done."""
    if not mutant.function or not reach.is_called_by_tests_alone(mutant.module, mutant.function):
        return None
    source = copy.joinpath(*mutant.module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
    before, after = compile(source, "", "exec"), compile(mutated(source, mutant), "", "exec")
    names: list[str] = []
    for name in mutant.function.split("."):
        pairs = [[code for code in _codes(whole) if code.co_name == name] for whole in (before, after)]
        if [len(codes) for codes in pairs] != [1, 1]:
            return None
        (before,), (after,) = pairs
        names.append(name)
        if before.co_flags & _OPTIMIZED:
            # An argument's default is no part of the code.
            return None if before == after else (names, after)
    return None


def _codes(code: CodeType) -> list[CodeType]:
    return [item for item in code.co_consts if isinstance(item, CodeType)]


def _put(mutant: Mutant, swap: Swap) -> None:
    """Put mutated code into a loaded module."""
    names, code = swap
    found: Any = importlib.import_module(mutant.module)
    for name in names:
        found = vars(found)[name]
    while not isinstance(found, FunctionType):
        found = next(
            inner
            for inner in (getattr(found, name, None) for name in ("fget", "__func__", "func", "__wrapped__"))
            if inner is not None
        )
    found.__code__ = code


def _from_one(
    quick: Mapping[Mutant, Swap], copy: Path, files: Sequence[str], reach: Reach, jobs: int, ended: Ended
) -> None:
    """Try mutants from one process that has collected all tests."""
    if not quick:
        return
    order = list(quick)
    reading, writing = os.pipe()

    def tell(mutant: Mutant, said: str) -> None:
        os.write(writing, f"{order.index(mutant)} {said}\n".encode())

    def work() -> int:
        os.close(reading)
        return _pytest(copy, files, _Trying(quick, reach, jobs, tell))

    pid = _fork(lambda: _begin(copy, work))
    os.close(writing)
    try:
        with os.fdopen(reading, encoding="utf-8") as lines:
            for line in lines:
                index, said = line.split()
                ended(order[int(index)], said)
        _, status = os.waitpid(pid, 0)
        pid = 0
    finally:
        if pid:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"the process that tries mutants ended with {status}")


class _Trying:
    """A plug-in of pytest that tries mutants in place of running the tests that were collected."""

    def __init__(self, quick: Mapping[Mutant, Swap], reach: Reach, jobs: int, ended: Ended) -> None:
        self._quick, self._reach, self._jobs, self._ended = quick, reach, jobs, ended

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Try each mutant in a process of its own."""
        items = {item.nodeid: item for item in session.items}

        def begin(mutant: Mutant) -> int:
            return _fork(lambda: self._one(mutant, session, items))

        _pool(list(self._quick), self._jobs, begin, self._ended)
        os._exit(0)

    def _one(self, mutant: Mutant, session: pytest.Session, items: Mapping[str, pytest.Item]) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS_MAX, CPU_SECONDS_MAX + 5))
        _put(mutant, self._quick[mutant])
        chosen = [items[name] for name in self._reach.tests(mutant.module, mutant.function)]
        for item, following in zip(chosen, [*chosen[1:], None], strict=True):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed or session.shouldstop:
                os._exit(1)
        os._exit(0)


def _anew(mutant: Mutant, copy: Path, reach: Reach) -> int:
    """Run in this process the tests that reach a mutant, with it in place of its module."""
    tests = reach.tests(mutant.module, mutant.function)
    Finder(mutant, copy.joinpath(*mutant.module.split(".")).with_suffix(".py")).install()
    return _pytest(copy, sorted({test.partition("::")[0] for test in tests}), Choosing(tests))


def _pool(chosen: Sequence[Mutant], jobs: int, begin: Callable[[Mutant], int], ended: Ended) -> None:
    """Run a process for each mutant, ``jobs`` at a time; on any exception, what runs is killed."""
    waiting = list(reversed(chosen))
    running: dict[int, tuple[Mutant, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                mutant = waiting.pop()
                running[begin(mutant)] = mutant, time.monotonic()
            for pid, status in _reaped(running):
                mutant, _ = running.pop(pid)
                ended(mutant, _said(status))
    finally:
        for pid in running:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _reaped(running: Mapping[int, tuple[Mutant, float]]) -> list[tuple[int, int]]:
    """Return (process, wait status) of those that ended; kill the others that are over their time."""
    found = []
    for pid, (_, began) in running.items():
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            found.append((pid, status))
        elif time.monotonic() - began > WALL_SECONDS_MAX:
            os.killpg(pid, signal.SIGKILL)
    if not found:
        time.sleep(0.02)
    return found


def _said(status: int) -> str:
    # One that took too long has no status of its own: SIGXCPU is the kernel's, SIGKILL ours.
    if os.WIFSIGNALED(status):
        return "timeout" if os.WTERMSIG(status) in {signal.SIGXCPU, signal.SIGKILL} else "died"
    code = os.WEXITSTATUS(status)
    if code == NOT_RUN:
        raise RuntimeError("the tests could not be started")
    # pytest: 0 all passed, 1 some failed, 2 to 4 the mutated module could not even be imported.
    return "survived" if code == 0 else "died"


def _fork(work: Callable[[], object]) -> int:
    """Start work in a process of its own, a group leader; return its id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setpgid(0, 0)
        work()
    finally:
        os._exit(NOT_RUN)


def _begin(copy: Path, work: Callable[[], int]) -> NoReturn:
    """Make this process one that runs tests in a copy of the checkout, and end it with what they say."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    os._exit(work())


def _pytest(copy: Path, files: Sequence[str], plugin: object) -> int:
    options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--timeout", "0", "--hypothesis-profile", "mutants"]
    # Hypothesis is loaded already, for its profile, so that pytest cannot rewrite its assertions; it need not.
    options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    # The same examples each time, and no search for the smallest: a mutant dies by its first failure.
    settings.register_profile(
        "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
    )
    with tempfile.TemporaryDirectory(dir=copy) as base:
        return int(pytest.main([*options, f"--basetemp={base}/t", f"--rootdir={copy}", *files], [plugin]))
