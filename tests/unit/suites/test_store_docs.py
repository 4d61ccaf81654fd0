"""docs/store.md says what the tables say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.suites.store import Store
from harness.suites.store_file import BUSY_S
from harness.suites.tables import APPLICATION_ID, MIGRATIONS, TABLES, StoreTable

PAGE = (Path(__file__).parents[3] / "docs" / "store.md").read_text(encoding="utf-8")


def _sections() -> dict[str, str]:
    parts = re.split(r"^### (\w+)\n", PAGE.partition("\n## Schema\n")[2].partition("\n## ")[0], flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_table_has_a_section_in_order() -> None:
    assert list(_sections()) == [table.name for table in TABLES]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_column_has_a_row_that_says_what_it_means(table: StoreTable) -> None:
    section = _sections()[table.name]
    assert section.startswith(f"{table.meaning} Key: {', '.join(f'`{name}`' for name in table.key)}.\n")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| ([\w ]*?) ?\| (.+) \|$", section, flags=re.MULTILINE)
    assert rows == [
        (column.name, column.kind, "not known" if column.optional else "", column.meaning) for column in table.columns
    ]


def test_the_version_and_the_mark_of_the_file_are_those_in_force() -> None:
    assert f"version of the schema is {len(MIGRATIONS)} (" in PAGE
    assert f"0x{APPLICATION_ID:x}" in PAGE
    assert f"up to {BUSY_S:.0f} s" in PAGE


def test_the_file_has_the_tables_and_columns_that_are_documented(tmp_path: Path) -> None:
    with Store.open(tmp_path / "store.sqlite") as store:
        names = [row["name"] for row in store.select("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert set(names) == {table.name for table in TABLES}
        for table in TABLES:
            columns = list(store.select(f"PRAGMA table_info({table.name})"))
            assert [column["name"] for column in columns] == [column.name for column in table.columns]
            assert [not column["notnull"] for column in columns] == [column.optional for column in table.columns]
