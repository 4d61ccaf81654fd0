"""From a scenario as written to its variants: every combination of the matrix, each read and checked.

Owns that all problems of all variants are reported at once, each once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from harness.errors import Problem, ScenarioError
from harness.scenario.load import Source
from harness.scenario.matrix import combinations, read_axes
from harness.scenario.reader import NodeReader
from harness.scenario.settings import on_axes, read_settings, with_settings
from harness.scenario.variant import Variant, read_variant

__all__ = ["Variant", "variants"]


def variants(source: Source) -> tuple[Variant, ...]:
    """Return every variant of a scenario, with what its source sets; without a matrix there is one.

    Raises:
        ScenarioError: With every problem of every variant, in file order; one that only some variants have names the
            first of them.
    """
    reader = NodeReader()
    reader.problems += source.problems
    examples = [next(iter(broker.aliases)) for broker in source.vocabulary.brokers.values() if broker.aliases]
    settings = read_settings(source.settings)
    axes = on_axes(read_axes(source.root, reader, tuple(examples[:2])), settings, reader)
    general = list(reader.problems)
    refused = {problem.location for problem in source.problems}  # what follows from a bad tag is not told as well
    found: list[Variant] = []
    seen: dict[Problem, list[Mapping[str, str]]] = {}
    count = 0
    for combination in combinations(source.root, axes, reader):
        count += 1
        variant = read_variant(source, with_settings(combination, settings, reader), reader)
        if variant is not None:
            found.append(variant)
        for problem in dict.fromkeys(reader.problems[len(general) :]):
            if problem.location not in refused:
                seen.setdefault(problem, []).append(combination.labels)
        del reader.problems[len(general) :]
    problems = [*general, *(_with_variants(problem, where, count) for problem, where in seen.items())]
    if problems:
        unique = dict.fromkeys(problems)
        raise ScenarioError(sorted(unique, key=lambda item: (item.location.line, item.location.column)))
    return tuple(found)


def _with_variants(problem: Problem, where: list[Mapping[str, str]], count: int) -> Problem:
    """Return the problem, with the first variant that has it when others do not."""
    if len(where) == count:
        return problem
    label = ", ".join(f"{path}={value}" for path, value in where[0].items())
    more = f" and {len(where) - 1} more" if len(where) > 1 else ""
    return replace(problem, message=f"{problem.message} [variant {label}{more}]")
