"""``make mutants``: what is changed, that it dies or lives by the tests alone, and that nothing of it stays behind."""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from proofs.mutants import HERE, every_mutant, noted, sample, share, table
from proofs.mutation import Mutant, mutants, mutated
from proofs.reach import Reach, importers_of

ROOT = Path(__file__).parents[3]
SOURCE = '''"""Words."""
LIMIT: int = 7


def most(values: list[int], floor: int = 0) -> int:
    """More words."""
    total = 0
    for value in values:
        if value > floor and not value % 2:
            total += value
    return max(total, LIMIT)
'''
CHANGES = {
    "7 -> 8",
    "0 -> 1",
    "value > floor and (not value % 2) -> value > floor or not value % 2",
    "value > floor -> value >= floor",
    "value > floor -> value <= floor",
    "not value % 2 -> value % 2",
    "value % 2 -> value * 2",
    "2 -> 3",
    "total += value -> pass",
    "return max(total, LIMIT) -> return 0",
    "max -> min",
}


def test_every_small_change_is_a_mutant_that_compiles_and_differs() -> None:
    found = mutants("small", SOURCE)
    assert {mutant.change for mutant in found} == CHANGES
    assert len({mutant.key for mutant in found}) == len(found)
    for mutant in found:
        tree = mutated(SOURCE, mutant)
        compile(tree, "small.py", "exec")
        assert ast.unparse(tree) != ast.unparse(ast.parse(SOURCE)), mutant


def test_a_mutant_is_known_where_lines_have_moved() -> None:
    moved = mutants("small", "# one more line\n" + SOURCE)
    assert [mutant.key for mutant in moved] == [mutant.key for mutant in mutants("small", SOURCE)]


def test_a_sample_is_drawn_by_its_seed_and_what_lived_once_is_always_in_it() -> None:
    every = every_mutant(ROOT)
    once = noted(HERE / "survivors.yaml")
    first, again, other = (sample(every, seed, 20, once) for seed in ("a", "a", "b"))
    assert first == again != other
    always = set(sample(every, "a", 0, once))
    assert always <= set(first) & set(other)
    assert 2 * len(always) >= len(once), "update survivors.yaml: make mutants prints what is no longer in the source"


@pytest.mark.parametrize("name", ["survivors.yaml", "equivalents.yaml"])
def test_each_mutant_that_a_file_names_has_a_reason_and_is_named_once(name: str) -> None:
    rows = noted(HERE / name)
    assert all(row.reason for row in rows)
    assert len({row.key for row in rows}) == len(rows)


def test_what_is_called_equivalent_counts_neither_as_dead_nor_as_alive() -> None:
    one, two, three = mutants("harness.checks.small", SOURCE)[:3]
    results: dict[Mutant, str] = {one: "unit", two: "survived", three: "survived"}
    equivalent = {three.key: "because"}
    assert share(results, equivalent) == (1, 2)
    assert table(results, equivalent)[-1] == "| **all** | 3 | 1 | 0 | 0 | 1 | 1 |"


CASES = "tests/unit/checks/test_corpus.py::test_verdict"
REACH = Reach(
    seconds={f"{CASES}[loss/a]": 1.0, f"{CASES}[log/a]": 2.0, f"{CASES}[log/b]": 1.0, f"{CASES}[stall/a]": 0.1},
    called={
        ("harness.checks.analysis.places", "find"): frozenset(
            {f"{CASES}[loss/a]", f"{CASES}[log/a]", f"{CASES}[log/b]"}
        ),
        ("harness.checks.analysis.places", "early"): frozenset({"", f"{CASES}[log/a]"}),
    },
    keeping=frozenset({"harness.checks.kept"}),
    importers={
        "harness.checks.analysis.places": frozenset({"harness.checks.analysis.promises"}),
        "harness.checks.analysis.promises": frozenset({"harness.checks.log"}),
    },
)


def test_a_mutant_is_tried_by_the_tests_that_call_its_function_those_of_its_check_first() -> None:
    wanted = [f"{CASES}[log/b]", f"{CASES}[log/a]", f"{CASES}[loss/a]"]
    assert REACH.tests("harness.checks.analysis.places", "find") == wanted
    assert REACH.tests("harness.checks.analysis.places", "never_called") == []


@pytest.mark.parametrize(
    ("module", "function"),
    [
        ("harness.checks.analysis.places", ""),
        ("harness.checks.analysis.places", "early"),
        ("harness.checks.kept", "find"),
    ],
)
def test_what_may_be_computed_before_a_test_or_kept_after_it_concerns_all_tests(module: str, function: str) -> None:
    assert set(REACH.tests(module, function)) == {*REACH.seconds}


def test_what_was_seen_is_read_by_another_process(tmp_path: Path) -> None:
    REACH.save(tmp_path / "unit.json")
    assert Reach.load(tmp_path / "unit.json") == REACH


def test_the_importers_of_a_module_are_found_however_they_import_it(tmp_path: Path) -> None:
    texts = {"a.one": "", "a.two": "from a import one", "a.three": "from a.one import name", "a.four": "import os"}
    source = {name: tmp_path / f"{name}.py" for name in texts}
    for name, text in texts.items():
        source[name].write_text(text)
    assert importers_of(source) == {"a.one": frozenset({"a.two", "a.three"})}


RUN = """
import sys
from pathlib import Path
import proofs.mutants as program
import proofs.trying
program.ROOT = Path({root!r})
program.COPIED = ("small", "tests")
program.STAGES = {{"unit": ("tests/first",), "property": ("tests/second",)}}
program.FOLDERS = ("small",)
proofs.trying.CPU_SECONDS_MAX = {seconds}
every = program.mutants("small.code", (program.ROOT / "small" / "code.py").read_text())
with program.Copy() as copy:
    print("copy", copy, flush=True)
    reach = program.control(copy)
    program.run(every, copy, 2, reach, lambda mutant, said: print(f"{{said}}: {{mutant.change}}", flush=True))
"""

TESTS = """
from small.code import most

def test_most():
    assert most([2, 4, 8, 3]) == 14
"""


def _tree(root: Path, tests: str = TESTS, source: str = SOURCE) -> Path:
    for name, text in {
        "small/__init__.py": "",
        "small/code.py": source,
        "tests/first/test_first.py": tests,
        "tests/second/test_second.py": "from small.code import most\n\ndef test_floor():\n    assert most([1]) == 7\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _start(root: Path, seconds: int = 60) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", RUN.format(root=str(root), seconds=seconds)],
        env={"PYTHONPATH": str(ROOT / "tests"), "TMPDIR": str(root), "PATH": "/usr/bin:/bin"},
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_mutants_die_by_the_first_stage_by_the_second_or_live(tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in _tree(tmp_path).rglob("*.py")}
    output, _ = _start(tmp_path).communicate()
    said = {change: word for word, _, change in (line.partition(": ") for line in output.splitlines()) if change}
    assert said.keys() == CHANGES, output
    assert said["total += value -> pass"] == "unit"
    assert said["7 -> 8"] == "property", "[2, 4, 8] is beyond the limit, [1] is not"
    assert said["value > floor -> value >= floor"] == "survived"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.py")} == before, "no mutant and no copy is left"


def test_tests_that_fail_without_a_mutant_prove_nothing(tmp_path: Path) -> None:
    program = _start(_tree(tmp_path, tests=TESTS.replace("14", "15")))
    output, _ = program.communicate()
    assert program.returncode == 1
    assert "the unit tests fail without a mutant" in output


def test_a_mutant_that_never_ends_is_stopped(tmp_path: Path) -> None:
    source = (
        "def most(values):\n    at = len(values)\n    while at > 0:\n        at -= 1\n    return 7 * len(values[:2])\n"
    )
    output, _ = _start(_tree(tmp_path, source=source), seconds=15).communicate()
    assert "timeout: at -= 1 -> pass" in output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_run_leaves_no_process_and_no_copy(tmp_path: Path, number: signal.Signals) -> None:
    """The control passes; the mutant ``7 -> 8`` sleeps in the second stage, and is interrupted there."""
    mark = tmp_path / "mark"
    sleeping = f"""
import os, pathlib, time
from small.code import most

def test_floor():
    if most([1]) != 7:
        pathlib.Path({str(mark)!r}).write_text(str(os.getpid()))
        time.sleep(600)
"""
    tree = _tree(tmp_path)
    (tree / "tests" / "second" / "test_second.py").write_text(sleeping)
    program = _start(tree)
    assert program.stdout is not None
    copy = Path(program.stdout.readline().split()[1])
    while program.poll() is None and not (mark.exists() and mark.read_text()):
        time.sleep(0.05)
    child = int(mark.read_text())
    assert copy.exists()
    program.send_signal(number)
    program.communicate()
    assert program.returncode != 0
    assert not copy.exists()
    assert not Path(f"/proc/{child}").exists()
