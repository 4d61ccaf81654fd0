"""Outside its own package no broker has a name: no identifier, import, string or template of the harness has one.

Docstrings and comments may, since they give reasons and examples to people who read the code.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.registry import BROKER_PACKAGES

ROOT = Path(__file__).parents[2] / "harness"
NAMES = sorted({*BROKER_PACKAGES.paths, "rocketmq", "jetstream", "confluent", "librdkafka"})
_NAMED = re.compile("|".join(map(re.escape, NAMES)), re.IGNORECASE)


def own(path: Path) -> bool:
    """Tell whether a file belongs to one broker's package."""
    parts = path.relative_to(ROOT).parts
    return parts[0] == "brokers" and len(parts) > 2


MODULES = [path for path in sorted(ROOT.rglob("*.py")) if not own(path)]
TEMPLATES = [
    path
    for path in sorted(ROOT.rglob("*"))
    if path.is_file() and path.suffix not in {".py", ".pyc"} and not own(path) and path.parts[-2] != "__pycache__"
]


def documentation(tree: ast.Module) -> set[int]:
    """Return the ids of the strings that stand alone: docstrings, those of attributes included."""
    alone = [node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    return {id(value) for value in alone if isinstance(value, ast.Constant) and isinstance(value.value, str)}


def words(node: ast.AST) -> Iterator[str]:
    """Yield what one node of a syntax tree names, and its value where it is a string."""
    match node:
        case ast.Constant(value=str() as text):
            yield text
        case ast.Constant(value=bytes() as data):
            yield data.decode("latin-1")
        case ast.ImportFrom(module=str() as module):
            yield module
        case ast.alias():
            yield from (node.name, node.asname or "")
        case ast.Global() | ast.Nonlocal():
            yield from node.names
        case _:
            # Whatever kind of node it is: name, attribute, argument, keyword, function, class, pattern.
            for field in ("id", "attr", "arg", "name", "rest"):
                value = getattr(node, field, None)
                if isinstance(value, str):
                    yield value


def named(source: str) -> list[str]:
    """Return every place of a module that names a broker: ``line: word``."""
    tree = ast.parse(source)
    skipped = documentation(tree)
    return [
        f"{getattr(node, 'lineno', 0)}: {word[:80]}"
        for node in ast.walk(tree)
        if id(node) not in skipped
        for word in words(node)
        if _NAMED.search(word)
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_names_a_broker(path: Path) -> None:
    assert named(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_names_a_broker(path: Path) -> None:
    assert not _NAMED.search(path.read_text(encoding="utf-8"))


def test_the_import_rules_find_brokers_by_themselves() -> None:
    with (ROOT.parent / "pyproject.toml").open("rb") as file:
        rules = tomllib.load(file)["tool"]["importlinter"]
    assert not _NAMED.search(str(rules))
    assert "harness.brokers.*.client" in str(rules)


def test_templates_and_rooms_are_all_looked_at() -> None:
    assert {"report.html.j2", "report.css"} <= {path.name for path in TEMPLATES}
    rooms = {path.relative_to(ROOT).parts[0] for path in MODULES}
    assert {"brokers", "checks", "commands", "distributions", "faults", "report", "scenario", "workload"} <= rooms
    assert {"kafka", "nats"} <= set(NAMES)


@pytest.mark.parametrize(
    "source",
    [
        "import nats",
        "from harness.brokers.kafka.broker import KAFKA",
        "from x import y as of_kafka",
        "hint = 'e.g. nats-2.15.2'",
        "hint = f'{kind} like kafka-4'",
        "kafka_only = 1",
        "plan.nats = 1",
        "def f(*, kafka): pass",
        "f(nats=1)",
        "class KafkaThing: pass",
        "def of_nats(): pass",
        "match x:\n    case 'kafka': pass",
        "match x:\n    case kafka: pass",
        "magic = b'NATS/1.0'",
        "table = {'JetStream': 1}",
    ],
)
def test_a_name_is_found_wherever_it_stands(source: str) -> None:
    assert named(source)


def test_documentation_and_comments_may_give_reasons() -> None:
    source = '"""Of Kafka."""\nx = 1  # as NATS does\n"""Like nats."""\ndef f():\n    """Of kafka."""\n'
    assert named(source) == []
