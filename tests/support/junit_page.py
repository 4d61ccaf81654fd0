"""A parsed JUnit document, held against the schema that the strictest readers use."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

# Children and attributes as junit-10.xsd of the Jenkins xUnit plug-in allows them; required ones end in "!".
SCHEMA = {
    "testsuites": ({"testsuite"}, {"name", "time", "tests", "failures", "errors"}),
    "testsuite": (
        {"properties", "testcase"},
        {"name!", "tests!", "failures!", "errors!", "time", "skipped", "timestamp", "file"},
    ),
    "properties": ({"property"}, set[str]()),
    "property": (set[str](), {"name!", "value!"}),
    "testcase": ({"skipped", "error", "failure", "system-out"}, {"name!", "time", "classname"}),
    "failure": (set[str](), {"type", "message"}),
    "error": (set[str](), {"type", "message"}),
    "skipped": (set[str](), {"type", "message"}),
    "system-out": (set[str](), set[str]()),
}


def parse_junit(text: str) -> ET.Element:
    """Return the document; fails unless it is valid and counts what it holds."""
    root = ET.fromstring(text)
    for element in root.iter():
        children, attributes = SCHEMA[element.tag]
        assert {child.tag for child in element} <= children
        assert set(element.attrib) <= {name.removesuffix("!") for name in attributes}
        assert {name[:-1] for name in attributes if name.endswith("!")} <= set(element.attrib)
        if element.tag in {"testsuite", "testsuites"}:
            assert re.fullmatch(r"[0-9]{0,3}(,?[0-9]{3})*(\.[0-9]*)?", element.get("time", ""))
            assert int(element.get("tests", "-1")) == len([*element.iter("testcase")])
            assert int(element.get("failures", "-1")) == len([*element.iter("failure")])
            assert int(element.get("errors", "-1")) == len([*element.iter("error")])
    return root


def properties_of(suite: ET.Element) -> dict[str, str]:
    """Return the properties of one test suite."""
    return {one.get("name", ""): one.get("value", "") for one in suite.iter("property")}


def states_of(root: ET.Element) -> dict[str, str]:
    """Return name of each case → ``failure``, ``error``, ``skipped``, or an empty word when it passed."""
    red = {"failure", "error", "skipped"}
    return {
        case.get("name", ""): next((child.tag for child in case if child.tag in red), "")
        for case in root.iter("testcase")
    }
