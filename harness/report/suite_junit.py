"""JUnit XML of a suite: one test suite for each run, read one at a time, so that memory stays bounded.

Follows the same schema as the file of a run (``junit.py``). What is missing is an error and what was not needed is
skipped. The document is red exactly when the suite's exit code is not 0. Must never know how a suite is run.
"""

from __future__ import annotations

import functools
import shutil
import tempfile
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.errors import ExitCode, UnfitEnvironmentError
from harness.report import suite_words as words
from harness.report.atomic import atomic_file
from harness.report.baseline_text import baseline_lines
from harness.report.junit import MESSAGE_MAX, count_cases, properties_of, run_case, seconds, spare, xml_text
from harness.report.sanitize import clean, clip
from harness.report.suite_runs import read_run
from harness.report.suite_words import EntryStatus
from harness.result import RunResult
from harness.suite_result import SuiteEntry, SuiteResult

Read = Callable[[Path, SuiteEntry], RunResult | str]
WHOLE_CASE: Final = "the suite as a whole"


@dataclass(slots=True)
class _Totals:
    tests: int = 0
    failures: int = 0
    errors: int = 0

    def add(self, suite: ET.Element) -> None:
        self.tests += int(suite.get("tests", "0"))
        self.failures += int(suite.get("failures", "0"))
        self.errors += int(suite.get("errors", "0"))


def write_suite_junit(result: SuiteResult, folder: Path, path: Path, *, read: Read = read_run) -> None:
    """Write the document of all runs to ``path``, whole or not at all.

    Args:
        result: The suite.
        folder: Where its ``suite.json`` lies: run directories are relative to it.
        path: The file to write.
        read: Gives the result of an entry that ended, or says why there is none.

    Raises:
        UnfitEnvironmentError: It cannot be written.
    """
    totals = _Totals()
    try:
        body = tempfile.TemporaryFile("w+", encoding="utf-8", errors="backslashreplace", newline="\n")  # noqa: SIM115
    except OSError as error:
        raise UnfitEnvironmentError(f"cannot write {path}: {error.strerror or error}") from error
    with body, atomic_file(path) as file:
        for suite in _suites(result, folder, read):
            totals.add(suite)
            body.write(_markup(suite))
        whole = _whole(result, totals)  # needs to know whether any run is red
        totals.add(whole)
        root = ET.Element(
            "testsuites",
            name=xml_text(clean(result.name)) or "suite",
            tests=str(totals.tests),
            failures=str(totals.failures),
            errors=str(totals.errors),
            time=seconds(result.wall_ns),
        )
        opening = ET.tostring(root, encoding="unicode", short_empty_elements=False).removesuffix("</testsuites>")
        file.write(f'<?xml version="1.0" encoding="UTF-8"?>\n{opening}\n{_markup(whole)}')
        body.seek(0)
        shutil.copyfileobj(body, file)
        file.write("</testsuites>\n")


def _markup(suite: ET.Element) -> str:
    ET.indent(suite, level=1)
    return f"  {ET.tostring(suite, encoding='unicode')}\n"


def _suites(result: SuiteResult, folder: Path, read: Read) -> Iterator[ET.Element]:
    names = words.labels(result.entries)
    for entry, status in zip(result.entries, words.statuses(result.entries), strict=True):
        name = xml_text(names[entry.key])
        properties, case = _of_entry(entry, status, functools.partial(read, folder, entry), name)
        suite = ET.Element("testsuite", name=xml_text(clean(entry.key)) or "run")
        listed = ET.SubElement(suite, "properties")
        for key, value in properties:
            ET.SubElement(listed, "property", name=xml_text(clean(key)), value=xml_text(clean(value)))
        suite.append(case)
        _finish(suite, entry.wall_ns)
        suite.set("file", xml_text(clean(entry.file)))
        yield suite


def _finish(suite: ET.Element, wall_ns: int) -> None:
    count_cases(suite, suite.iter("testcase"))
    suite.set("skipped", str(sum(1 for _ in suite.iter("skipped"))))
    suite.set("time", seconds(wall_ns))


def _of_entry(
    entry: SuiteEntry, status: EntryStatus, read: Callable[[], RunResult | str], name: str
) -> tuple[list[tuple[str, str]], ET.Element]:
    """Return properties and the case of one run."""
    properties = [
        ("key", entry.key),
        ("state", entry.state),
        ("runtime", entry.runtime),
        ("repetition", str(entry.repetition)),
    ]
    if entry.state != "ended":
        properties += [("seed", str(entry.seed)), ("digest", entry.digest), ("broker", entry.broker)]
        tag = "error" if entry.state == "missing" else "skipped"
        return properties, _case(entry, name, tag, status.sentence)
    run = read()
    if isinstance(run, str):
        properties += [("seed", str(entry.seed)), ("digest", entry.digest), ("reproduce", entry.reproduce)]
        tag = "failure" if entry.exit_code == ExitCode.VIOLATED and status.red else "error"
        case = _case(entry, name, tag, f"{run}; {status.word}: {status.sentence}", "result")
    else:
        known = {key for key, _ in properties}
        properties += [(key, value) for key, value in properties_of(run) if key not in known]
        case = run_case(run, name)
        _agree(case, status)
    again = entry.made_again
    if again is not None:
        properties += [
            ("made_again", words.made_again_text(entry)),
            ("made_again.run", again.run_id),
            ("made_again.run_dir", again.run_dir),
            ("made_again.headline", again.headline),
        ]
        told = f"made again, because of {words.made_again_text(entry)}; first run: {clean(again.headline)}"
        ET.SubElement(case, "system-out").text = xml_text(clip(told, MESSAGE_MAX))
    return properties, case


def _case(entry: SuiteEntry, name: str, tag: str, message: str, kind: str = "") -> ET.Element:
    case = ET.Element("testcase", classname=xml_text(clean(entry.file)) or "no file", name=name or "run", time="0")
    if tag:
        ET.SubElement(case, tag, type=kind or entry.state, message=xml_text(clip(message, MESSAGE_MAX)))
    return case


def _agree(case: ET.Element, status: EntryStatus) -> None:
    """Make the case of a run red exactly when it keeps the suite from passing."""
    red = [child for child in case if child.tag in {"failure", "error"}]
    if status.red and not red:
        kind = "failure" if status.word == "FAIL" else "error"
        ET.SubElement(case, kind, type="run", message=xml_text(clip(status.sentence, MESSAGE_MAX)))
    if not status.red:  # a run of a race that the others decided
        spare(case, status.sentence)


def _whole(result: SuiteResult, totals: _Totals) -> ET.Element:
    said = words.suite_status(result)
    sentence = f"{said.word}: {said.sentence}; exit code {result.exit_code}"
    suite = ET.Element("testsuite", name=xml_text(clean(f"suite {result.name}")))
    listed = ET.SubElement(suite, "properties")
    facts = [
        ("suite", result.suite_id),
        ("harness", result.harness),
        ("plan_digest", result.plan_digest),
        ("shard", result.shard),
        ("cost_digest", result.cost_digest),
        ("exit_code", str(result.exit_code)),
        ("complete", "true" if result.complete else "false"),
        *((name, value) for name, value in words.budget_lines(result)),
    ]
    for name, value in facts:
        if value:
            ET.SubElement(listed, "property", name=name, value=xml_text(clean(value)))
    case = ET.SubElement(suite, "testcase", classname=xml_text(clean(result.name)) or "suite", name=WHOLE_CASE)
    case.set("time", "0")
    compared = "\n".join(baseline_lines(result.baseline)) if result.baseline is not None else ""
    if result.exit_code != ExitCode.PASS and not totals.failures + totals.errors:
        tag = "failure" if result.exit_code == ExitCode.VIOLATED else "error"
        ET.SubElement(case, tag, type="suite", message=xml_text(sentence)).text = xml_text(compared)
    elif result.exit_code == ExitCode.VIOLATED and not totals.failures:
        ET.SubElement(case, "failure", type="suite", message=xml_text(sentence)).text = xml_text(compared)
    else:
        ET.SubElement(case, "system-out").text = xml_text(f"{sentence}\n{compared}".strip())
    _finish(suite, result.wall_ns)
    suite.set("timestamp", xml_text(result.started_wall.removesuffix("Z")))
    return suite
