"""docs/result.md and the published schema say what the dataclasses say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from harness import result, verdict
from harness.history import record
from harness.report import phrases
from harness.report.derived import descriptions
from harness.report.serialize import schema, schema_text

DOCS = Path(__file__).parents[3] / "docs"
SHAPES: tuple[type, ...] = (
    result.RunResult,
    result.Usage,
    result.MachineTrouble,
    result.AttemptCount,
    result.FaultResult,
    result.EvidenceItem,
    result.ReportTimeline,
    result.Series,
    result.Band,
    verdict.CheckResult,
    verdict.Limit,
    verdict.Finding,
    verdict.Operation,
)


def _sections() -> dict[str, str]:
    parts = re.split(r"^## (\w+)\n", (DOCS / "result.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_shape_of_the_schema_has_a_section() -> None:
    assert {spec.__name__ for spec in SHAPES} | {"Verdict"} == set(schema()["$defs"]) == set(_sections())


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: spec.__name__)
def test_every_field_has_a_row_in_order(spec: type) -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .* \| .+ \|$", _sections()[spec.__name__], flags=re.MULTILINE)
    assert rows == [field.name for field in dataclasses.fields(spec)]


@pytest.mark.parametrize("spec", SHAPES, ids=lambda spec: spec.__name__)
def test_rows_say_what_the_docstring_says(spec: type) -> None:
    section = _sections()[spec.__name__]
    for name, text in descriptions(spec).items():
        row = re.search(rf"^\| `{name}` .*$", section, flags=re.MULTILINE)
        assert row is not None
        assert row[0].endswith(f"| {text.replace('``', '`')} |")


def test_the_published_schema_is_in_step() -> None:
    published = (DOCS / "schema" / "result.schema.json").read_text(encoding="utf-8")
    command = """python -c "from harness.report.serialize import schema_text; print(schema_text(), end='')" """
    assert published == schema_text(), f"regenerate docs/schema/result.schema.json: {command}"


def test_sequence_numbers_are_split_where_journals_split_them() -> None:
    assert phrases.SEQ_BITS == record.SEQ_BITS
    assert phrases.sequence((1 << record.SEQ_BITS) + 204) == "1:204"
