"""Reads what the engine recorded of a run (``run.json``), which anyone may have changed since. Must never judge it."""

from __future__ import annotations

from collections.abc import Mapping

from harness.engine.engine import RunRecord
from harness.engine.rundir import RunDir
from harness.errors import ExitCode
from harness.history.typed import read
from harness.result import Usage

_NEEDED = ("run_id", "runtime", "problems", "drain", "error", "exit_code")
"""Fields of ``run.json`` without which a verdict would rest on what is not said."""

_TYPES: Mapping[str, type] = {
    **dict.fromkeys(("run_id", "runtime", "started_wall", "harness", "drain", "error"), str),
    **dict.fromkeys(("versions", "timings_ns", "overhead"), dict),
    **dict.fromkeys(("exit_code", "format"), int),
    "problems": list,
}
_CONTENTS: Mapping[str, tuple[type, ...]] = {
    "versions": (str,),
    "problems": (str,),
    "timings_ns": (int,),
    "overhead": (int, float),
}
"""What fields that hold several values hold."""
_NUMBER_END = 2**63
"""Beyond every duration and count, and within what every calculation with them takes."""


def load_record(run_dir: RunDir) -> RunRecord:
    """Return the record that the engine saved; raises UnfitEnvironmentError when there is none, or not all of it."""
    content = run_dir.read_json("run.json", *_NEEDED)
    fields = {name: content[name] for name in RunRecord.__slots__ if name in content}
    wrong = [name for name, wanted in _TYPES.items() if name in fields and type(fields[name]) is not wanted]
    if not wrong:
        wrong = [name for name, kinds in _CONTENTS.items() if name in fields and not _holds(fields[name], kinds)]
    if not wrong and (fields["exit_code"] not in set(ExitCode) or bool(fields["error"]) != bool(fields["exit_code"])):
        wrong = ["exit_code"]
    if not wrong and type(fields.get("isolated")) not in {bool, type(None)}:
        wrong = ["isolated"]
    if wrong:
        raise run_dir.unfit("run.json", f"it has another {', '.join(wrong)} than the engine writes")
    fields["usage"] = _usage(fields.get("usage"))
    return RunRecord(**{"format": 1} | fields)


def _holds(values: dict[str, object] | list[object], kinds: tuple[type, ...]) -> bool:
    """Return whether all values are of these kinds, and numbers that can be calculated with."""
    each = values.values() if isinstance(values, dict) else values
    return all(
        type(value) in kinds and (not isinstance(value, (int, float)) or abs(value) < _NUMBER_END) for value in each
    )


def _usage(saved: object) -> Usage | None:
    """Return the usage that a record holds; None where it holds none, not all of it, or something else."""
    if not isinstance(saved, dict):
        return None
    try:
        return read(Usage, saved)
    except ValueError:
        return None
