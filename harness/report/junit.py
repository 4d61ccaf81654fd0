"""JUnit XML for continuous integration: one suite per scenario file, one case per run, its checks as properties.

Follows the schema of the Jenkins xUnit plug-in (junit-10.xsd), which other readers accept as well; there properties
belong to the suite, so those of several runs bear the run's id. Fail → failure; inconclusive and environment → error;
what this machine cannot run → skipped. A case is red exactly when the run's ``outcome`` is, so a canary that failed as
expected is green. Its text answers in the order of every report: what broke, is it real, how to see it again, then the
findings. Must never know how a run is made.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from harness.report import format as values
from harness.report import headline, phrases
from harness.report.atomic import write_atomic
from harness.report.badge import badge, badge_line, replay_command
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.verdict import CheckResult, Verdict

_FINDINGS_MAX: Final = 20
MESSAGE_MAX: Final = 1_000
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAGS: Final = {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error", Verdict.PASS: ""}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A plan that was not run.

    Attributes:
        file, scenario, variant: Of the plan.
        reason: Why.
    """

    file: str
    scenario: str
    variant: str
    reason: str


def to_junit(
    results: Sequence[RunResult], not_shown: Mapping[str, str] = MappingProxyType({}), skipped: Sequence[Skipped] = ()
) -> str:
    """Return the XML document of all results, and of what was skipped.

    Args:
        results: In the order in which they ran.
        not_shown: Run id → why a run that failed is not red: its race passed without it.
        skipped: Plans that were not run.
    """
    root = ET.Element("testsuites", name="broker chaos harness")
    by_file: dict[str, list[RunResult]] = {}
    for result in results:
        by_file.setdefault(result.file, []).append(result)
    for file, runs in by_file.items():
        root.append(_suite(file, runs, not_shown))
    for item in skipped:
        root.append(_skipped(item))
    count_cases(root, root.iter("testcase"))
    root.set("time", seconds(sum(map(phrases.wall_ns, results))))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def write_junit(
    results: Sequence[RunResult],
    path: Path,
    not_shown: Mapping[str, str] = MappingProxyType({}),
    skipped: Sequence[Skipped] = (),
) -> None:
    """Write the document to ``path``, whole or not at all; raises UnfitEnvironmentError when it cannot."""
    write_atomic(path, to_junit(results, not_shown, skipped))


def spare(case: ET.Element, sentence: str) -> None:
    """Make the case of a run that others have decided red no more, and say why."""
    for child in [child for child in case if child.tag in {"failure", "error"}]:
        child.tag, child.text = "skipped", None
        child.set("message", xml_text(clip(f"{sentence}; {child.get('message', '')}", MESSAGE_MAX)))
        case.set("time", "0")


def _skipped(item: Skipped) -> ET.Element:
    suite = ET.Element("testsuite", name=xml_text(clean(item.file)) or "no file")
    name = f"{clean(item.scenario)}{f'[{clean(item.variant)}]' if item.variant else ''}"
    case = ET.SubElement(suite, "testcase", classname=xml_text(clean(item.file)), name=xml_text(name), time="0")
    message = xml_text(clip(clean(item.reason), MESSAGE_MAX))
    ET.SubElement(case, "skipped", type="machine", message=message)
    count_cases(suite, [case])
    suite.set("skipped", "1")
    suite.set("time", "0")
    return suite


def _suite(file: str, runs: Sequence[RunResult], not_shown: Mapping[str, str]) -> ET.Element:
    suite = ET.Element("testsuite", name=xml_text(file) or "no file")
    properties = ET.SubElement(suite, "properties")
    repeats: Counter[str] = Counter()
    for result in runs:
        prefix = f"{result.run_id}/" if len(runs) > 1 else ""
        for name, value in properties_of(result):
            ET.SubElement(properties, "property", name=xml_text(prefix + name), value=xml_text(value))
        name = _name(result)
        repeats[name] += 1  # equal names would be merged into one case by most readers
        case = run_case(result, f"{name}#{repeats[name]}" if repeats[name] > 1 else name)
        if result.run_id in not_shown:
            spare(case, not_shown[result.run_id])
        suite.append(case)
    count_cases(suite, suite.iter("testcase"))
    suite.set("skipped", str(sum(1 for _ in suite.iter("skipped"))))
    suite.set("time", seconds(sum(map(phrases.wall_ns, runs))))
    suite.set("timestamp", xml_text(runs[0].started_wall.removesuffix("Z")))
    suite.set("file", xml_text(file))
    return suite


def properties_of(result: RunResult) -> list[tuple[str, str]]:
    """Return (name, value) of what a run was made from and came to, each of its checks, and how to run it again."""
    return [
        ("run", result.run_id),
        ("run_dir", result.run_dir),
        ("seed", str(result.seed)),
        ("digest", result.digest),
        ("broker", result.broker),
        ("runtime", result.runtime),
        *((f"variant.{name}", value) for name, value in result.variant.items()),
        *((f"version.{name}", value) for name, value in result.versions.items()),
        ("must_fail", ", ".join(result.must_fail)),
        ("verdict", result.verdict.value),
        ("outcome", result.outcome.value),
        *((f"check.{clean(check.check)}", _judgement(result, check)) for check in result.checks),
        *((f"real.{item.name}", item.text) for item in badge(result)),
        ("replay", replay_command(result)),
        ("reproduce", result.reproduce),
    ]


def _name(result: RunResult) -> str:
    variant = phrases.variant_text(result)
    return xml_text(f"{clean(result.scenario)}{f'[{variant}]' if variant else ''}") or "run"


def run_case(result: RunResult, name: str) -> ET.Element:
    """Return the case of one run: red exactly when its outcome is not pass.

    Args:
        result: The run.
        name: Unique among the cases of its file.
    """
    classname = xml_text(clean(result.file)) or "no file"
    case = ET.Element("testcase", classname=classname, name=name, time=seconds(phrases.wall_ns(result)))
    said = headline.status(result)
    tag = _TAGS[result.outcome] or ("error" if result.error and result.exit_code else "")
    if not tag:
        ET.SubElement(case, "system-out").text = xml_text(f"{clean(said.sentence)}\n{_body(result)}")
        return case
    kind = "violation" if tag == "failure" else said.word.lower()
    told = ET.SubElement(case, tag, type=kind, message=xml_text(clip(_message(result), MESSAGE_MAX)))
    told.text = xml_text(_body(result))
    return case


def _message(result: RunResult) -> str:
    """Return what broke, in one line: most readers show nothing of a failure but its message."""
    said = headline.status(result)
    parts = [clean(said.sentence)]
    for check in headline.violated(result):
        told = [values.describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL]
        told += [f"{word}: {workers}" for word, workers in phrases.blame(check.findings)]
        parts += [f"{clean(check.check)}: {word}" for word in told if word not in parts[0]]
    if result.outcome is not Verdict.FAIL:
        parts += [clean(reason) for reason in result.blocking if clean(reason) not in parts[0]]
    return "; ".join(parts)


def _judgement(result: RunResult, check: CheckResult) -> str:
    """Return how one check ended, with its limits: those that were broken, else all, else what it measured."""
    broken = "; ".join(values.describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL)
    every = "; ".join(values.describe_limit(limit) for limit in check.limits)
    told = broken or "; ".join(map(clean, check.reasons)) or every or values.main_measures(check)
    return f"{headline.check_word(result, check)}{f': {told}' if told else ''}"


def _body(result: RunResult) -> str:
    lines = [f"is it real: {badge_line(result)}"]
    lines += [
        f"  {'blocks the verdict: ' if blocking else ''}{sentence}" for sentence, blocking in headline.weakening(result)
    ]
    lines += [
        f"  {clean(fault.id)} not proven: {clean(fault.description)}" for fault in result.faults if not fault.proven
    ]
    lines += _footer(result)
    for check in headline.violated(result):
        lines += _findings(result, check)
    return "\n".join(lines)


def _findings(result: RunResult, check: CheckResult) -> list[str]:
    lines = [f"{clean(check.check)}: {_judgement(result, check)}"]
    for finding in check.findings[:_FINDINGS_MAX]:
        lines.append(f"{clean(finding.type)}: {clip(clean(finding.message), MESSAGE_MAX)}")
        context = [phrases.span(result, finding), phrases.during(result, finding)]
        context += [f"{word}: {workers}" for word, workers in phrases.blame([finding])]
        lines += [f"  {part}" for part in context if part]
        lines += [f"  {phrases.operation_line(result, operation)}" for operation in finding.operations]
    if len(check.findings) > _FINDINGS_MAX:
        lines.append(f"{len(check.findings) - _FINDINGS_MAX} more findings are in result.json")
    lines.append(f"examined {check.examined:,} {clean(check.examined_unit)}")
    return lines


def _footer(result: RunResult) -> list[str]:
    lines = [
        ("replay", replay_command(result)),
        ("reproduce", result.reproduce),
        ("run directory", result.run_dir),
    ]
    return [f"{name}: {clean(value)}" for name, value in lines if value]


def count_cases(element: ET.Element, cases: Iterable[ET.Element]) -> None:
    """Set how many cases an element has, and how many of them failed or could not be judged."""
    kinds = [{child.tag for child in case} for case in cases]
    element.set("tests", str(len(kinds)))
    element.set("failures", str(sum("failure" in kind for kind in kinds)))
    element.set("errors", str(sum("error" in kind for kind in kinds)))


def seconds(wall_ns: int) -> str:
    """Return a length of time as the schema wants it (``12.345``)."""
    return f"{wall_ns / 1e9:.3f}"


def xml_text(text: str) -> str:
    """Return ``text`` without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("", text)
