"""A module in the working directory is never imported by what the harness starts: it would run as whoever starts us."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import harness
from harness.suites.process import CHILD_COMMAND
from harness.workload.environment import command_line, own_environment

ROOT = Path(harness.__file__).parent


def _starts() -> list[tuple[str, list[str]]]:
    """Return where this Python is started, with the words that follow it up to what is started."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.List | ast.Tuple) and node.elts and ast.unparse(node.elts[0]) == "sys.executable":
                words = [str(item.value) for item in node.elts[1:] if isinstance(item, ast.Constant)]
                found.append((f"{path.relative_to(ROOT)}:{node.lineno}", words))
    return found


def test_every_start_of_python_leaves_the_working_directory_out() -> None:
    starts = _starts()
    assert len(starts) >= 10, "the search finds what there is"
    assert [place for place, words in starts if not {"-P", "-I"} & set(words)] == []


@pytest.mark.parametrize("module", ["numpy", "json", "nats"])
def test_a_worker_does_not_load_a_module_of_the_working_directory(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(f'raise SystemExit("my own {module}.py")\n')
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text('raise SystemExit("my own harness")\n')
    words = command_line("worker", tmp_path / "missing.json")
    done = subprocess.run(
        words, cwd=tmp_path, env=own_environment({}), capture_output=True, text=True, timeout=60, check=False
    )
    assert "my own" not in done.stderr
    assert "missing.json" in done.stderr, "the worker came as far as its specification"


def test_a_child_of_a_suite_neither(tmp_path: Path) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text('raise SystemExit("my own harness")\n')
    done = subprocess.run(
        CHILD_COMMAND, cwd=tmp_path, input="", capture_output=True, text=True, timeout=60, check=False
    )
    assert "my own" not in done.stderr
    assert CHILD_COMMAND[0] == sys.executable
