"""What the words of ``harness suite`` select, and how a name that means nothing is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import cli
from harness.errors import ExitCode, NothingSelectedError, ScenarioError, UsageError
from harness.suites.choose import Wish, choose

SCENARIO = """
version: 1
title: {name}
tags: [{tags}]
seed: 1
broker: nats-2
{more}
expect:
  loss: {{}}
"""
SUITES = """\
version: 1
suites:
  smoke:
    paths: [scenarios/gate]
    where: scenario == one
    repeat: 2
    deadline: 5m
  slow: {tags: [slow], runtime: both, deadline: 4m, baseline: last:5}
"""


@pytest.fixture(autouse=True)
def _scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make three scenarios in a working directory of the test's own."""
    monkeypatch.chdir(tmp_path)
    for folder, name, tags, more in (
        ("gate", "one", "quick", ""),
        ("gate", "two", "slow", "matrix: {workload.rate: [10/s, 20/s]}"),
        ("other", "three", "slow", "attempts: {runs: 2, at_least: 1}"),
    ):
        path = tmp_path / "scenarios" / folder / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SCENARIO.format(name=name, tags=tags, more=more), encoding="utf-8")


def _keys(*names: str, **wish: object) -> list[str]:
    return [item.key for item in choose(Wish(names=names, **wish)).items]  # type: ignore[arg-type]


ONE = "scenarios/gate/one.yaml"
TWO = "scenarios/gate/two.yaml[workload.rate=%s]"
THREE = "scenarios/other/three.yaml"


def test_a_name_is_a_folder_of_scenarios_or_a_tag_or_a_path() -> None:
    gate = [f"{ONE}@auto#1", f"{TWO % '10/s'}@auto#1", f"{TWO % '20/s'}@auto#1"]
    assert _keys("gate") == _keys("scenarios/gate") == gate
    assert _keys("quick") == _keys(ONE) == gate[:1]
    assert _keys("slow") == [*gate[1:], f"{THREE}@auto#1", f"{THREE}@auto#2"]
    assert choose(Wish(names=("gate", "quick"))).used == (
        "gate: the folder scenarios/gate",
        "quick: the scenarios below scenarios with this tag",
    )


def test_what_two_names_select_is_run_once() -> None:
    assert _keys("gate", "slow", "quick") == [*_keys("gate"), f"{THREE}@auto#1", f"{THREE}@auto#2"]


def test_a_suite_of_many_names_has_a_short_one() -> None:
    assert choose(Wish(names=("gate", "slow", "quick"))).name == "gate+slow+quick"
    assert choose(Wish(names=("gate", "slow", "quick", ONE, "gate", THREE))).name == "gate+slow+quick+2 more"


def test_a_suite_of_the_file_comes_before_a_tag() -> None:
    Path("suites.yaml").write_text(SUITES, encoding="utf-8")
    both = choose(Wish(names=("smoke", "slow")))
    assert [item.key for item in both.items][:2] == [f"{ONE}@auto#1", f"{ONE}@auto#2"]
    assert [item.key for item in both.items][2:4] == [f"{TWO % '10/s'}@process#1", f"{TWO % '10/s'}@docker#1"]
    assert (both.name, both.deadline_ns, both.baseline) == ("smoke+slow", 240 * 10**9, "last:5")
    assert both.used[0] == "smoke: the suite of suites.yaml"


def test_options_of_the_command_line_come_before_those_of_the_file() -> None:
    Path("suites.yaml").write_text(SUITES, encoding="utf-8")
    assert _keys("smoke", repeat=1, runtime="docker") == [f"{ONE}@docker#1"]
    assert choose(Wish(names=("slow",), deadline_ns=7)).deadline_ns == 7


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ({"tags": ("quick",)}, [f"{ONE}@auto#1"]),
        ({"where": "check == loss and scenario != one"}, [f"{TWO % '10/s'}@auto#1", f"{TWO % '20/s'}@auto#1"]),
        ({"variant": {"workload.rate": "20/s"}}, [f"{TWO % '20/s'}@auto#1"]),
        ({"runtime": "both", "where": "runtime == docker and tag == quick"}, [f"{ONE}@docker#1"]),
    ],
)
def test_options_narrow_what_names_select(wish: dict[str, object], expected: list[str]) -> None:
    assert _keys("gate", **wish) == expected


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gat", "did you mean 'gate'?"), ("slo", "did you mean 'slow'?"), ("smok", "did you mean 'smoke'?")],
)
def test_a_name_that_means_nothing_is_compared_with_all_that_do(name: str, hint: str) -> None:
    Path("suites.yaml").write_text(SUITES, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        choose(Wish(names=(name,)))
    assert caught.value.hint == hint


def test_a_selection_of_nothing_is_refused() -> None:
    with pytest.raises(NothingSelectedError):
        choose(Wish(names=("gate",), where="fault == kill"))


@pytest.mark.parametrize(
    ("defined", "said"),
    [
        ("{paths: [scenarios/gate], where: kind == kafka}", "suites.yaml:3:42: some: no scenario is selected"),
        ("{paths: [scenarios/gate, empty]}", "suites.yaml:3:3: some: no scenario is selected"),
        ("{tags: [slow, quikc]}", "suites.yaml:3:3: some: no scenario selected has the tag 'quikc'"),
    ],
)
def test_what_selects_nothing_is_not_passed_over_for_what_selects_something(defined: str, said: str) -> None:
    Path("empty").mkdir()
    Path("suites.yaml").write_text(f"version: 1\nsuites:\n  some: {defined}\n", encoding="utf-8")
    with pytest.raises(NothingSelectedError) as caught:
        choose(Wish(names=("some", "other")))
    assert caught.value.message == said


def test_a_tag_that_no_plan_has_is_refused_next_to_one_that_some_have() -> None:
    with pytest.raises(NothingSelectedError) as caught:
        choose(Wish(names=("gate",), tags=("slow", "quikc")))
    assert caught.value.hint == "did you mean 'quick'?"


def test_a_name_of_which_the_options_leave_nothing_is_told() -> None:
    choice = choose(Wish(names=("gate", "other"), where="scenario == three"))
    assert choice.used[1] == "gate: the options leave none of its 3 plans"


def test_one_scenario_with_two_seeds_is_refused_and_a_seed_that_is_drawn_is_drawn_once() -> None:
    suites = "version: 1\nsuites:\n  a: {paths: [scenarios/gate], seed: 7}\n  b: {paths: [scenarios/gate], seed: 8}\n"
    Path("suites.yaml").write_text(suites, encoding="utf-8")
    with pytest.raises(UsageError, match="is selected as two plans, with the seeds 7 and 8"):
        choose(Wish(names=("a", "b")))
    assert len(choose(Wish(names=("a", "b"), seed=9)).items) == 3
    drawn = Path("drawn.yaml")
    drawn.write_text(Path(ONE).read_text(encoding="utf-8").replace("seed: 1", "seed: random"), encoding="utf-8")
    assert len(choose(Wish(names=("drawn.yaml", "./drawn.yaml"))).items) == 1


def test_of_a_suite_until_a_fail_it_is_told_which_races_it_makes_once() -> None:
    choice = choose(Wish(names=("gate", "other"), until_fail=True))
    assert choice.used[-1] == "--until-fail makes these only once, because their attempts count together: three"


def test_a_path_that_no_matrix_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no scenario selected has a matrix over"):
        choose(Wish(names=("gate",), variant={"workload.rat": "1/s"}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("scenario == one", "scenario == onne", "suites.yaml:5:12: suites.smoke.where, column 13 of the expression: "),
        ("repeat: 2", "repeat: 0", "suites.yaml:6:13: suites.smoke.repeat must be at least 1, not 0"),
        ("repeat: 2", "repaet: 2", "suites.yaml:6:5: unknown key 'repaet' in suites.smoke (did you mean 'repeat'?)"),
        ("version: 1", "version: 2", "suites.yaml:1:10: the file needs 'version: 1' at the top level"),
        ("deadline: 5m", "deadline: 5", "suites.yaml:7:15: suites.smoke.deadline: 5 has no unit"),
        ("suites:", "suits:", "suites.yaml:1:1: 'suites' must be a mapping of names to suites"),
        ("runtime: both", "runtime: bth", "suites.yaml:8:33: suites.slow.runtime must be one of"),
        ("  smoke:", "  a/b:", "suites.yaml:3:3: 'a/b' cannot name a suite"),
        ("version: 1", "version: [", "suites.yaml:3:8: not valid YAML"),
    ],
)
def test_a_mistake_in_the_file_of_suites_is_located(old: str, new: str, said: str) -> None:
    Path("suites.yaml").write_text(SUITES.replace(old, new), encoding="utf-8")
    with pytest.raises(ScenarioError) as caught:
        choose(Wish(names=("smoke",)))
    assert any(str(problem).startswith(said) for problem in caught.value.problems), caught.value.message


def test_the_command_lists_and_forecasts_without_running_anything() -> None:
    listed = CliRunner().invoke(cli, ["suite", "gate", "--list"])
    assert (listed.exit_code, listed.stdout.splitlines()) == (0, _keys("gate"))
    forecast = CliRunner().invoke(cli, ["suite", "gate", "--dry-run", "--runtime", "process"])
    assert forecast.exit_code == 0
    assert "3 runs, about" in forecast.stdout
    assert not Path("reports").exists()


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ([], ExitCode.USAGE),
        (["gate", "--resume", "scenarios"], ExitCode.USAGE),
        (["--resume", "--repeat", "2"], ExitCode.USAGE),
        (["--resume"], ExitCode.USAGE),
        (["--resume", "scenarios"], ExitCode.USAGE),
        (["--resume", "--dry-run"], ExitCode.USAGE),
        (["gate", "--deadline", "5"], ExitCode.USAGE),
        (["gate", "--cores", "1000000"], ExitCode.USAGE),
        (["gate", "--config", "none.yaml"], ExitCode.USAGE),
        (["gate", "--tag", "slow", "--where", "scenario == one"], ExitCode.NOTHING_SELECTED),
    ],
)
def test_what_the_command_refuses(words: list[str], code: ExitCode) -> None:
    from harness.commands.cli import _run_guarded

    assert _run_guarded(lambda: cli.main(["suite", *words], standalone_mode=False)) == code


def test_a_suite_without_bounds_is_refused_before_its_runs_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.suites.item.RUNS_MAX", 4)
    assert len(_keys(ONE, repeat=4)) == 4
    with pytest.raises(UsageError, match="a suite has at most 4 runs, and these are 5"):
        choose(Wish(names=(ONE,), repeat=5))
