"""JUnit XML for continuous integration: one suite per scenario file, one case per check, one for trustworthiness.

Follows the schema of the Jenkins xUnit plug-in (junit-10.xsd), which other readers accept as well. Fail → failure;
inconclusive and environment → error. What a case says always agrees with the run's ``outcome``, so a canary that failed
as expected is green. Must never know how a run is made.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from harness.report import format as values
from harness.report import headline, phrases
from harness.report.atomic import write_atomic
from harness.report.sanitize import clean, clip
from harness.result import RunResult
from harness.verdict import CheckResult, Verdict

TRUST_CASE: Final = "the run can be trusted"
_FINDINGS_MAX: Final = 20
MESSAGE_MAX: Final = 1_000
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_Tag = Literal["failure", "error", "skipped", ""]


def to_junit(results: Sequence[RunResult]) -> str:
    """Return the XML document of all results."""
    root = ET.Element("testsuites", name="broker chaos harness")
    by_file: dict[str, list[RunResult]] = {}
    for result in results:
        by_file.setdefault(result.file, []).append(result)
    for file, runs in by_file.items():
        root.append(_suite(file, runs))
    count_cases(root, root.iter("testcase"))
    root.set("time", seconds(sum(map(phrases.wall_ns, results))))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def write_junit(results: Sequence[RunResult], path: Path) -> None:
    """Write the document to ``path``, whole or not at all; raises UnfitEnvironmentError when it cannot."""
    write_atomic(path, to_junit(results))


def _suite(file: str, runs: Sequence[RunResult]) -> ET.Element:
    suite = ET.Element("testsuite", name=xml_text(file) or "no file")
    properties = ET.SubElement(suite, "properties")
    repeats: Counter[str] = Counter()
    for result in runs:
        prefix = f"{result.run_id}/" if len(runs) > 1 else ""
        for name, value in properties_of(result):
            ET.SubElement(properties, "property", name=xml_text(prefix + name), value=xml_text(value))
        name = _classname(result)
        repeats[name] += 1  # equal names would be merged into one case by most readers
        suite.extend(run_cases(result, f"{name}#{repeats[name]}" if repeats[name] > 1 else name))
    count_cases(suite, suite.iter("testcase"))
    suite.set("skipped", str(sum(1 for _ in suite.iter("skipped"))))
    suite.set("time", seconds(sum(map(phrases.wall_ns, runs))))
    suite.set("timestamp", xml_text(runs[0].started_wall.removesuffix("Z")))
    suite.set("file", xml_text(file))
    return suite


def properties_of(result: RunResult) -> list[tuple[str, str]]:
    """Return (name, value) of what a run was made from and came to, and the command that runs it again."""
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
        ("reproduce", result.reproduce),
    ]


def _classname(result: RunResult) -> str:
    variant = phrases.variant_text(result)
    return xml_text(f"{clean(result.scenario)}{f'[{variant}]' if variant else ''}")


def run_cases(result: RunResult, classname: str) -> list[ET.Element]:
    """Return the cases of one run; together they are red exactly when its outcome is not pass."""
    cases, told = [], set()
    for check in result.checks:
        tag, message = _judgement(result, check)
        told.add(tag)
        case = ET.Element("testcase", classname=classname, name=xml_text(clean(check.check)) or "check", time="0")
        _add(case, tag, type_=check.check, message=message, body=_body(result, check))
        cases.append(case)
    trust = ET.Element("testcase", classname=classname, name=TRUST_CASE, time=seconds(phrases.wall_ns(result)))
    tag, message = _trust(result, told)
    _add(trust, tag, type_="trust", message=message, body=_trust_body(result))
    return [trust, *cases]


def _judgement(result: RunResult, check: CheckResult) -> tuple[_Tag, str]:
    """Return the tag and message of one check, seen from the run's outcome."""
    limits = "; ".join(values.describe_limit(limit) for limit in check.limits if limit.verdict is Verdict.FAIL)
    shown = limits or next((finding.message for finding in check.findings), check.verdict.value)
    if limits:
        # Most readers show nothing of a failure but its message.
        shown += "".join(f"; {word}: {workers}" for word, workers in phrases.blame(check.findings))
    if not check.expected:
        every = "; ".join(values.describe_limit(limit) for limit in check.limits)
        told = limits or every or values.main_measures(check)
        return "skipped", f"{headline.check_word(result, check)}{f': {told}' if told else ''}"
    if result.outcome is Verdict.PASS:
        return "", f"failed as expected: {shown}" if check.check in result.must_fail else shown
    if check.check in result.must_fail and check.verdict is not Verdict.INCONCLUSIVE:
        if check.verdict is Verdict.FAIL:
            return "", f"failed as expected: {shown}"
        return "failure", f"expected to fail in this canary, but its verdict is {check.verdict.value}"
    if check.verdict is Verdict.FAIL:
        # A canary of which nothing is proven yet: the failure is shown as what it is, but does not outrank the outcome.
        return "failure" if result.outcome is Verdict.FAIL else "error", shown
    if check.verdict is Verdict.INCONCLUSIVE:
        return "error", "; ".join(check.reasons) or "inconclusive"
    return "", shown


def _trust(result: RunResult, told: set[_Tag]) -> tuple[_Tag, str]:
    """Return the tag and message of the run as a whole: what no single check says."""
    said = headline.status(result)
    if result.outcome is Verdict.FAIL and "failure" not in told:
        return "failure", said.sentence
    if result.error:
        return "error", clean(headline.why_incomplete(result))
    if result.outcome is not Verdict.PASS and result.blocking:
        return "error", "; ".join(result.blocking)
    if result.outcome is Verdict.INCONCLUSIVE and "error" not in told:
        return "error", said.sentence
    return "", said.sentence


def _add(case: ET.Element, tag: _Tag, *, type_: str, message: str, body: str) -> None:
    if not tag:
        text = f"{clean(message)}\n{body}".strip()
        if text:
            ET.SubElement(case, "system-out").text = xml_text(text)
        return
    told = ET.SubElement(
        case, tag, type=xml_text(clip(clean(type_), 200)), message=xml_text(clip(clean(message), MESSAGE_MAX))
    )
    if tag != "skipped":
        told.text = xml_text(body)


def _body(result: RunResult, check: CheckResult) -> str:
    lines = [values.describe_limit(limit) for limit in check.limits]
    for finding in check.findings[:_FINDINGS_MAX]:
        lines.append(f"{clean(finding.type)}: {clip(clean(finding.message), MESSAGE_MAX)}")
        context = [phrases.span(result, finding), phrases.during(result, finding)]
        context += [f"{word}: {workers}" for word, workers in phrases.blame([finding])]
        lines += [f"  {part}" for part in context if part]
        for operation in finding.operations:
            lines.append(f"  {phrases.operation_line(result, operation)}")
    if len(check.findings) > _FINDINGS_MAX:
        lines.append(f"{len(check.findings) - _FINDINGS_MAX} more findings are in result.json")
    lines += [clean(reason) for reason in check.reasons]
    lines.append(f"examined {check.examined:,} {clean(check.examined_unit)}")
    return "\n".join([*lines, *_footer(result)])


def _trust_body(result: RunResult) -> str:
    weak = [
        f"{'blocks the verdict: ' if blocking else ''}{sentence}" for sentence, blocking in headline.weakening(result)
    ]
    unproven = [
        f"{clean(fault.id)} not proven: {clean(fault.description)}" for fault in result.faults if not fault.proven
    ]
    return "\n".join([*([headline.why_incomplete(result)] if result.error else []), *weak, *unproven, *_footer(result)])


def _footer(result: RunResult) -> list[str]:
    lines = [("reproduce", result.reproduce), ("run directory", result.run_dir)]
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
