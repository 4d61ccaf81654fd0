"""``harness explain``: the plan of a scenario, and what its configuration makes true."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import pairs, paths_argument, seed_option, set_option, trust_option
from harness.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.scenario.model import Plan
    from harness.scenario.plugins import Vocabulary


@click.command()
@paths_argument
@seed_option
@set_option
@trust_option
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def explain(paths: tuple[Path, ...], *, seed: int | None, settings: tuple[str, ...], trust: bool, as_json: bool) -> int:
    """Show the plan of each variant as a readable timeline."""
    from harness.scenario.explain import explain as explained  # noqa: PLC0415
    from harness.scenario.plan import canonical  # noqa: PLC0415
    from harness.session.selection import select  # noqa: PLC0415
    from harness.session.vocabulary import vocabulary  # noqa: PLC0415

    selected = select(paths, settings=pairs(settings, "--set"), seed=seed, trusted=trust)
    if as_json:
        click.echo(json.dumps([canonical(item.plan) for item in selected], indent=2))
    else:
        words = vocabulary()
        click.echo(
            "\n\n".join(
                explained(item.plan, always=_counting(item.plan, words))
                + _application(item.plan, words)
                + _derived(item.plan)
                for item in selected
            )
        )
    return ExitCode.PASS


def _application(plan: Plan, words: Vocabulary) -> str:
    """Return how the plan's application is started; empty when it has none."""
    from harness.scenario.application_fit import words_before  # noqa: PLC0415
    from harness.scenario.explain import explain_application  # noqa: PLC0415
    from harness.scenario.members import owned_partitions  # noqa: PLC0415

    def known(worker: str) -> Mapping[str, str]:
        owned = owned_partitions(plan.workload, int(worker[1:]))
        return words_before(plan, words.brokers[plan.broker_kind], worker, owned)

    text = explain_application(plan, known)
    return f"\n{text}" if text else ""


def _counting(plan: Plan, words: Vocabulary) -> list[str]:
    """Return the checks that count in every run of a plan; one that has no limit in force there does not."""
    from harness.session.planned import facts_of, limits_of  # noqa: PLC0415

    judged = {limit.check for limit in limits_of(plan, facts_of(plan))}
    return [*words.always, *sorted(words.standing & judged)]


def _derived(plan: Plan) -> str:
    """Return what the configuration of a plan makes true: the limits in force, the run's reach and what is allowed."""
    from harness.checks.levels import unjudged_checks  # noqa: PLC0415
    from harness.session.planned import facts_of, limits_of, reach_of  # noqa: PLC0415

    facts = facts_of(plan)
    lines = [reach_of(plan)]
    lines += [limit.sentence for limit in limits_of(plan, facts)]
    if unjudged := unjudged_checks(facts):
        lines.append(f"not judged, as single messages are not seen: {', '.join(unjudged)}")
    lines += dict.fromkeys((*facts.refusals, *facts.allowed))  # a broker may name what it refuses among both
    wrapped = [textwrap.fill(line, 120, initial_indent="  ", subsequent_indent="    ") for line in lines]
    return "\nFrom the configuration\n" + "\n".join(wrapped)
