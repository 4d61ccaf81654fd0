"""The tables of the store, as data: SQL, documentation and the types of exports are made from them.

Owns what is kept of a run, and the schema's version. Must never know how rows get in or out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

APPLICATION_ID: Final = 0x42434853
"""``BCHS`` in the file's header (``PRAGMA application_id``): a file with another value is not ours."""

Kind = Literal["text", "integer", "real", "flag", "json"]

_SQL: Final = {"text": "TEXT", "integer": "INTEGER", "real": "REAL", "flag": "INTEGER", "json": "TEXT"}


@dataclass(frozen=True, slots=True)
class StoredColumn:
    """A column.

    Attributes:
        name: As in SQL and in exports.
        kind: ``flag`` is 0 or 1; ``json`` is a list or an object as JSON text.
        meaning: For people; docs/store.md has it word for word.
        optional: It may be NULL, meaning not known.
    """

    name: str
    kind: Kind
    meaning: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class StoreTable:
    """A table.

    Attributes:
        name: As in SQL; exports name their files after it.
        meaning: What one row is.
        key: Columns of the primary key.
        columns: In order.
    """

    name: str
    meaning: str
    key: tuple[str, ...]
    columns: tuple[StoredColumn, ...]

    def create(self) -> str:
        """Return the SQL that creates the table; rows of a run's parts go when the run goes."""
        lines = [
            f"{column.name} {_SQL[column.kind]}{'' if column.optional else ' NOT NULL'}"
            + (" REFERENCES runs (run_id) ON DELETE CASCADE" if column.name == "run_id" and self.name != "runs" else "")
            for column in self.columns
        ]
        return f"CREATE TABLE {self.name} ({', '.join(lines)}, PRIMARY KEY ({', '.join(self.key)}))" + (
            " WITHOUT ROWID" if len(self.key) > 1 else ""
        )


_RUN: Final = StoredColumn("run_id", "text", "The run.")
_CHECK: Final = StoredColumn("check_name", "text", "The check.")

RUNS: Final = StoreTable(
    "runs",
    "One execution of a plan.",
    ("run_id",),
    (
        StoredColumn("run_id", "text", "Unique name of this execution."),
        StoredColumn("started", "text", "When it started, ISO 8601 in UTC."),
        StoredColumn("suite_id", "text", "The suite's execution that made it; empty when no suite did."),
        StoredColumn("suite", "text", "The suite's name (`gate`)."),
        StoredColumn("entry", "text", "Its place in the suite: file, variant, runtime and repetition."),
        StoredColumn("counts", "flag", "0 when it was made again, so that another run counts in its place."),
        StoredColumn("made_again", "text", "Why it was made again; empty when it was not."),
        StoredColumn("race", "flag", "1 when its plan has `attempts`: one execution alone decides nothing."),
        StoredColumn("regressed", "flag", "1 when it was worse than its suite's baseline, until that is accepted."),
        StoredColumn(
            "packing", "text", "`packed` when other runs of its suite went on meanwhile; else `alone` or `unknown`."
        ),
        StoredColumn("scenario", "text", "The plan's name: the stem of its file."),
        StoredColumn("title", "text", "As written in the scenario."),
        StoredColumn("file", "text", "Path of the scenario as given."),
        StoredColumn("variant", "json", "Matrix keys and the chosen values."),
        StoredColumn("seed", "integer", "The seed in force."),
        StoredColumn("digest", "text", "SHA-256 of the plan; equal plans have equal digests."),
        StoredColumn("broker", "text", "Distribution asked for."),
        StoredColumn("runtime", "text", "`process` or `docker`."),
        StoredColumn("harness", "text", "Version of this tool that judged it; empty when not recorded."),
        StoredColumn("verdict", "text", "`pass`, `inconclusive` or `fail`, before `must_fail` is considered."),
        StoredColumn("outcome", "text", "The same after `must_fail`; trends count this."),
        StoredColumn("exit_code", "integer", "See the exit codes in README."),
        StoredColumn("must_fail", "json", "Checks that must fail (canary)."),
        StoredColumn("headline", "text", "The verdict in one sentence."),
        StoredColumn("blocking", "json", "What made the run inconclusive."),
        StoredColumn("error", "text", "Why no complete run exists; empty otherwise."),
        StoredColumn("wall_ns", "integer", "How long it took.", optional=True),
        StoredColumn("cpu_ns", "integer", "CPU time of all its processes.", optional=True),
        StoredColumn("memory_peak_bytes", "integer", "Largest sum of resident memory.", optional=True),
        StoredColumn("machine_cores", "real", "CPUs that it could use.", optional=True),
        StoredColumn("machine_busy", "real", "Share of these CPUs in use by anything, 0 to 1.", optional=True),
        StoredColumn("reproduce", "text", "Command that runs the same plan again."),
        StoredColumn("run_dir", "text", "Its run directory when it was added."),
        StoredColumn("added", "text", "When it was last added to the store, ISO 8601 in UTC."),
    ),
)

VERSIONS: Final = StoreTable(
    "versions",
    "The exact version of one software that took part in a run.",
    ("run_id", "software"),
    (
        _RUN,
        StoredColumn("software", "text", "What it is."),
        StoredColumn("version", "text", "Its exact version."),
    ),
)

CHECKS_TABLE: Final = StoreTable(
    "checks",
    "What one check said of a run.",
    ("run_id", "check_name"),
    (
        _RUN,
        _CHECK,
        StoredColumn("verdict", "text", "`pass`, `inconclusive` or `fail`."),
        StoredColumn(
            "expected", "flag", "1 when it counts: the scenario's `expect` names it, or it counts in every run."
        ),
        StoredColumn("examined", "integer", "How many operations it examined."),
        StoredColumn("examined_unit", "text", "What `examined` counts."),
        StoredColumn("findings", "integer", "How many findings it reported."),
    ),
)

LIMITS: Final = StoreTable(
    "limits",
    "One limit of a check against what was measured.",
    ("run_id", "check_name", "metric"),
    (
        _RUN,
        _CHECK,
        StoredColumn("metric", "text", "As written in the scenario (`pause_max`)."),
        StoredColumn("bound", "real", "The limit, in the unit.", optional=True),
        StoredColumn("measured", "real", "What was measured; NULL when nothing was.", optional=True),
        StoredColumn("unit", "text", "`ns`, `count`, `ratio` or `per_s`."),
        StoredColumn("verdict", "text", "Of this limit alone."),
        StoredColumn("origin", "text", "`scenario`, or the formula it was derived with."),
    ),
)

MEASURES: Final = StoreTable(
    "measures",
    "One measure of a check.",
    ("run_id", "check_name", "measure"),
    (
        _RUN,
        _CHECK,
        StoredColumn("measure", "text", "Its name (`p99_ns`)."),
        StoredColumn("value", "real", "In base units; NULL when it is no number.", optional=True),
        StoredColumn("unit", "text", "Of a measure that has a limit: `ns`, `count`, `ratio` or `per_s`; else empty."),
        StoredColumn("worse", "text", "Of a measure that has a limit: `more` or `less` is worse; else empty."),
        StoredColumn(
            "resolution", "real", "Of a measure that has a limit: differences up to it say nothing.", optional=True
        ),
    ),
)

FINDINGS: Final = StoreTable(
    "findings",
    "One violation that a check reported (at most 100 a check).",
    ("run_id", "check_name", "number"),
    (
        _RUN,
        _CHECK,
        StoredColumn("number", "integer", "From 1, the largest first."),
        StoredColumn("type", "text", "Anomaly, as in docs/checks.md (`lost`…)."),
        StoredColumn("message", "text", "The finding in one sentence."),
        StoredColumn("metric", "text", "Which limit it belongs to; empty when it is informative only."),
        StoredColumn("amount", "real", "Its measure in the metric's unit.", optional=True),
        StoredColumn("partition_number", "integer", "Partition, -1 when several."),
        StoredColumn("start_ns", "integer", "Its begin after the start of the timeline.", optional=True),
        StoredColumn("end_ns", "integer", "Its end after the start of the timeline.", optional=True),
        StoredColumn("faults", "json", "Faults in force meanwhile."),
        StoredColumn("caused_by", "json", "Workers that caused it."),
        StoredColumn("affected", "json", "Healthy workers that it affected."),
    ),
)

FAULTS_TABLE: Final = StoreTable(
    "faults",
    "One fault as it was carried out.",
    ("run_id", "fault"),
    (
        _RUN,
        StoredColumn("fault", "text", "Its id (`latency-1`)."),
        StoredColumn("kind", "text", "As in docs/faults.md."),
        StoredColumn("description", "text", "Options and target in words."),
        StoredColumn("targets", "json", "Nodes, links or workers."),
        StoredColumn("planned_at_ns", "integer", "After the start of the timeline."),
        StoredColumn("planned_until_ns", "integer", "After the start of the timeline."),
        StoredColumn("applied_at_ns", "integer", "As measured; NULL when it was never applied.", optional=True),
        StoredColumn("healed_at_ns", "integer", "As measured; NULL when it was never healed.", optional=True),
        StoredColumn("lateness_ns", "integer", "How much later than planned it began to be applied.", optional=True),
        StoredColumn("proven", "flag", "1 when effect and healing are proven on every target."),
    ),
)

EVIDENCE: Final = StoreTable(
    "evidence",
    "What one probe saw of one fault's effect or healing.",
    ("run_id", "fault", "number"),
    (
        _RUN,
        StoredColumn("fault", "text", "The fault's id."),
        StoredColumn("number", "integer", "From 1, in the order of the result."),
        StoredColumn("stage", "text", "`effect` or `healing`."),
        StoredColumn("target", "text", "Node, link or worker that was probed."),
        StoredColumn("probe", "text", "What was measured."),
        StoredColumn("proven", "flag", "1 when what was observed meets what was required."),
        StoredColumn("observed", "text", "What was observed, with values."),
        StoredColumn("required", "text", "What was required."),
    ),
)

CPU: Final = StoreTable(
    "cpu",
    "CPU time of one part of a run.",
    ("run_id", "part"),
    (
        _RUN,
        StoredColumn("part", "text", "`nodes`, `services`, `toxiproxy`, `workers`, `monitor` or `harness`."),
        StoredColumn("cpu_ns", "integer", "CPU time of all its processes."),
    ),
)

COUNTS: Final = StoreTable(
    "counts",
    "One total of a run.",
    ("run_id", "name"),
    (
        _RUN,
        StoredColumn("name", "text", "What was counted (`acknowledged`…)."),
        StoredColumn("value", "integer", "How many."),
    ),
)

TIMINGS: Final = StoreTable(
    "timings",
    "One named duration of a run.",
    ("run_id", "name"),
    (
        _RUN,
        StoredColumn("name", "text", "Of a phase (`up`, `drain`…)."),
        StoredColumn("ns", "integer", "How long it took."),
    ),
)

BASELINES: Final = StoreTable(
    "baselines",
    "One run that belongs to a named baseline.",
    ("name", "run_id"),
    (
        StoredColumn("name", "text", "The baseline."),
        _RUN,
        StoredColumn("saved", "text", "When it was named, ISO 8601 in UTC."),
    ),
)

OF_A_RUN: Final = (
    VERSIONS, CHECKS_TABLE, LIMITS, MEASURES, FINDINGS, FAULTS_TABLE, EVIDENCE, CPU, COUNTS, TIMINGS,
)  # fmt: skip
"""Tables whose rows all come from one run's result."""

TABLES: Final = (RUNS, *OF_A_RUN, BASELINES)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        *(table.create() for table in TABLES),
        "CREATE INDEX runs_of_a_plan ON runs (digest, started)",
        "CREATE INDEX runs_of_a_scenario ON runs (scenario, started)",
        "CREATE INDEX runs_of_a_suite ON runs (suite_id)",
        "CREATE INDEX baselines_of_a_run ON baselines (run_id)",
    ),
)
"""Statements that lead from each version of the schema to the next, the first from an empty file.

The number of entries is the version (``PRAGMA user_version``). A release that changes a table freezes the earlier
statements as text and adds an entry.
"""
