"""From a variant to a plan: every random choice drawn from the seed, in absolute time.

Owns the derivation of seeds and the digest. Draws with SHA-256 alone, so that a plan is the same on every machine and
Python version.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from harness.errors import UsageError
from harness.scenario.entry import FaultEntry
from harness.scenario.head import SEED_MAX
from harness.scenario.model import LOOKED_UP, FaultEffects, Plan, PlannedFault
from harness.scenario.variant import Variant
from harness.units import OFF, Off


def make_plan(variant: Variant, seed: int | None = None) -> Plan:
    """Return the plan of a variant; equal variants and seeds give equal plans.

    Args:
        variant: What to plan.
        seed: Takes the place of the scenario's seed. When neither is given one is drawn and recorded in the plan.

    Raises:
        UsageError: When ``seed`` is out of range.
    """
    if seed is not None and not 0 <= seed <= SEED_MAX:
        raise UsageError(f"seed must be from 0 to {SEED_MAX}, not {seed}")
    chosen = next((given for given in (seed, variant.seed) if given is not None), None)
    if chosen is None:
        chosen = secrets.randbelow(2**32)
    faults = sorted((_plan_fault(entry, chosen) for entry in variant.faults), key=lambda fault: fault.at_ns)
    plan = Plan(
        scenario=variant.scenario,
        file=variant.file,
        title=variant.title,
        why=variant.why,
        tags=variant.tags,
        broker=variant.broker,
        broker_kind=variant.broker_kind,
        variant=dict(variant.labels),
        seed=chosen,
        cluster=variant.cluster,
        workload=variant.workload,
        timeline=tuple(faults),
        expect=variant.expect,
        must_fail=variant.must_fail,
        attempts=variant.attempts,
        topology=variant.topology,
        digest="",
    )
    return replace(plan, digest=digest(plan))


def derive(seed: int, *names: str) -> int:
    """Return a 53-bit integer drawn from the seed for one named purpose; the same everywhere, forever."""
    text = "/".join((str(seed), *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11


def digest(plan: Plan) -> str:
    """Return the SHA-256 (hex) of everything in a plan but its file, its digest and what follows from its broker."""
    content = canonical(plan)
    for name in ("file", "broker_kind", "topology", "digest"):
        del content[name]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def canonical(value: Any) -> Any:
    """Return dataclasses, mappings and tuples as JSON-compatible dicts and lists, fields under their own names.

    A field marked ``later`` is left out while it has its default: what was planned before it existed is the same plan.
    One marked ``follows`` is left out because it follows from another one.
    """
    if isinstance(value, Off):
        return OFF
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: canonical(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not (field.metadata.get("later") and getattr(value, field.name) == field.default)
            and not field.metadata.get("follows")
        }
    if isinstance(value, Mapping):
        return {str(key): canonical(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [canonical(item) for item in value]
    return value


def as_json(plan: Plan) -> dict[str, Any]:
    """Return every field of a plan as JSON has it; a limit that is switched off is the word ``off``."""
    content = _with_off_in_words(dataclasses.asdict(plan))
    assert isinstance(content, dict)
    return content


def _with_off_in_words(value: Any) -> Any:
    if isinstance(value, Off):
        return OFF
    if isinstance(value, dict):
        return {key: _with_off_in_words(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_off_in_words(item) for item in value]
    return value


def declared_ns(plan: Plan) -> int:
    """Return the longest time the scenario itself asks for: warm-up, timeline and drain, nanoseconds."""
    return plan.workload.warmup_ns + plan.workload.duration_ns + plan.workload.drain_ns


def variant_label(plan: Plan) -> str:
    """Return ``broker=nats-2, workload.rate=100/s``; empty without a matrix."""
    return ", ".join(f"{path}={value}" for path, value in plan.variant.items())


def _plan_fault(entry: FaultEntry, seed: int) -> PlannedFault:
    targets = entry.candidates
    if entry.on.mode == "random":
        targets = (targets[derive(seed, entry.id, "target") % len(targets)],)
    elif entry.on.mode in LOOKED_UP:
        targets = ()
    return PlannedFault(
        id=entry.id,
        kind=entry.kind,
        options=entry.options,
        on=entry.on,
        targets=targets,
        at_ns=entry.at_ns,
        until_ns=entry.until_ns,
        seed=derive(seed, entry.id),
        partitions_added=entry.partitions_added,
        cuts_links=entry.cuts_links,
        when=entry.when,
        unreplayable=entry.unreplayable,
        **{field.name: getattr(entry, field.name) for field in dataclasses.fields(FaultEffects)},
    )
