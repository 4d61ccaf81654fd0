"""``harness new``: what it writes is a scenario, says what was asked for, and replaces nothing by itself."""

from __future__ import annotations

import dataclasses
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.commands.cli import cli
from harness.errors import HarnessError
from harness.scenario.application import Application, application_of
from harness.scenario.draft import takes_applications
from harness.scenario.expand import variants
from harness.scenario.load import load_file
from harness.scenario.model import Plan
from harness.scenario.plan import make_plan
from harness.session.vocabulary import vocabulary

BROKERS = {min(spec.aliases): spec for spec in vocabulary().brokers.values() if takes_applications(spec)}
LEVELS = [(broker, shows) for broker, spec in BROKERS.items() for shows in spec.application_shows]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(*words: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli, ["new", *words], input=typed)


def said(done: Result) -> str:
    """Return what a command that is refused says."""
    assert isinstance(done.exception, HarnessError), done.output
    return f"{done.exception.message} ({done.exception.hint})"


def plan(path: str) -> tuple[Plan, Application]:
    (variant,) = variants(load_file(Path(path), vocabulary()))
    found = make_plan(variant)
    application = application_of(found.workload.consumer)
    assert application is not None
    return found, application


@pytest.mark.parametrize(("broker", "shows"), LEVELS)
@pytest.mark.parametrize("consumers", [1, 3])
def test_what_is_written_is_a_scenario_that_says_what_was_asked_for(broker: str, shows: str, consumers: int) -> None:
    command = "python 'my consumer.py' --at {bootstrap} \"--name=a b\""
    done = made("--broker", broker, "--command", command, "--shows", shows, "--consumers", str(consumers))
    assert done.exit_code == 0, done.output
    found, application = plan("application.yaml")
    assert application.command == ("python", "my consumer.py", "--at", "{bootstrap}", "--name=a b")
    assert (application.shows, found.broker, found.workload.consumers) == (shows, broker, consumers)
    assert "BOOTSTRAP_SERVERS" not in application.env, "the command names it"
    assert ("REPORT_SOCKET" in application.env) is (shows == "lines")
    assert {item.check for item in found.expect} >= {"stall", "recovery", "throughput"}
    assert ("loss" in {item.check for item in found.expect}) is (shows == "lines")
    assert Path("scenario.schema.json").is_file()
    assert "harness run application.yaml" in done.output


@pytest.mark.parametrize("broker", BROKERS)
def test_every_limit_on_time_that_is_in_force_is_tested(broker: str) -> None:
    from harness.session.planned import facts_of, limits_of

    assert made("--broker", broker, "--command", "app").exit_code == 0
    found, _ = plan("application.yaml")
    untested = [limit.sentence for limit in limits_of(found, facts_of(found)) if "not tested" in limit.sentence]
    assert untested == []


@pytest.mark.parametrize("broker", BROKERS)
def test_the_options_of_a_client_stand_there_and_can_be_uncommented(broker: str) -> None:
    assert made("--broker", broker, "--command", "app").exit_code == 0
    path = Path("application.yaml")
    lines = path.read_text(encoding="utf-8").splitlines()
    first = next(place for place, line in enumerate(lines) if "without the #" in line) + 1
    options = [line for line in lines[first:] if line.startswith("    # ")]
    assert len(options) > 5
    path.write_text("\n".join(line.replace("    # ", "    ", 1) if line in options else line for line in lines))
    consumer = plan("application.yaml")[0].workload.consumer
    assert dataclasses.replace(consumer, application=None) == BROKERS[broker].consumer(), (
        "what stands there is in force"
    )


def test_explain_names_what_is_not_judged() -> None:
    assert made("--broker", "kafka-4", "--command", "app").exit_code == 0
    told = " ".join(CliRunner().invoke(cli, ["explain", "application.yaml"]).output.split())
    unjudged = told.partition("not judged, as single messages are not seen: ")[2]
    assert unjudged.startswith("delays, duplicates, latency, loss, order, phantoms, transactions ")
    assert "ownership outside_max" not in told, "a limit that is not judged is not in force"
    assert "ownership regressions_max ≤ 0" in told


def test_the_program_runs_where_the_command_was_typed() -> None:
    Path("chaos").mkdir()
    assert made("chaos/mine.yaml", "--broker", "kafka-4", "--command", "./app").exit_code == 0
    _, application = plan("chaos/mine.yaml")
    assert application.directory == os.pardir
    assert Path("chaos/scenario.schema.json").is_file()


def test_what_no_option_says_is_asked_for_at_a_terminal() -> None:
    ours, theirs = pty.openpty()
    try:
        os.write(ours, b"kafka-4\npython mine.py\nlines\n")
        done = subprocess.run(
            [sys.executable, "-m", "harness", "new"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "Broker (" in done.stdout
    found, application = plan("application.yaml")
    assert (found.broker, application.command, application.shows) == ("kafka-4", ("python", "mine.py"), "lines")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--command", "app"], "--broker is needed, as there is no terminal to ask at (known: "),
        (["--broker", "kafka-4"], "--command is needed"),
        (["--broker", "kafka-44", "--command", "app"], "no application runs with 'kafka-44'"),
        (["--broker", "rocketmq-5", "--command", "app"], "no application runs with 'rocketmq-5'"),
        (["--broker", "kafka-4", "--command", "app 'x"], "cannot be read: No closing quotation"),
        (["--broker", "kafka-4", "--command", "app {topc}"], "a run fills in no {topc} (did you mean 'topic'?)"),
        (["--broker", "kafka-4", "--command", " "], "must name a program"),
        (["nowhere/x.yaml", "--broker", "kafka-4", "--command", "app"], "there is no folder nowhere"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(words: list[str], expected: str) -> None:
    assert expected in said(made(*words))
    assert list(Path().iterdir()) == []


def test_a_file_that_is_there_is_replaced_only_when_asked_to() -> None:
    Path("application.yaml").write_text("mine", encoding="utf-8")
    words = ("--broker", "kafka-4", "--command", "app")
    assert "application.yaml is there already (--force" in said(made(*words))
    assert Path("application.yaml").read_text(encoding="utf-8") == "mine"
    assert made(*words, "--force").exit_code == 0
    plan("application.yaml")
