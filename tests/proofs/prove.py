"""``make prove``: the long proofs, one after the other. What has passed at this commit is not made again.

The state lies in ``reports/proofs/<commit>.json``, each proof's output next to it, the table in ``docs/proof.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "proof.md"
HEAD = "| proof | what it shows | command | result | took | date | commit |"
RULE = "|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """One long proof.

    Attributes:
        name: Unique; the first column of the table.
        shows: What has been shown when it passes.
        command: Its words; ``harness``, ``pytest`` and modules of ``proofs`` are those of this Python.
        environment: Variables in addition to this process's.
        resume: Words that are added when it was broken off before; empty: it begins again.
    """

    name: str
    shows: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    resume: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """Return the command line as it is started."""
        modules = {"harness": "harness.commands.cli", "pytest": "pytest"}
        first, *others = self.command
        module = first if first.startswith("proofs.") else modules.get(first)
        return [sys.executable, "-m", module, *others] if module is not None else list(self.command)

    def shown(self) -> str:
        """Return the command line as a person types it."""
        command = ["python -m", *self.command] if self.command[0].startswith("proofs.") else list(self.command)
        return " ".join([*(f"{name}={value}" for name, value in self.environment.items()), *command])


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a proof ended: ``begun`` (and not ended), ``passed`` or ``failed``; with its last line and when."""

    state: str
    says: str = ""
    seconds: float = 0.0
    date: str = ""


def prove(
    proofs: Sequence[Proof],
    state: Path,
    commit: str,
    write: Callable[[str], None],
    page: Path = PAGE,
    *,
    wanted: Collection[str] = (),
) -> int:
    """Make every proof that has not passed at this commit; return 0 when all have, else 1.

    Args:
        proofs: All that there are, in the order in which they are made.
        state: Folder of the outcomes and of each proof's output.
        commit: As the table names it.
        write: Hears what goes on, one line at a time.
        page: Where the table is kept; rows of proofs that are not made stay as they are.
        wanted: Names of those to make; empty: all.
    """
    state.mkdir(parents=True, exist_ok=True)
    kept = state / f"{commit}.json"
    outcomes = _read(kept)
    chosen = [proof for proof in proofs if not wanted or proof.name in wanted]
    for number, proof in enumerate(chosen, 1):
        count = f"{number} of {len(chosen)}"
        before = outcomes.get(proof.name)
        if before is not None and before.state == "passed":
            write(f"{count}: {proof.name}: passed at this commit before ({before.date})")
            continue
        write(f"{count}: {proof.name}: {proof.shown()}")
        outcomes[proof.name] = Outcome(state="begun")
        _write(kept, outcomes)
        log = state / f"{commit}-{proof.name.replace(' ', '-')}.log"
        outcomes[proof.name] = _make(proof, log, resumed=before is not None and before.state == "begun")
        _write(kept, outcomes)
        outcome = outcomes[proof.name]
        write(f"{count}: {proof.name}: {outcome.state} after {outcome.seconds:.0f} s: {outcome.says}")
        if outcome.state != "passed":
            write(f"its output: {log}")
        page.write_text(table(page.read_text(encoding="utf-8"), proofs, outcomes, commit), encoding="utf-8")
    return 0 if all(outcomes[proof.name].state == "passed" for proof in chosen) else 1


def table(page: str, proofs: Sequence[Proof], outcomes: Mapping[str, Outcome], commit: str) -> str:
    """Return the page with its table brought up to date.

    A proof that has not ended at this commit keeps the row that it has; rows of proofs that do not exist go.
    """
    before, mark, after = page.partition(f"{HEAD}\n{RULE}\n")
    if not mark:
        raise ValueError("the page has no table of proofs")
    rows = list(itertools.takewhile(lambda line: line.startswith("|"), after.splitlines(keepends=True)))
    kept = {row.split("|")[1].strip(): row.rstrip("\n") for row in rows}
    lines = []
    for proof in proofs:
        outcome = outcomes.get(proof.name)
        if outcome is None or outcome.state == "begun":
            lines.append(kept.get(proof.name, _row(proof, "not made yet", "", "", "")))
        else:
            said = f"{outcome.state}: {outcome.says}"
            lines.append(_row(proof, said, _minutes(outcome.seconds), outcome.date, commit))
    return before + mark + "".join(f"{line}\n" for line in lines) + after.removeprefix("".join(rows))


def commit_of(root: Path) -> str:
    """Return the short hash of the commit, with ``-changed`` when files differ from it (the table's own aside)."""
    short = _git(root, "rev-parse", "--short=10", "HEAD")
    changed = [line for line in _git(root, "status", "--porcelain").splitlines() if not line.endswith("docs/proof.md")]
    return f"{short}-changed" if changed else short


def _make(proof: Proof, log: Path, *, resumed: bool) -> Outcome:
    began = time.monotonic()
    words = proof.words() + (list(proof.resume) if resumed else [])
    with log.open("a" if resumed else "w", encoding="utf-8") as file:
        done = subprocess.run(
            words, cwd=ROOT, env=os.environ | proof.environment, stdout=file, stderr=subprocess.STDOUT, check=False
        )
    said = [line.strip(" =") for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    last = next((line for line in reversed(said) if line), "no output")
    return Outcome(
        state="passed" if done.returncode == 0 else "failed",
        says=last[:160],
        seconds=round(time.monotonic() - began, 1),
        date=time.strftime("%Y-%m-%d", time.gmtime()),
    )


def _row(proof: Proof, said: str, took: str, date: str, commit: str) -> str:
    cells = [proof.name, proof.shows, f"`{proof.shown()}`", said, took, date, commit]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _read(path: Path) -> dict[str, Outcome]:
    if not path.exists():
        return {}
    return {name: Outcome(**kept) for name, kept in json.loads(path.read_text(encoding="utf-8")).items()}


def _write(path: Path, outcomes: Mapping[str, Outcome]) -> None:
    """Write whole or not at all: a proof that is broken off must not cost those before it."""
    made = path.with_suffix(".new")
    content = {name: asdict(outcome) for name, outcome in outcomes.items()}
    made.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    made.replace(path)


def _git(root: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-c", "safe.directory=*", *words], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()


def main(words: Sequence[str]) -> int:
    """Make the proofs named, or all."""
    from proofs.proofs import PROOFS

    parser = argparse.ArgumentParser(prog="make prove", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PROOF", help="default: all of them")
    wanted = parser.parse_args(words).names
    unknown = set(wanted) - {proof.name for proof in PROOFS}
    if unknown:
        parser.error(f"no such proof: {', '.join(sorted(unknown))}; known: {', '.join(p.name for p in PROOFS)}")
    state = ROOT / "reports" / "proofs"
    return prove(PROOFS, state, commit_of(ROOT), lambda line: print(line, flush=True), wanted=wanted)


if __name__ == "__main__":
    sys.path[0] = str(ROOT / "tests")  # not this folder: a module of it has its name
    sys.exit(main(sys.argv[1:]))
