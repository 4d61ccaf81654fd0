"""CI's manifests: valid by their published schemas, with commands that exist, and exit codes mapped as documented."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
from ruamel.yaml import YAML

from harness.commands.cli import cli
from harness.errors import ExitCode
from harness.suites.shards import SOURCES

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
GITLAB = ROOT / "docs" / "ci" / "gitlab-ci.yml"
KUBERNETES = sorted((ROOT / "docs" / "ci").glob("kubernetes-*.yaml"))
JOB = ROOT / "docs" / "ci" / "kubernetes-job.yaml"
PAGE = ROOT / "docs" / "ci.md"
SCHEMA = json.loads((Path(__file__).parents[1] / "support" / "schemas" / "kubernetes-1.33.json").read_text("utf-8"))
KINDS = {"Job": "io.k8s.api.batch.v1.Job", "PersistentVolumeClaim": "io.k8s.api.core.v1.PersistentVolumeClaim"}


def _documents(text: str) -> list[Any]:
    return list(YAML(typ="safe").load_all(text))


def _kubernetes_problems(text: str) -> list[str]:
    problems = []
    for document in _documents(text):
        schema = SCHEMA | {"$ref": f"#/$defs/{KINDS[document['kind']]}"}
        problems += [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]
    return problems


def _checked(file: Path, schema: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Validate a file by a schema that the pinned package holds; nothing is downloaded."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *options, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_is_valid(file: Path) -> None:
    done = _checked(file, "vendor.github-workflows")
    assert done.returncode == 0, done.stdout


def test_the_pipeline_of_gitlab_is_valid() -> None:
    done = _checked(GITLAB, "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", KUBERNETES, ids=lambda file: file.name)
def test_a_manifest_of_kubernetes_is_valid(file: Path) -> None:
    assert _kubernetes_problems(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ("backoffLimitPerIndex", "backoffLimitPerindex", "'backoffLimitPerindex' was unexpected"),
        ("restartPolicy: Never", "restartpolicy: Never", "'restartpolicy' was unexpected"),
        ("operator: In, values: [3, 4, 5]", "operator: In, values: 3", "is not of type 'array'"),
        ("operator: In, values: [7]", "values: [7]", "'operator' is a required property"),
        ("completions: 4", "completions: four", "is not of type"),
        ("apiVersion: batch/v1", "apiVersion: batch/v2", "is not one of"),
    ],
)
def test_a_broken_manifest_of_kubernetes_is_found(was: str, becomes: str, says: str) -> None:
    text = JOB.read_text(encoding="utf-8")
    assert was in text
    assert any(says in problem for problem in _kubernetes_problems(text.replace(was, becomes)))


@pytest.mark.parametrize(
    ("file", "schema", "was", "becomes"),
    [
        (WORKFLOWS[0], "vendor.github-workflows", "runs-on:", "run-on:"),
        (WORKFLOWS[0], "vendor.github-workflows", "timeout-minutes: 60", "timeout-minutes: an hour"),
        (GITLAB, "vendor.gitlab-ci", "parallel: 4", "parallel: many"),
        (GITLAB, "vendor.gitlab-ci", "when: always\n    paths", "when: allways\n    paths"),
    ],
)
def test_a_broken_pipeline_is_found(tmp_path: Path, file: Path, schema: str, was: str, becomes: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert was in text
    broken = tmp_path / file.name
    broken.write_text(text.replace(was, becomes), encoding="utf-8")
    assert _checked(broken, schema).returncode == 1


def _job() -> Any:
    (job,) = (document for document in _documents(JOB.read_text(encoding="utf-8")) if document["kind"] == "Job")
    return job["spec"]


def test_every_exit_code_has_its_action() -> None:
    rules = _job()["podFailurePolicy"]["rules"]
    assert rules[0]["action"] == "Ignore", "before the codes: a pod that is evicted ends with one of them"
    assert [one["type"] for one in rules[0]["onPodConditions"]] == ["DisruptionTarget"]
    actions: dict[ExitCode, str] = {}
    for rule in rules[1:]:
        on = rule["onExitCodes"]
        assert on["operator"] == "In"
        assert on["values"] == sorted(on["values"]), "the API refuses others"
        assert on["containerName"] == _job()["template"]["spec"]["containers"][0]["name"]
        actions |= {ExitCode(code): rule["action"] for code in on["values"]}
    assert actions == {
        ExitCode.VIOLATED: "FailIndex",
        ExitCode.INCONCLUSIVE: "FailIndex",
        ExitCode.DIFFERS: "FailIndex",
        ExitCode.INTERNAL: "FailJob",
        ExitCode.USAGE: "FailJob",
        ExitCode.NOTHING_SELECTED: "FailJob",
        ExitCode.ENVIRONMENT: "Count",
    }
    assert set(ExitCode) - set(actions) == {ExitCode.PASS, ExitCode.INTERRUPTED}


def test_the_job_is_what_its_policy_needs_and_has_no_rights() -> None:
    spec = _job()
    pod = spec["template"]["spec"]
    assert spec["completionMode"] == "Indexed"  # FailIndex and backoffLimitPerIndex need it
    assert spec["backoffLimitPerIndex"] >= 1
    assert pod["restartPolicy"] == "Never"
    for job in _jobs():
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}


def _jobs() -> Iterator[Any]:
    for file in KUBERNETES:
        yield from (one for one in _documents(file.read_text(encoding="utf-8")) if one["kind"] == "Job")


def test_totals_agree_and_variables_are_those_that_auto_reads() -> None:
    kubernetes = next(one for one in SOURCES if one.system == "Kubernetes")
    (variable,) = _job()["template"]["spec"]["containers"][0]["env"]
    assert variable == {"name": kubernetes.total, "value": str(_job()["completions"])}
    assert f"$({kubernetes.index})" in " ".join(_job()["template"]["spec"]["containers"][0]["args"])

    github = next(one for one in SOURCES if one.system == "GitHub")
    text = WORKFLOWS[0].read_text(encoding="utf-8")
    assert f"{github.index}: ${{{{ strategy.job-index }}}}" in text
    assert f"{github.total}: ${{{{ strategy.job-total }}}}" in text

    page = PAGE.read_text(encoding="utf-8")
    for source in SOURCES:
        assert f"| {source.system} | `{source.index}`, from {source.first} | `{source.total}` |" in page


def _commands() -> list[tuple[str, list[str]]]:
    """Return each command line of the harness in a manifest or on the page, with the file that has it."""
    found = []
    for file in (*WORKFLOWS, GITLAB, PAGE):
        lines = re.findall(r"(?<![\w/`])(?:\.venv/bin/)?harness ([^\n`]+)", file.read_text(encoding="utf-8"))
        lines = [line for line in lines if line.startswith(("suite ", "images ", "run ", "fetch"))]
        found += [(file.name, shlex.split(line, comments=True)) for line in lines]
    found += [(file.name, one) for file in KUBERNETES for one in _args(file)]
    return found


def _args(file: Path) -> list[list[str]]:
    jobs = [one for one in _documents(file.read_text(encoding="utf-8")) if one["kind"] == "Job"]
    return [[str(word) for word in job["spec"]["template"]["spec"]["containers"][0]["args"]] for job in jobs]


@pytest.mark.parametrize(("file", "words"), _commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_line_is_one_that_the_harness_takes(file: str, words: list[str]) -> None:
    context = click.Context(cli)
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(context, words)
        assert found is not None, f"{file}: {name}"
        command = found
    command.make_context(command.name, list(words), parent=context)


def test_there_are_command_lines_to_check() -> None:
    files = {file for file, _ in _commands()}
    assert {WORKFLOWS[0].name, GITLAB.name, *(file.name for file in KUBERNETES)} <= files


@pytest.mark.parametrize("file", [*WORKFLOWS, GITLAB, *KUBERNETES], ids=lambda file: file.name)
def test_no_manifest_names_a_host_or_a_secret(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert "://" not in text
    assert "secrets." not in text
    for action in re.findall(r"uses: (\S+)", text):
        assert re.fullmatch(r"actions/[\w-]+@v\d+\.\d+\.\d+", action), action
