"""What ``--where`` and ``--tag`` may ask of a plan. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from harness.errors import relative
from harness.runtime.contract import RUNTIMES
from harness.scenario.model import Plan
from harness.session.expression import Field, Value


def posix_file(file: str) -> str:
    """Return a path with ``/``, relative to the working directory where it lies below."""
    return PurePath(relative(Path(file))).as_posix()


def tags_of(plan: Plan) -> frozenset[str]:
    """Return the tags of a plan by which it is selected: those that are written, and its kind of broker."""
    return frozenset({*plan.tags, plan.broker_kind})


def values_of(plan: Plan, runtime: str) -> Mapping[str, Value]:
    """Return field → value of one plan."""
    cluster, workload = plan.cluster, plan.workload
    file = posix_file(plan.file)
    return {
        "scenario": frozenset({plan.scenario}),
        "file": frozenset({file}),
        "folder": frozenset({PurePath(file).parent.name}),
        "tag": tags_of(plan),
        "broker": frozenset({plan.broker}),
        "kind": frozenset({plan.broker_kind}),
        "fault": frozenset(fault.kind for fault in plan.timeline),
        "check": frozenset(expected.check for expected in plan.expect),
        "must_fail": frozenset(plan.must_fail),
        "variant": frozenset(f"{path}={value}" for path, value in plan.variant.items()),
        "runtime": frozenset({runtime}),
        "nodes": cluster.nodes,
        "replicas": cluster.replicas,
        "producers": workload.producers,
        "consumers": workload.consumers,
        "partitions": workload.partitions,
        "rate": workload.rate_per_s,
        "faults": len(plan.timeline),
        "seed": plan.seed,
        "warmup": workload.warmup_ns,
        "duration": workload.duration_ns,
        "drain": workload.drain_ns,
        "canary": bool(plan.must_fail),
        "race": plan.attempts is not None,
    }


def fields_of(plans: Iterable[Plan], words: Mapping[str, Iterable[str]]) -> Mapping[str, Field]:
    """Return name → field of everything that may be asked of these plans.

    Args:
        plans: Those that were selected; a word that none of them has is misspelled, unless it is registered.
        words: Field → words that are registered, in use or not (faults, checks, kinds of brokers).
    """
    known: dict[str, set[str]] = {name: set(registered) for name, registered in words.items()}
    kinds: dict[str, str] = {}
    for plan in plans:
        for name, value in values_of(plan, "auto").items():
            if isinstance(value, frozenset):
                kinds[name] = "words"
                known.setdefault(name, set()).update(value)
            elif isinstance(value, bool):
                kinds[name] = "yes or no"
            else:
                kinds[name] = "duration" if name in {"warmup", "duration", "drain"} else "number"
    known["runtime"] = {"auto", *RUNTIMES}
    return {
        name: Field(kind=kind, known=frozenset(known[name]) if kind == "words" else None)
        for name, kind in kinds.items()
    }
