"""Compares how runs were judged when they were recorded with how they are judged now, wording apart.

The runs lie in a folder each, as the harness left them, trimmed to what judging reads. As a program it prints one line
a run: ``PYTHONPATH=tests python -m support.recorded_runs DIR…``.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.history.manifest import MANIFEST, write_manifest
from harness.report.serialize import to_json
from harness.session.check_again import check_again

READ = ("scenario.yaml", "plan.json", "run.json", "facts.json", "result.json")
"""What judging reads of a run directory, next to its folder ``history``."""

_WORDS = frozenset(
    {
        "message",
        "headline",
        "reasons",
        "observed",
        "required",
        "probe",
        "description",
        "weaknesses",
        "allowed",
        "origin",
    }
    | {"title", "why", "label", "examined_unit"}
)
"""Keys of a result whose values are sentences."""

_OF_THE_JUDGEMENT = frozenset({"run_dir", "reproduce", "judge", "beyond_declared", "harness", "usage"})
"""Keys that say where, how fast, by which release and with what use of the machine a run was judged."""


def differing(run_dir: Path) -> list[str]:
    """Return where a run is judged otherwise than its ``result.json`` says, one line each, wording apart.

    A run directory of an earlier format has no manifest, without which nothing passes: a copy of it is given one.
    """
    if not (run_dir / MANIFEST).exists():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / run_dir.name
            trim(run_dir, copy)
            return differing(copy)
    before = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    after = json.loads(to_json(check_again(run_dir)[0]))
    _leave_out_new_plots(before, after)
    return list(_compare("", _judged(before), _judged(after)))


def _leave_out_new_plots(before: dict[str, Any], after: dict[str, Any]) -> None:
    """Leave out what an earlier release did not plot; whatever it did plot must still be there, as it was."""
    if before.get("timeline") and after.get("timeline"):
        known = {(series["name"], series["unit"]) for series in before["timeline"]["series"]}
        drawn = after["timeline"]["series"]
        after["timeline"]["series"] = [one for one in drawn if (one["name"], one["unit"]) in known]


def trim(run_dir: Path, to: Path) -> None:
    """Copy what judging reads of a run directory, with a manifest of what is there."""
    to.mkdir(parents=True)
    for name in READ:
        shutil.copyfile(run_dir / name, to / name)
    result = json.loads((to / "result.json").read_text(encoding="utf-8")) | {"run_dir": to.name}
    (to / "result.json").write_text(json.dumps(result) + "\n", encoding="utf-8")
    shutil.copytree(run_dir / "history", to / "history")
    if (run_dir / MANIFEST).exists():
        shutil.copyfile(run_dir / MANIFEST, to / MANIFEST)
    else:
        write_manifest(to)


def _judged(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _judged(item) for key, item in value.items() if key not in _WORDS | _OF_THE_JUDGEMENT}
        # Sentences, of which only the number can be compared.
        return kept | {key: len(value[key]) for key in ("blocking",) if key in value}
    if isinstance(value, list):
        return [_judged(item) for item in value]
    return value


def _compare(place: str, before: Any, after: Any) -> Iterator[str]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            yield from _compare(f"{place}.{key}" if place else key, before.get(key), after.get(key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _compare(f"{place}[{index}]", one, other)
    elif before != after:
        yield f"{place}: {str(before)[:200]} → {str(after)[:200]}"


def main() -> None:
    """Compare every run directory below the folders that are named."""
    found = sorted(path.parent for folder in sys.argv[1:] for path in Path(folder).glob("*/result.json"))
    wrong = 0
    for run_dir in found:
        said = differing(run_dir)
        wrong += bool(said)
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
        numbers = sum(len(check["measures"]) for check in result["checks"])
        findings = sum(len(check["findings"]) for check in result["checks"])
        verdicts = f"{result['verdict']}, {len(result['checks'])} checks, {numbers} measures, {findings} findings"
        print(f"{'DIFFERS' if said else 'same':8}{result['scenario']}: {verdicts}")
        for line in said:
            print(f"          {line}")
    print(f"{len(found)} runs, {wrong} judged otherwise")


if __name__ == "__main__":
    main()
