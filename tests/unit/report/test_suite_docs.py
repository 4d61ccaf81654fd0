"""docs/suites.md and the published schema of suite.json say what the dataclasses say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from harness import suite_baseline, suite_result
from harness.report.derived import descriptions
from harness.report.suite_json import schema, schema_text

DOCS = Path(__file__).parents[3] / "docs"
SHAPES: tuple[type, ...] = (
    suite_result.SuiteResult,
    suite_result.SuiteEntry,
    suite_result.MadeAgain,
    suite_result.Cost,
    suite_result.PlannedRun,
    suite_result.SuitePart,
    suite_baseline.BaselineResult,
    suite_baseline.PlanComparison,
    suite_baseline.MeasureChange,
)
ELSEWHERE = {"Usage", "Verdict"}
"""Shapes that docs/result.md describes."""


def _sections() -> dict[str, str]:
    page = (DOCS / "suites.md").read_text(encoding="utf-8")
    parts = re.split(r"^### (\w+)\n", page.partition("\n## suite.json\n")[2].partition("\n## ")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_shape_of_the_schema_has_a_section() -> None:
    assert {spec.__name__ for spec in SHAPES} == set(_sections()) == set(schema()["$defs"]) - ELSEWHERE


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: spec.__name__)
def test_every_field_has_a_row_in_order_that_says_what_the_docstring_says(spec: type) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .* \| (.+) \|$", _sections()[spec.__name__], flags=re.MULTILINE)
    assert dict(rows) == {name: text.replace("``", "`") for name, text in descriptions(spec).items()}
    assert [name for name, _ in rows] == [field.name for field in dataclasses.fields(spec)]


def test_the_published_schema_is_in_step() -> None:
    published = (DOCS / "schema" / "suite.schema.json").read_text(encoding="utf-8")
    command = """python -c "from harness.report.suite_json import schema_text; print(schema_text(), end='')" """
    assert published == schema_text(), f"regenerate docs/schema/suite.schema.json: {command}"
