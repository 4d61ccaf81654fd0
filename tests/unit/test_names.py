"""A class name has one meaning in the whole of ``harness/``, and the same role in two broker packages has one name."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[2] / "harness"
Classes = Mapping[str, tuple[str, ...]]
"""Module, as a path below the root (``brokers/nats/options.py``) → the names of its classes."""


def classes_below(root: Path) -> Classes:
    """Return the classes of every module, those within functions and classes included."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found[path.relative_to(root).as_posix()] = tuple(
            node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
        )
    return found


def _broker_of(module: str) -> str:
    """Return the broker whose package a module lies in; empty when in none."""
    parts = module.split("/")
    return parts[1] if parts[0] == "brokers" and len(parts) > 2 else ""


def _role(module: str) -> str:
    """Return what a module is among the packages of brokers (``brokers/*/options.py``); else the module itself."""
    parts = module.split("/")
    return "/".join(("brokers", "*", *parts[2:])) if _broker_of(module) else module


def ambiguous(classes: Classes) -> list[str]:
    """Return the class names with several meanings, an underscore before them apart, each with its modules.

    One name is right in modules of one role, one in each broker's package.
    """
    modules: dict[str, list[str]] = defaultdict(list)
    for module, names in classes.items():
        for name in names:
            modules[name.lstrip("_")].append(module)
    return [
        f"{name}: {', '.join(where)}"
        for name, where in sorted(modules.items())
        if len({_role(module) for module in where}) > 1 or len(set(where)) < len(where)
    ]


def unlike(classes: Classes) -> list[str]:
    """Return where two broker packages name the public classes of one role differently, the broker's own name apart.

    A package may have fewer of them than another, or none; those that it has must be found there, too.
    """
    roles: dict[str, dict[str, set[str]]] = defaultdict(dict)
    for module, names in classes.items():
        broker = _broker_of(module)
        public = {_without(broker, name) for name in names if not name.startswith("_")}
        if broker and public:
            roles[_role(module)][broker] = public
    found = []
    for role, brokers in sorted(roles.items()):
        for (one, ours), (other, theirs) in itertools.combinations(sorted(brokers.items()), 2):
            if not (ours <= theirs or theirs <= ours):
                found.append(f"{role}: {one} has {_words(ours - theirs)}, {other} has {_words(theirs - ours)}")
    return found


def _without(broker: str, name: str) -> str:
    return name[len(broker) :] if name.lower().startswith(broker) else name


def _words(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def test_no_class_name_has_two_meanings() -> None:
    assert ambiguous(classes_below(HARNESS)) == []


def test_one_role_has_one_name_in_all_packages_of_brokers() -> None:
    assert unlike(classes_below(HARNESS)) == []


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        ({"engine/usage.py": ("_Node",), "runtime/base.py": ("Node",)}, ["Node: engine/usage.py, runtime/base.py"]),
        ({"report/html.py": ("Row", "_Row")}, ["Row: report/html.py, report/html.py"]),
        ({"brokers/a/options.py": ("TopicOptions",), "brokers/b/options.py": ("TopicOptions",)}, []),
        (
            {"brokers/a/options.py": ("Options",), "brokers/b/spec.py": ("Options",)},
            ["Options: brokers/a/options.py, brokers/b/spec.py"],
        ),
        (
            {"brokers/base.py": ("Options",), "brokers/a/base.py": ("Options",)},
            ["Options: brokers/base.py, brokers/a/base.py"],
        ),
    ],
)
def test_a_name_with_two_meanings_is_found(classes: Classes, found: list[str]) -> None:
    assert ambiguous(classes) == found


@pytest.mark.parametrize(
    ("classes", "found"),
    [
        (
            {"brokers/a/audit.py": ("LogAudit",), "brokers/b/audit.py": ("StreamAudit",)},
            ["brokers/*/audit.py: a has LogAudit, b has StreamAudit"],
        ),
        ({"brokers/ab/audit.py": ("AbAudit", "Pace"), "brokers/cd/audit.py": ("CdAudit",)}, []),
        ({"brokers/ab/facts.py": (), "brokers/cd/facts.py": ("CdFacts",)}, []),
        ({"brokers/ab/admin.py": ("AbAdmin", "_Turn"), "brokers/cd/admin.py": ("CdAdmin", "_Order")}, []),
    ],
)
def test_a_role_with_two_names_is_found(classes: Classes, found: list[str]) -> None:
    assert unlike(classes) == found
