"""From a choice to a suite that runs, and from a suite's directory to its continuation.

Owns what must be true before the first run: runtimes that are to be had, and for a suite that is resumed, scenarios
that still give the same plans.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import fcntl
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import __version__
from harness.engine.isolation import NEVER, Isolation
from harness.engine.runtimes import runtimes_of
from harness.errors import HarnessError, NothingSelectedError, UsageError, suite_exit_code
from harness.progress import Event, Listener, Note, SuiteListener
from harness.runtime.ledger import state_dir
from harness.runtime.ledger_lines import runs_dir
from harness.scenario.config_keys import TRUST_HINT
from harness.scenario.load import read_text
from harness.scenario.plugins import Vocabulary
from harness.session.leftovers import sweep_notes
from harness.session.preflight import require_fit
from harness.session.selection import Selected, needs_trust, replan
from harness.suite_baseline import baseline_code
from harness.suite_result import SuiteEntry, SuiteResult
from harness.suites.agreement import absent_text, require_agreeing
from harness.suites.budget import Budget
from harness.suites.compared_suite import BaselineRequest, compare_suite
from harness.suites.item import SuiteItem
from harness.suites.keeper import StoreKeeper
from harness.suites.place import Place
from harness.suites.rules import Costs, Rules, SuiteHead
from harness.suites.runner import run_suite
from harness.suites.state import SuiteDir


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a suite runs with.

    Attributes:
        budget, costs, listener: See ``run_suite``.
        store: The store's file, to which every run is added; None to keep none.
        baseline: What the suite is compared with once it is complete; None for nothing.
        trusted: Scenarios of a suite that is resumed may reach outside their runs.
        isolation: As it was asked for.
    """

    budget: Budget
    costs: Costs
    listener: SuiteListener
    store: Path | None = None
    baseline: BaselineRequest | None = None
    trusted: bool = False
    isolation: Isolation = NEVER


def places_of(items: Sequence[SuiteItem], costs: Costs, listener: SuiteListener) -> list[Place]:
    """Return the place of each item, with its runtime and cost; raises UnfitEnvironmentError.

    A runtime that is not to be had refuses the suite before its first run; it does not end it.
    """
    once = _notes_once(listener)
    wheres = [runtimes_of([item.plan], item.runtime, once)[0] for item in items]
    return [
        Place.new(item, runtime, costs.cost(item.plan, runtime)) for item, runtime in zip(items, wheres, strict=True)
    ]


def start(places: Sequence[Place], folder: SuiteDir, head: SuiteHead, rules: Rules, means: Means) -> SuiteResult:
    """Run a suite from its beginning; return its result.

    Args:
        places: At least one, unless this is a shard: there may be more shards than runs.
        folder: Of the suite; new.
        head: What the suite is.
        rules: How it may end early.
        means: What it runs with.
    """
    if not places and not head.shard:
        raise NothingSelectedError("no run is to be made")
    folder.write_rules(rules)
    return _run(places, folder, head, rules, means)


def new_head(folder: SuiteDir, name: str) -> SuiteHead:
    """Return the head of a suite that begins now."""
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return SuiteHead(suite_id=folder.suite_id, name=name, started_wall=started)


def resume(
    folder: SuiteDir, means: Means, *, child_command: Sequence[str] = (), words: Vocabulary | None = None
) -> SuiteResult:
    """Make what a suite lacks, and keep what it has; return its result.

    Args:
        folder: Of the suite.
        means: What it runs with; the budget is this machine's as it is now. A deadline counts again from now.
        child_command: See ``Rules``; empty = the usual one.
        words: What scenarios may say; None = what is registered.

    Raises:
        UsageError: The suite is complete, still goes on, contradicts its run directories, or a scenario gives another
            plan than before; names each.
    """
    before, rules = folder.read(), folder.read_rules()
    if before.complete:
        raise UsageError(f"the suite in {folder.path} is complete", hint=f"exit code {before.exit_code}")
    for note in absent_text(require_agreeing(before, folder.path)):
        means.listener(Note(text=note, warning=True))
    if child_command:
        rules = dataclasses.replace(rules, child_command=child_command)
    items = _items_again(before, everything=rules.rounds > 1, words=words)
    _require_trust(items, trusted=means.trusted)
    if before.harness != __version__:
        means.listener(Note(text=f"the suite began with harness {before.harness}", warning=True))
    places = _places_again(before, items, means)
    head = SuiteHead(
        suite_id=before.suite_id,
        name=before.name,
        started_wall=before.started_wall,
        cost_digest=before.cost_digest,
        shard=before.shard,
        planned=before.planned,
        plan_digest=before.plan_digest if before.shard else "",
        wall_ns=before.wall_ns,
        waited_ns=before.waited_ns,
    )
    return _run(places, folder, head, rules, means)


def _run(places: Sequence[Place], folder: SuiteDir, head: SuiteHead, rules: Rules, means: Means) -> SuiteResult:
    require_fit(folder.path)
    runtimes = {place.runtime for place in places if place.state != "done"}
    isolation = means.isolation.settled(runtimes, _notes_once(means.listener))
    means = dataclasses.replace(means, isolation=isolation)
    with folder, _only_suite(means.listener):
        for note in sweep_notes():
            means.listener(note)
        if means.baseline is not None:
            means.baseline.check()
        keeper = StoreKeeper(means.store, folder.path, head.suite_id, head.name) if means.store is not None else None
        try:
            return asyncio.run(_run_kept(places, folder, head, rules, means, keeper))
        finally:
            if keeper is not None:
                keeper.close()


async def _run_kept(
    places: Sequence[Place],
    folder: SuiteDir,
    head: SuiteHead,
    rules: Rules,
    means: Means,
    keeper: StoreKeeper | None,
) -> SuiteResult:
    """Run a suite whose runs are kept in the store, and compare it; return its result."""
    result = await run_suite(
        places,
        folder,
        head=head,
        rules=rules,
        budget=means.budget,
        costs=means.costs,
        listener=means.listener,
        keep=keeper.keep if keeper is not None else None,
        isolate=means.isolation.wanted,
    )
    result = _compared(result, folder, means)
    if keeper is not None and (why := await keeper.settle(result)):
        means.listener(Note(text=why, warning=True))
    return result


def _compared(result: SuiteResult, folder: SuiteDir, means: Means) -> SuiteResult:
    """Return the result with its comparison, which ``suite.json`` then holds as well; one that lacks runs has none."""
    if means.baseline is None:
        return result
    if not result.complete:
        means.listener(Note(text="not compared with the baseline: the suite is not complete", warning=True))
        return result
    found = compare_suite(result, folder.path, means.baseline)
    code = suite_exit_code([result.exit_code, baseline_code(found)])
    result = dataclasses.replace(result, baseline=found, exit_code=int(code))
    folder.write(result)
    return result


@contextlib.contextmanager
def _only_suite(listener: SuiteListener) -> Iterator[None]:
    """Say when another suite goes on for the same user: neither knows what the other one takes."""
    runs_dir().mkdir(parents=True, exist_ok=True)
    lock = os.open(state_dir() / "suite.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = "another suite goes on here, and both count on the whole machine; give each its part with --cores"
        listener(Note(text=text, warning=True))
    try:
        yield
    finally:
        os.close(lock)


def _items_again(before: SuiteResult, *, everything: bool, words: Vocabulary | None) -> dict[str, SuiteItem]:
    """Return the item of each entry that is to be run, by its key; raises UsageError naming what has changed."""
    found: dict[str, SuiteItem] = {}
    texts: dict[str, str] = {}
    plans: dict[tuple[str, str], Selected] = {}
    changed: dict[str, str] = {}
    for entry in before.entries:
        if entry.file in changed or (entry.state != "missing" and not everything):
            continue
        try:
            if entry.file not in texts:
                texts[entry.file] = read_text(Path(entry.file))
            place = (entry.file, entry.digest)
            if place not in plans:
                plan = replan(texts[entry.file], entry.file, entry.variant, entry.seed, words)
                if plan.digest != entry.digest:
                    raise UsageError("it gives another plan than before")
                plans[place] = Selected(plan=plan, source=texts[entry.file])
        except HarnessError as error:
            changed[entry.file] = error.message
            continue
        found[entry.key] = SuiteItem(selected=plans[place], runtime=_asked_runtime(entry), repetition=entry.repetition)
    if changed:
        named = "\n".join(f"  {file}: {why}" for file, why in changed.items())
        raise UsageError(
            f"the suite cannot be resumed, because its scenarios have changed:\n{named}",
            hint="put them back (the suite's folder must be the working directory), or start the suite again",
        )
    return found


def _require_trust(items: Mapping[str, SuiteItem], *, trusted: bool) -> None:
    """Refuse scenarios that reach outside their runs, unless they are trusted: the suite may be another's."""
    files = sorted({item.plan.file for item in items.values() if needs_trust(item.plan)})
    if files and not trusted:
        raise UsageError(f"reaching outside the run: {', '.join(files)}", hint=TRUST_HINT)


def _places_again(before: SuiteResult, items: dict[str, SuiteItem], means: Means) -> list[Place]:
    missing = [entry for entry in before.entries if entry.state == "missing"]
    fresh = places_of([items[entry.key] for entry in missing], means.costs, means.listener)
    waiting = {place.entry.key: place for place in fresh}
    for entry in missing:
        if entry.made_again is not None:
            waiting[entry.key].to_be_made_again(entry.made_again)
    return [waiting.get(entry.key) or Place.done(entry, items.get(entry.key)) for entry in before.entries]


def _asked_runtime(entry: SuiteEntry) -> str:
    """Return the runtime that was asked for: ``auto`` may have been."""
    return entry.key.rpartition("@")[2].partition("#")[0]


def _notes_once(listener: SuiteListener) -> Listener:
    """Return a listener of runs that hands notes on, each once."""
    said: set[str] = set()

    def once(event: Event) -> None:
        if isinstance(event, Note) and event.text not in said:
            said.add(event.text)
            listener(event)

    return once
