"""What an application of a variant may say: the words of its command, and what goes together with it, and with what is
expected of it.

Owns the located errors of ``workload.consumer.application`` beyond types. Starts nothing and looks for no program.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.scenario import tree
from harness.scenario.application import OWN_WORDS, Application, application_of, shown_by, unknown_words
from harness.scenario.expectations import metric_specs, switched_off
from harness.scenario.model import Cluster, Plan, Workload
from harness.scenario.nodes import child, deepest
from harness.scenario.plugins import BrokerSpec, Vocabulary
from harness.scenario.reader import NodeReader

_PLACE = ("workload", "consumer", "application")


def check_application(
    root: tree.Mapping, cluster: Cluster, workload: Workload, spec: BrokerSpec | None, reader: NodeReader
) -> None:
    """Report what does not fit of an application."""
    application = application_of(workload.consumer)
    if application is None or spec is None:
        return
    node = deepest(root, *_PLACE)
    if not application.command or not application.command[0].strip():
        reader.add(deepest(node, "command").at, "workload.consumer.application.command must name a program")
    if cluster.image:
        message = "applications run with processes alone so far, and cluster.image takes containers"
        reader.add(deepest(root, "cluster", "image").at, message, "leave cluster.image out")
    if application.shows not in spec.application_shows:
        known = ", ".join(spec.application_shows) or "none"
        message = f"an application of this broker cannot show {application.shows} so far"
        reader.add(deepest(node, "shows").at, message, f"known: {known}")
    words = {**OWN_WORDS, **broker_words(spec, cluster, workload, ())}
    if application.shows != "lines":
        del words["report"]
    _check_words(node, application, words, reader)
    if application.ready.line and application.ready.http:
        reader.add(deepest(node, "ready", "http").at, "ready names a line and an address: one of them decides")
    if application.ready.http and not application.ready.http.startswith("http://"):
        message = f"ready.http must begin with http://, not {application.ready.http!r}"
        reader.add(deepest(node, "ready", "http").at, message, "e.g. http://127.0.0.1:{port}/ready")
    if getattr(workload.consumer, "client", ""):
        at = deepest(root, "workload", "consumer", "client").at
        reader.add(at, "client is the library of the reference consumer, and an application has its own")


def check_expectations(root: tree.Mapping, consumer: object, vocabulary: Vocabulary, reader: NodeReader) -> None:
    """Report checks and limits that what an application shows gives nothing to judge by: the run would never pass."""
    expect = root.get("expect")
    if shown_by(consumer) != "commits" or not isinstance(expect, tree.Mapping):
        return
    for entry in expect.entries:
        check = entry.key.text
        if check not in vocabulary.checks or switched_off(expect, check):
            continue
        judged = vocabulary.by_positions.get(check, frozenset())
        if not judged:
            known = ", ".join(sorted(vocabulary.by_positions))
            message = f"{check} is not judged with shows: commits, which says nothing of single messages"
            reader.add(entry.key.at, message, f"judged there: {known}; or shows: lines")
            continue
        given = {item.key.text for item in entry.value.entries} if isinstance(entry.value, tree.Mapping) else set()
        for spec in metric_specs(vocabulary.checks[check]):
            if spec.yaml in given and spec.name not in judged:
                at = deepest(entry.value, spec.yaml).at
                reader.add(at, f"{check}.{spec.yaml} is not judged with shows: commits", "leave it out")


def broker_words(spec: BrokerSpec, cluster: Cluster, workload: Workload, owned: tuple[int, ...]) -> Mapping[str, str]:
    """Return the broker's own words, for an application in the place of a consumer that owns these partitions."""
    return {} if spec.application_words is None else spec.application_words(cluster, workload, owned)


def words_before(plan: Plan, spec: BrokerSpec, worker: str, owned: tuple[int, ...]) -> Mapping[str, str]:
    """Return what of an application's words is known before a run begins."""
    return {"member": worker, **broker_words(spec, plan.cluster, plan.workload, owned)}


def _check_words(node: tree.Node, application: Application, known: Mapping[str, str], reader: NodeReader) -> None:
    command, env = child(node, "command"), child(node, "env")
    items = command.items if isinstance(command, tree.Sequence) else ()
    written = list(zip(items, application.command, strict=False))
    written += [
        (entry.value, application.env.get(entry.key.text, ""))
        for entry in (env.entries if isinstance(env, tree.Mapping) else ())
    ]
    ready = application.ready
    written += [(deepest(node, "ready", name), text) for name, text in (("line", ready.line), ("http", ready.http))]
    for item, text in written:
        for word, hint in unknown_words(text, known):
            reader.add(item.at, f"a run fills in no {{{word}}}", hint)
