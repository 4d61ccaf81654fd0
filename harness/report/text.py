"""One result as text for a terminal: the verdict first, then everything a person needs to act on it.

Must never know where the console writes to, nor how a run is made.
"""

from __future__ import annotations

from typing import Final

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import format as values
from harness.report import headline, phrases
from harness.report.badge import badge_line, replay_command
from harness.report.headline import Tone
from harness.report.sanitize import clean, clip
from harness.result import FaultResult, RunResult
from harness.verdict import CheckResult, Finding, Verdict

STYLES: Final[dict[Tone, str]] = {"pass": "green", "fail": "red", "inconclusive": "yellow", "error": "magenta"}
_FINDINGS_MAX: Final = 5
_OPERATIONS_MAX: Final = 6
_REASONS_MAX: Final = 20
_EXAMINED_MIN: Final = 24
_GAPS: Final = 9
"""Columns of a terminal between those of the checks' table."""
_WIDE: Final = 100
"""From this width on, every row of the checks' table is one line per limit, at the cost of what ``examined`` counts."""


def render_result(result: RunResult, console: Console) -> None:
    """Print one result: verdict, violations, what weakens it, checks, faults, counts, how to reproduce it."""
    said = headline.status(result)
    console.print(Text.assemble((said.word, f"bold {STYLES[said.tone]}"), "  ", (said.sentence, "bold")))
    variant = phrases.variant_text(result)
    console.print(Text(f"{clean(result.title)}{f' [{variant}]' if variant else ''}"))
    if result.error and said.tone != "error":
        console.print(Text(f"The run is not complete: {headline.why_incomplete(result)}", style="magenta"))
    console.print(Text("\nIs it real", style="bold"))
    _print_indented(console, Text(badge_line(result)), 2)
    commands = [command for command in (replay_command(result), clean(result.reproduce)) if command]
    if commands:
        console.print(Text("See it again", style="bold"))
    for command in commands:
        _print_line(console, f"  {command}")
    _print_violations(result, console)
    _print_weakening(result, console)
    if result.checks:
        console.print(Text("\nChecks", style="bold"))
        console.print(_checks_table(result, console.width))
    if result.faults:
        console.print(Text("\nFaults", style="bold"))
        for fault in result.faults:
            _print_fault(fault, console)
    if result.allowed:
        console.print(Text("\nWhat this configuration allows", style="bold"))
        for sentence in result.allowed[:_REASONS_MAX]:
            _print_indented(console, Text(f"- {clip(clean(sentence), 600)}"), 2)
    if result.counts:
        told = (" ".join(values.named_value(name, value)) for name, value in result.counts.items())
        console.print(Text("\nCounts  ", style="bold") + Text(", ".join(told), style="not bold"))
    if result.usage is not None:
        line = clip(phrases.usage_line(result.usage), 400)
        console.print(
            Text("CPU seconds  " if result.counts else "\nCPU seconds  ", style="bold") + Text(line, style="not bold")
        )
    if result.run_dir:
        console.print(Text("\nRun directory", style="bold"))
        _print_line(console, f"  {clean(result.run_dir)}")


def render_short(result: RunResult, console: Console) -> None:
    """Print one line, and below it what there is to do when the run did not pass."""
    said = headline.status(result)
    name = f"{clean(result.scenario)}{f' [{variant}]' if (variant := phrases.variant_text(result)) else ''}"
    line = Text.assemble((said.word, f"bold {STYLES[said.tone]}"), f"  {name}: {clip(clean(said.sentence), 300)}")
    console.print(line, soft_wrap=True)
    if said.tone != "pass":
        _print_indented(console, Text(f"is it real: {badge_line(result)}"), 2)
        if replay := replay_command(result):
            _print_line(console, f"  {replay}")


def _print_violations(result: RunResult, console: Console) -> None:
    broken = headline.violated(result)
    if broken:
        console.print(Text("\nWhat failed" if result.must_fail else "\nWhat was violated", style="bold"))
    for check in broken:
        failed = [values.describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL]
        heading = Text.assemble(("✗ ", "red"), (clean(check.check), "bold"))
        if failed:
            heading.append(f"  {'; '.join(failed)}")
        if check.check in result.must_fail:
            heading.append("  (expected to fail in this canary)", style="dim")
        console.print(heading)
        for number, finding in enumerate(check.findings[:_FINDINGS_MAX], start=1):
            _print_finding(result, f"{clean(check.check)}.{number}", finding, console)
        if len(check.findings) > _FINDINGS_MAX:
            rest = len(check.findings) - _FINDINGS_MAX
            _print_indented(console, Text(f"{rest} more findings are in result.json", style="dim"), 2)


def _print_finding(result: RunResult, name: str, finding: Finding, console: Console) -> None:
    message = Text.assemble(
        (f"{name} ", "dim"), (f"{clean(finding.type)}: ", "bold"), clip(clean(finding.message), 600)
    )
    _print_indented(console, message, 2)
    when, during = phrases.span(result, finding), phrases.during(result, finding)
    context = "; ".join(part for part in (when, f"during {during}" if during else "") if part)
    if context:
        _print_indented(console, Text(context), 4)
    blamed = Text("; ").join(
        Text.assemble(f"{word} ", (workers, "bold red" if word == phrases.CAUSED_BY else "bold"))
        for word, workers in phrases.blame([finding])
    )
    if blamed:
        _print_indented(console, blamed, 4)
    for operation in finding.operations[:_OPERATIONS_MAX]:
        _print_line(console, f"      {phrases.operation_line(result, operation)}", style="dim")
    if len(finding.operations) > _OPERATIONS_MAX:
        rest = f"{len(finding.operations) - _OPERATIONS_MAX} more operations are in result.json"
        _print_indented(console, Text(rest, style="dim"), 6)


def _print_weakening(result: RunResult, console: Console) -> None:
    weakening = headline.weakening(result)
    if not weakening:
        return
    console.print(Text("\nWhat weakens this result", style="bold"))
    for sentence, blocking in weakening[:_REASONS_MAX]:
        mark = ("! blocks the verdict: ", "yellow") if blocking else ("- ", "dim")
        _print_indented(console, Text.assemble(mark, clip(sentence, 600)), 2)
    if len(weakening) > _REASONS_MAX:
        console.print(Text(f"  {len(weakening) - _REASONS_MAX} more are in result.json", style="dim"))


def _checks_table(result: RunResult, width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for heading in ("check", "verdict", "examined", "measured / limit"):
        table.add_column(heading, overflow="fold")
    rows = [
        (Text(clip(clean(check.check), 60)), _verdict_text(result, check), _measured(check)) for check in result.checks
    ]
    taken = sum(max(cell_len(line) for row in rows for line in row[column].plain.split("\n")) for column in range(3))
    room = max(_EXAMINED_MIN, width - taken - _GAPS) if width >= _WIDE else 80
    for check, (name, verdict, measured) in zip(result.checks, rows, strict=True):
        examined = clip(f"{check.examined:,} {clean(check.examined_unit)}", min(room, 80))
        table.add_row(name, verdict, Text(examined), measured)
    return table


def _measured(check: CheckResult) -> Text:
    limits = [
        f"{clean(limit.metric)} {values.measured(limit)} / {values.bound(limit)}"
        + ("" if limit.tested else ", not tested")
        for limit in check.limits
    ]
    return Text("\n".join(limits) or values.main_measures(check) or "no limit")


def _verdict_text(result: RunResult, check: CheckResult) -> Text:
    return Text(headline.check_word(result, check), style=STYLES[check.verdict.value] if check.expected else "dim")


def _print_fault(fault: FaultResult, console: Console) -> None:
    mark = ("✓ ", "green") if fault.proven else ("? ", "yellow")
    word = "" if fault.proven else ", not proven"
    line = f"  {clip(clean(fault.description), 200)}, {phrases.fault_span(fault)}{word}"
    _print_indented(console, Text.assemble(mark, (clean(fault.id), "bold"), line), 2)
    for (stage, target), items in phrases.evidence_by_target(fault):
        proven = all(item.proven for item in items)
        seen = "; ".join(
            f"{item.probe}: {item.observed}" + ("" if item.proven else f" (required: {item.required})")
            for item in items
        )
        told = Text("✓ " if proven else "✗ ", style="green" if proven else "red")
        told.append(clip(clean(f"{stage} on {target}: {seen}"), 400), style="dim" if proven else "yellow")
        _print_indented(console, told, 4)


def _print_line(console: Console, line: str, *, style: str = "") -> None:
    """Print without wrapping, so that a command or a path can be copied from any width."""
    console.print(Text(line, style=style), soft_wrap=True)


def _print_indented(console: Console, text: Text, indent: int) -> None:
    """Print wrapped text at an indent; no line ends in blanks, as those of a padded one would."""
    for line in text.wrap(console, max(20, console.width - indent)):
        line.rstrip()
        console.print(Text(" " * indent) + line, soft_wrap=True)
