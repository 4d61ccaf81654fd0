"""The result of a run as data: what ``result.json`` holds and what reports are made from.

Versioned and documented in docs/result.md. Reports see results only; nothing here knows how a run is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.verdict import CheckResult, Verdict

RESULT_VERSION = 1

CPU_SHORT = 0.7
"""From this share of the run on in which some process waited for a CPU, the machine is not quiet: a limit on time may
have been missed for its sake."""

LOAD_REACHED = 0.99
"""From this share of the planned messages on, the schedule counts as reached: each producer may lack the message that
was due when its time ended."""

Lack = Literal["", "round trips", "periods"]
"""What a probe had too little of to judge, while nothing that it saw speaks against the fault: a starved machine lets
the monitor make too few round trips, and a node run too little to be throttled. Empty where what it saw decides.
"""

BlockingCause = Literal["", "late ticks", "too few round trips", "no periods"]
"""What of the machine, and nothing else, explains that a run is inconclusive; empty where something else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceItem:
    """What one probe saw of one fault's effect or healing.

    Attributes:
        stage: ``effect`` or ``healing``.
        target: Node, link or worker that was probed.
        probe: What was measured (``round trip``, ``throttled periods``…), independent of the code that applied the
            fault.
        proven: Whether what was observed meets what was required.
        observed, required: Sentences with values; ``observed`` includes the state before the fault.
        lacks: See ``Lack``; empty when it is proven.
    """

    stage: str
    target: str
    probe: str
    proven: bool
    observed: str
    required: str
    lacks: Lack = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultResult:
    """One fault as it was carried out.

    Attributes:
        id, kind, targets: As planned (targets as resolved when applied).
        description: One line: options and target in words.
        planned_at_ns, planned_until_ns: After the start of the timeline.
        applied_at_ns, healed_at_ns: Measured, after the start of the timeline; None when it never happened.
        lateness_ns: How much later than planned it began to be applied.
        evidence: Everything the probes saw.
        proven: Effect and healing both proven on every target.
    """

    id: str
    kind: str
    description: str
    targets: tuple[str, ...]
    planned_at_ns: int
    planned_until_ns: int
    applied_at_ns: int | None
    healed_at_ns: int | None
    lateness_ns: int | None
    evidence: tuple[EvidenceItem, ...]
    proven: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """A line for a plot.

    Attributes:
        name: What is plotted (``processed``, ``latency p99``…).
        unit: Unit of ``y``: ``/s``, ``messages``, ``ns``…; series of one unit share a panel.
        t_ns: Times after the start of the timeline, ascending; negative in warm-up.
        y: One value for each time; NaN where there is none.
    """

    name: str
    unit: str
    t_ns: tuple[int, ...]
    y: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A span in a lane of the timeline plot: a fault, an outage, a worker's trouble, a group's state, a stall slice, an
    owner.

    Attributes:
        lane: Row it belongs to (``phase``, ``fault latency-1``, ``n1 reachable``, ``c0``, ``group``, ``partition 3``…).
        kind: Decides the colour: ``phase``, ``fault``, ``outage``, ``worker``, ``group``, ``stall`` (a pause beyond a
            limit), ``still`` (one that broke no limit), ``owner``, ``unowned``.
        label: Text on the band: of ``worker``, ``blocked``, ``paused``, ``silent`` (it hung), ``dead``, ``absent``
            (before it first starts), ``joining`` (from its start to its first assignment), ``left``; of ``group``, the
            state as observed; of ``stall`` and ``still``, the cause of this slice; of ``owner``, the worker (several at
            once joined by ``+``).
        start_ns, end_ns: After the start of the timeline.
        meaning: Of ``group``, what the state means: ``settled``, ``rebalancing``, ``empty`` or ``gone``; empty when
            that is not known.
    """

    lane: str
    kind: str
    label: str
    start_ns: int
    end_ns: int
    meaning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTimeline:
    """Everything the report plots, bounded in size whatever the run's length.

    Attributes:
        start_ns, end_ns: Span, after the start of the timeline (start is negative: warm-up).
        series: Sends/s, deliveries/s, backlog, latency p99… in bins.
        bands: Phases, faults, outages, stalls, owners.
        bin_ns: Width of ``deliveries``' bins.
        deliveries: Partition → deliveries per bin (one row of the heat strip).
    """

    start_ns: int
    end_ns: int
    series: tuple[Series, ...] = ()
    bands: tuple[Band, ...] = ()
    bin_ns: int = 0
    deliveries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a run took of the machine, from its start until everything was taken down and judged.

    Attributes:
        cpu_ns: Part → CPU time of all its processes, ended ones included: ``nodes``, ``services``, ``toxiproxy``,
            ``workers``, ``monitor``, ``harness`` (its start and judging included, writing the reports not). A part
            that could not be measured is not there.
        memory_peak_bytes: The largest sum of resident memory of all parts that was seen at one time. Pages that
            several processes share count in each.
        wall_ns: From the start of the run to its end, judging included.
        machine_cores: CPUs that the run could use (affinity, control group).
        machine_busy: Share of the CPUs of its affinity that was in use by anything while the workload ran, 0 to 1; -1
            when not known.
    """

    cpu_ns: Mapping[str, int]
    memory_peak_bytes: int
    wall_ns: int
    machine_cores: float
    machine_busy: float = -1.0


_STARVED_PART = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineTrouble:
    """What the monitor saw of the machine itself while the run went on.

    Attributes:
        late_ticks: Ticks of the monitor that came more than 50 ms late: whoever had to run then could not.
        late_ns: By how much in total.
        workload_late_ns: Of this, in warm-up and timeline.
        unsent_ns: Time of the workload whose messages were never sent; 0 when all were.
        cpu_short: Share of the run in which some process waited for a CPU, 0 to 1; -1 when the kernel does not say. It
            is high on every machine that is well used, and explains nothing by itself.
    """

    late_ticks: int
    late_ns: int
    workload_late_ns: int = 0
    unsent_ns: int = 0
    cpu_short: float = -1.0

    @property
    def starved_producers(self) -> bool:
        """Whether the machine explains that messages were not sent: it stalled for a good part of their time.

        Producers keep an absolute schedule and catch up, so that a few late ticks lose no message. Measured: runs on a
        tenth or a seventh of a CPU sent a quarter to two thirds of what was due, and their ticks were late by 0.46 to
        0.49 of the time whose messages were missing; runs on a quarter or half of a CPU sent everything.
        """
        return self.unsent_ns > 0 and self.workload_late_ns >= self.unsent_ns * _STARVED_PART


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptCount:
    """How far the race of a run had come when it was judged: the runs of one plan that count together.

    Attributes:
        runs: How many the race takes at most.
        at_least: How many of them must show what is declared.
        made: Its runs so far in one session, this one included; 0 when that is not known (in a suite, they go on side
            by side).
        shown: How many of these showed what is declared.
    """

    runs: int
    at_least: int
    made: int = 0
    shown: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """One run, judged.

    Attributes:
        version: Schema version of this structure.
        run_id: Unique name of this execution.
        run_dir: Directory of its history and reports.
        scenario: The plan's name: the stem of its file.
        title, why: As written in the scenario.
        file: Path of the scenario as given on the command line.
        variant: Matrix keys → the chosen values; empty without a matrix.
        seed: The seed in force.
        digest: SHA-256 of the plan; equal plans have equal digests.
        broker: Distribution asked for: an alias or an exact version (``nats-2``).
        versions: Software → exact version used (``nats`` → ``2.15.2``…); a client's library with its role
            (``nats-py (producer)``).
        runtime: ``process`` or ``docker``.
        verdict: Of the expectations and the run's trustworthiness together, before ``must_fail`` is considered.
        must_fail: Checks that must fail (canary), as declared.
        outcome: What the exit code says after ``must_fail``: ``pass``, ``inconclusive`` or ``fail``.
        exit_code: See ``ExitCode``.
        headline: One sentence: the verdict first, with what was violated.
        checks: Expected ones first, then informative ones.
        faults: As carried out.
        weaknesses: What weakens the result (unproven fault, dead worker, machine stall…); those that make it
            inconclusive are in ``blocking`` too.
        blocking: The subset of ``weaknesses`` that made the run inconclusive.
        blocking_causes: Of each of ``blocking``, in the same order, what of the machine alone explains it.
        allowed: What the configuration allows, sentences (``ack none: messages may be lost on a consumer's death``).
        counts: Totals (planned and sent, acknowledged, delivered, processed, stored, bytes…).
        timings_ns: Named durations (``up``, ``warmup``, ``timeline``, ``drain``, ``judge``, ``total``,
            ``beyond_declared``).
        overhead: What the harness itself cost: ``cpu_s.<process>``, ``rss_bytes.<process>``, ``observer_polls``…
        usage: What it took of the machine; None when it was not measured.
        isolated: Its processes had a network of their own, which no other user of the machine could reach; None when
            that is not known.
        machine: What troubled the machine; None when there is no history to see it in.
        attempts: How far its race had come; None when its plan is none.
        timeline: Data of the plots.
        reproduce: Command that runs the same plan again.
        started_wall: ISO 8601 UTC.
        harness: Version of this tool that judged the run; empty in results of releases that did not record it.
        zero_ns: Monotonic time of the start of the timeline, to which reports relate findings and operations; None
            when the run never got there.
        error: Why no complete run exists (environment failure, interruption); empty otherwise.
    """

    version: int = RESULT_VERSION
    run_id: str
    run_dir: str
    scenario: str
    title: str
    why: str
    file: str
    variant: Mapping[str, str]
    seed: int
    digest: str
    broker: str
    versions: Mapping[str, str]
    runtime: str
    verdict: Verdict
    must_fail: tuple[str, ...]
    outcome: Verdict
    exit_code: int
    headline: str
    checks: tuple[CheckResult, ...] = ()
    faults: tuple[FaultResult, ...] = ()
    weaknesses: tuple[str, ...] = ()
    blocking: tuple[str, ...] = ()
    blocking_causes: tuple[BlockingCause, ...] = ()
    allowed: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    timings_ns: Mapping[str, int] = field(default_factory=dict)
    overhead: Mapping[str, float] = field(default_factory=dict)
    usage: Usage | None = None
    isolated: bool | None = None
    machine: MachineTrouble | None = None
    attempts: AttemptCount | None = None
    timeline: ReportTimeline | None = None
    reproduce: str = ""
    started_wall: str = ""
    harness: str = ""
    zero_ns: int | None = None
    error: str = ""
