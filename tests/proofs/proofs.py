"""The long proofs, in the order in which ``make prove`` makes them."""

from __future__ import annotations

from proofs.prove import Proof

_EVERY = ("-p", "no:cacheprovider", "--tier", "prove")

PROOFS = (
    Proof(
        name="scenarios as processes",
        shows="every gate passes, every canary fails for its declared check, every twin passes: 10 times of 10",
        command=(
            "harness",
            "suite",
            "scenarios",
            "--runtime",
            "process",
            "--repeat",
            "10",
            "--reports",
            "reports/proofs",
        ),
        resume=("--resume",),
    ),
    Proof(
        name="scenarios in containers",
        shows="the same in containers, 3 times of 3",
        command=(
            "harness",
            "suite",
            "scenarios",
            "--runtime",
            "docker",
            "--repeat",
            "3",
            "--reports",
            "reports/proofs",
        ),
        resume=("--resume",),
    ),
    Proof(
        name="side by side",
        shows="gates and canaries, side by side, have the verdicts that they have one after another: 3 times of 3",
        command=("pytest", *_EVERY, "tests/e2e/test_side_by_side.py"),
    ),
    Proof(
        name="sabotaged gates",
        shows="every gate, sabotaged, fails; every part of every rotation",
        command=("pytest", *_EVERY, "tests/e2e/test_scenarios.py"),
    ),
    Proof(
        name="every fault alone",
        shows="each fault alone on a cluster, on every broker, in both runtimes: with evidence, and without its effect",
        command=("pytest", "-n", "3", *_EVERY, "tests/conformance/test_faults_alone.py"),
    ),
    Proof(
        name="the checks",
        shows="100,000 valid runs without a finding; each mutation 1,000 times, found and named, by no other check",
        command=("proofs.checks",),
        environment={"PYTHONPATH": "tests"},
    ),
    Proof(
        name="mutants",
        shows="of 200 source mutants of checks and history, drawn by the commit, the fast tests notice 95 % at least",
        command=("proofs.mutants",),
        environment={"PYTHONPATH": "tests"},
    ),
    Proof(
        name="kills",
        shows="100 random SIGKILLs of the harness leave nothing, and no live run is harmed",
        command=("pytest", "-p", "no:cacheprovider", "tests/e2e/test_kill.py"),
        environment={"HARNESS_KILLS": "100"},
    ),
    Proof(
        name="a thousand runs",
        shows="a suite of 1,000 runs of the broker in memory: memory, store and page stay bounded",
        command=("pytest", *_EVERY, "tests/e2e/test_thousand_runs.py"),
    ),
    Proof(
        name="damaged run directories",
        shows="2,000 run directories with a file cut, changed, removed, added or exchanged: none is judged better",
        command=("pytest", "-p", "no:cacheprovider", "tests/property/test_damaged_run_directories.py"),
        environment={"HARNESS_MUTATIONS": "2000"},
    ),
    Proof(
        name="hostile inputs",
        shows="20,000 scenarios, run directories and ledgers, damaged or made up: no traceback, none takes more than 2 "
        "s of CPU time or 1 GiB, every error has its place",
        command=("pytest", "-p", "no:cacheprovider", "--timeout", "10800", "tests/property/test_fuzz.py"),
        environment={"HARNESS_FUZZ": "6700"},
    ),
    Proof(
        name="a planted regression",
        shows="a node slowed by 300 ms fails against five clean nights; five more clean nights do not",
        command=("pytest", *_EVERY, "tests/e2e/test_baseline.py"),
    ),
)
"""Each stands for itself, so that one that fails keeps no other one from being made."""
