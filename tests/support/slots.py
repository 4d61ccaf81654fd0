"""Shares this machine's cores among all processes that run tests: a run waits for its turn, and holds what it takes.

What a run takes is what a suite reckons with (``suites/cost.formula``), and what may go on next to what is decided by
the same functions (``suites/schedule``). Turns are in order of arrival; where there is no room yet for the first one,
another one may go on in between that does not delay it. A place is a locked file: the kernel frees it when its holder
dies, whatever it died of.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import monotonic_ns
from harness.errors import HarnessError
from harness.runtime.kernel.capacity import Capacity
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary
from harness.suite_result import Cost
from harness.suites.budget import Budget, machine_budget
from harness.suites.cost import formula
from harness.suites.schedule import fits_together, may_pass

_CHECKOUT = hashlib.sha256(str(Path(__file__).parents[2]).encode()).hexdigest()[:8]
POOL = Path(
    os.environ.get("HARNESS_TEST_POOL", f"{tempfile.gettempdir()}/broker-chaos-tests-{os.getuid()}-{_CHECKOUT}")
)
"""One for each checkout, so that no test waits for what runs elsewhere; several that name one folder share it."""
UNKNOWN = Cost(
    cores=0.8,
    memory_bytes=400 << 20,
    wall_ns=30 * 10**9,
    disk_bytes=100 << 20,
    ports=20,
    measures_machine=False,
    source="formula",
    start_ns=10**9,
)
"""Of a run whose scenario this process cannot read: its broker is installed for another one."""
_POLL_S = 0.05
_MEMORY_PART = 0.9


def cost_of(text: str, runtime: str) -> Cost:
    """Return what the run of a scenario takes; of several variants, which run in turn, the most demanding one."""
    try:
        plans = [make_plan(variant) for variant in variants(load_text(text, "scenario.yaml", vocabulary()))]
    except HarnessError:
        return UNKNOWN
    return max((formula(plan, runtime) for plan in plans), key=lambda cost: cost.cores, default=UNKNOWN)


def whole_machine() -> Cost:
    """Return the cost of what shares the machine by itself: a suite."""
    return dataclasses.replace(UNKNOWN, cores=1e6, measures_machine=True, start_ns=0)


def pool_budget() -> Budget:
    """Return what all tests together may take; ``HARNESS_TEST_CORES`` gives the cores."""
    given = os.environ.get("HARNESS_TEST_CORES")
    memory = round(Capacity().memory_bytes() * _MEMORY_PART)
    return machine_budget(float(given) if given else None, memory, Path(tempfile.gettempdir()))


@dataclass(slots=True, kw_only=True)
class Place:
    """A place in the pool: of a run that waits, or goes on.

    Attributes:
        number: In order of arrival.
        file: It exists, and is locked, for as long as the place is held.
        cost: Of the run.
        running: Its turn has come.
        started_ns: When; monotonic.
        serves: Its cluster serves, so that another one may start.
        fd: Of the locked file; -1 in other processes.
    """

    number: int
    file: Path
    cost: Cost
    running: bool = False
    started_ns: int = 0
    serves: bool = False
    fd: int = field(default=-1, compare=False)

    @property
    def starting(self) -> bool:
        """Whether its cluster is still starting, as far as is known: it says so, or its expected time is over."""
        return self.running and not self.serves and monotonic_ns() - self.started_ns < self.cost.start_ns

    @property
    def left(self) -> Cost:
        """Its cost, with what is left of its time; 0 when it takes longer than expected."""
        return dataclasses.replace(self.cost, wall_ns=max(0, self.cost.wall_ns - (monotonic_ns() - self.started_ns)))

    def write(self) -> None:
        """Write it to its file."""
        content = {"cost": dataclasses.asdict(self.cost), "running": self.running}
        content |= {"started_ns": self.started_ns, "serves": self.serves}
        text = json.dumps(content).encode()
        os.ftruncate(self.fd, 0)
        os.pwrite(self.fd, text, 0)

    def served(self) -> None:
        """Say that the cluster serves."""
        self.serves = True
        with _mutex(self.file.parent):
            self.write()

    def lend(self) -> None:
        """Leave it to a process that has inherited its descriptor: the place is held until that process ends."""
        os.close(self.fd)
        self.fd = -1

    def release(self) -> None:
        """Give it back; harmless when it was lent."""
        if self.fd < 0:
            return
        self.file.unlink(missing_ok=True)
        os.close(self.fd)
        self.fd = -1


def queue_up(cost: Cost, pool: Path = POOL) -> Place:
    """Return a place behind all others of the pool; it waits for its turn (``begin``)."""
    pool.mkdir(parents=True, exist_ok=True)
    with _mutex(pool):
        number = max((place.number for place in _places(pool)), default=0) + 1
        place = Place(number=number, file=pool / f"{number:08d}.json", cost=cost)
        place.fd = os.open(place.file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(place.fd, fcntl.LOCK_EX)
        place.write()
    return place


def begin(place: Place, budget: Budget) -> bool:
    """Let a run begin if there is room within the budget, and it is its turn or delays nobody; say if it did."""
    pool = place.file.parent
    with _mutex(pool):
        others = [other for other in _places(pool) if other.number != place.number]
        running = [other for other in others if other.running]
        if any(other.starting for other in running):
            return False
        going = [other.left for other in running]
        ahead = [other for other in others if not other.running and other.number < place.number]
        first = min(ahead, key=lambda other: other.number).cost if ahead else place.cost
        if fits_together((*going, first), budget):
            if ahead:
                return False
        elif not ahead or not may_pass(place.cost, first, going, budget):
            return False
        place.running, place.started_ns = True, monotonic_ns()
        place.write()
        return True


def take(cost: Cost, pool: Path = POOL, budget: Budget | None = None) -> Place:
    """Wait for the turn of a run; the place is held until it is released, or this process ends.

    Args:
        cost: What the run takes.
        pool: Folder that all processes share.
        budget: For all together; None = this machine's.
    """
    budget = budget or pool_budget()
    place = queue_up(cost, pool)
    try:
        while not begin(place, budget):
            time.sleep(_POLL_S)
    except BaseException:
        place.release()
        raise
    return place


@contextlib.contextmanager
def slot(cost: Cost, pool: Path = POOL, budget: Budget | None = None) -> Iterator[Place]:
    """Wait for the turn of a run, and hold its place."""
    place = take(cost, pool, budget)
    try:
        yield place
    finally:
        place.release()


def _places(pool: Path) -> Sequence[Place]:
    """Return the places of live processes; those of dead ones are removed. The pool's mutex is held."""
    found = []
    for file in sorted(pool.glob("*.json")):
        try:
            handle = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # released meanwhile
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            content = json.loads(os.pread(handle, 1 << 16, 0))
            cost = Cost(**content.pop("cost"))
            found.append(Place(number=int(file.stem), file=file, cost=cost, **content))
        else:
            file.unlink(missing_ok=True)
        finally:
            os.close(handle)
    return found


@contextlib.contextmanager
def _mutex(pool: Path) -> Iterator[None]:
    handle = os.open(pool / "mutex", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
