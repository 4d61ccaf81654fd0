"""The pool that all test processes share: it never gives more than there is, and nothing outlives its holder."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.broker_profiles import profiles
from support.in_process import scenario
from support.slots import UNKNOWN, Place, begin, cost_of, queue_up, slot, take, whole_machine

from harness.suite_result import Cost
from harness.suites.budget import Budget

TESTS = Path(__file__).parents[1]
BUDGET = Budget(cores=1.9, memory_bytes=1 << 40, disk_bytes=1 << 40, ports=1 << 14)


def cost(cores: float, *, measures: bool = False, start_ns: int = 0, wall_ns: int = UNKNOWN.wall_ns) -> Cost:
    return replace(UNKNOWN, cores=cores, measures_machine=measures, start_ns=start_ns, wall_ns=wall_ns)


def waiting(pool: Path, *costs: Cost) -> list[Place]:
    return [queue_up(item, pool) for item in costs]


def test_runs_go_on_side_by_side_within_the_cores(tmp_path: Path) -> None:
    first, second, third = waiting(tmp_path, cost(0.7), cost(0.7), cost(0.7))
    assert begin(first, BUDGET)
    assert begin(second, BUDGET)
    assert not begin(third, BUDGET)
    first.release()
    assert begin(third, BUDGET)


def test_a_large_run_is_passed_over_only_by_what_does_not_delay_it(tmp_path: Path) -> None:
    running, large, long, short, small = waiting(
        tmp_path, cost(0.7), cost(1.5), cost(0.5, wall_ns=60 * 10**9), cost(0.5, wall_ns=10**9), cost(0.1)
    )
    assert begin(running, BUDGET)
    assert not begin(large, BUDGET)
    assert not begin(long, BUDGET), "it would fit now, but go on when the large one could begin"
    assert begin(short, BUDGET), "it ends before there is room for the large one"
    assert begin(small, BUDGET), "it leaves the large one its room"
    for place in (running, short):
        place.release()
    assert not begin(long, BUDGET), "it is the large one's turn"
    assert begin(large, BUDGET)


def test_what_is_larger_than_the_machine_runs_alone(tmp_path: Path) -> None:
    small, suite, later = waiting(tmp_path, cost(0.1), whole_machine(), cost(0.1))
    assert begin(small, BUDGET)
    assert not begin(suite, BUDGET)
    small.release()
    assert begin(suite, BUDGET)
    assert not begin(later, BUDGET)


def test_what_measures_the_machine_goes_on_next_to_light_runs_alone(tmp_path: Path) -> None:
    measuring, light, heavy = waiting(tmp_path, cost(0.3, measures=True), cost(0.3), cost(0.8))
    assert begin(measuring, BUDGET)
    assert begin(light, BUDGET)
    assert not begin(heavy, BUDGET)


def test_one_cluster_starts_at_a_time(tmp_path: Path) -> None:
    first, second = waiting(tmp_path, cost(0.3, start_ns=3600 * 10**9), cost(0.3))
    assert begin(first, BUDGET)
    assert not begin(second, BUDGET)
    first.served()
    assert begin(second, BUDGET)


def test_the_cores_are_never_overcommitted_whoever_comes(tmp_path: Path) -> None:
    held: list[float] = []
    most: list[float] = []
    guard = threading.Lock()

    def run(cores: float) -> None:
        with slot(cost(cores), tmp_path, BUDGET):
            with guard:
                held.append(cores)
                most.append(sum(held))
            with guard:
                held.remove(cores)

    wanted = [0.3, 0.9, 1.2, 0.6, 1.9, 0.4, 0.8, 0.2] * 4
    with ThreadPoolExecutor(max_workers=8) as threads:
        list(threads.map(run, wanted))
    assert len(most) == len(wanted)
    assert max(most) <= BUDGET.cores
    assert not list(tmp_path.glob("*.json"))


def test_a_killed_process_frees_its_place(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from support.slots import take, whole_machine\n"
        "take(whole_machine(), Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(argv, cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        mine = queue_up(cost(0.1), tmp_path)
        assert not begin(mine, BUDGET)
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert begin(mine, BUDGET)


def test_a_place_that_is_lent_is_held_until_that_process_ends(tmp_path: Path) -> None:
    place = take(cost(1.5), tmp_path, BUDGET)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=(place.fd,)) as borrower:
        place.lend()
        mine = queue_up(cost(1.5), tmp_path)
        assert not begin(mine, BUDGET)
        borrower.kill()
        borrower.wait()
    assert begin(mine, BUDGET)


@pytest.mark.parametrize("kind", profiles())
def test_a_run_takes_what_its_plan_costs(kind: str) -> None:
    one, three = (
        cost_of(
            scenario("kill: {}", "{node: n1}", broker=kind, cluster=f"{{nodes: {nodes}}}", duration="9s"), "process"
        )
        for nodes in (1, 3)
    )
    assert one.cores > 0
    assert one.ports < three.ports
    assert cost_of(f"broker: {kind}-of-another-world\n", "process") == UNKNOWN
