"""The scenarios that ship: gates, canaries and their twins, and how each gate is spoilt so that it must fail."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from support.broker_profiles import profiles

ROOT = Path(__file__).parents[2] / "scenarios"
SCENARIOS = sorted(path.relative_to(ROOT) for folder in ("gate", "canary") for path in (ROOT / folder).glob("*.yaml"))
CANARIES = [path for path in SCENARIOS if path.parent.name == "canary" and "-twin" not in path.stem]
TWINS = [
    (canary, twin) for canary in CANARIES for twin in SCENARIOS if re.fullmatch(rf"{canary.stem}-twin(-.+)?", twin.stem)
]
GATES = [path for path in SCENARIOS if path.parent.name == "gate"]
SABOTAGES = {gate: sabotage for profile in profiles().values() for gate, sabotage in profile.sabotages.items()}


def sabotaged(gate: Path, folder: Path) -> Path:
    """Write a gate with its settings spoilt; return the file."""
    yaml = YAML()
    document = yaml.load((ROOT / gate).read_text(encoding="utf-8"))
    for path, value in SABOTAGES[gate.stem].settings.items():
        _set(document, path.split("."), value)
    target = folder / gate.name
    with target.open("w", encoding="utf-8") as file:
        yaml.dump(document, file)
    return target


def _set(document: Any, path: list[str], value: Any) -> None:
    *parents, last = [int(word) if word.isdigit() else word for word in path]
    for word in parents:
        document = document[word]
    document[last] = value
