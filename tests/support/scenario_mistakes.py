"""Mistakes in scenarios: what is written, and where and how it must be told. Uses the words of vocabulary.py."""

from __future__ import annotations

BASE = """\
version: 1
title: Clients ride out 50 ms
why: Because.
tags: [gate]
broker: nats-2
seed: 7
cluster: {nodes: 3, replicas: 3}
workload: {producers: 2, consumers: 4, partitions: 4, duration: 60s}
faults:
  - latency: {delay: 50ms}
    on: {link: client-broker}
    at: 10s
    for: 40s
expect:
  loss: {messages_max: 0}
"""
FAULTS = BASE[BASE.index("faults:") : BASE.index("expect:")]
TO_AT = BASE[BASE.index("broker: nats-2") : BASE.index("    for: 40s")]
"""From the broker to the fault's time: what changes when a state takes the place of the time, on the other broker."""

KAFKA_UNTIL = TO_AT.replace("nats-2", "kafka-4").replace("    at: 10s\n", "")
SECOND = "    for: 40s\n  - kill: {}\n    on: {node: n1}\n"
LATENCY = "  - latency: {delay: 50ms}\n    on: {link: client-broker}\n"

# (what is replaced, by what, message fragment, hint fragment); « marks the place that must be told.
CASES: dict[str, tuple[str, str, str, str]] = {
    "unknown top-level key": ("seed: 7", "«sede: 7", "unknown key 'sede' at the top level", "'seed'"),
    "unknown key": ("producers: 2", "«producer_count: 2", "unknown key 'producer_count' in workload", "'producer'"),
    "duplicate key": ("seed: 7", "seed: 7\n«seed: 8", "'seed' is written twice", "first in line 6"),
    "duplicate key inside": ("nodes: 3", "nodes: 3, «nodes: 1", "'nodes' is written twice", "line 7"),
    "version": ("version: 1", "version: «2", "version must be 1, not '2'", ""),
    "version as text": ("version: 1", 'version: «"1"', "version must be 1", ""),
    "missing version": ("version: 1\n", "«", "the scenario needs 'version'", "version: 1"),
    "missing title": ("version: 1\ntitle: Clients ride out 50 ms", "«version: 1", "needs 'title'", "One line"),
    "empty title": ("Clients ride out 50 ms", '«" "', "title must not be empty", ""),
    "title without a value": ("title: Clients ride out 50 ms", "«title:", "title must be text, not nothing", ""),
    "title is a number": ("Clients ride out 50 ms", "«12", "title must be text, not a whole number ('12')", "quote"),
    "tags are a word": ("tags: [gate]", "tags: «gate", "tags must be a list", "write [gate]"),
    "tag with a line break": ("[gate]", '[«"gate\\n"]', "must be a word", ""),
    "broker with a line break": ("broker: nats-2", 'broker: «"nats-2.1.1\\n"', "neither an alias", ""),
    "tag with a space": ("[gate]", "[gate, «Night ly]", "tag 'Night ly' must be a word", ""),
    "missing expect": (BASE[BASE.index("version") :], "«version: 1\ntitle: T\nbroker: nats-2\n", "needs 'expect'", ""),
    "missing broker": ("version: 1\n", "«version: 1\n# broker", "", ""),
    "unknown broker": ("broker: nats-2", "broker: «natz-2", "unknown broker 'natz-2'", "'nats-2'"),
    "broker without version": ("broker: nats-2", "broker: «nats", "unknown broker 'nats'", "'nats-2'"),
    "broker version": ("broker: nats-2", "broker: «nats-2.12", "neither an alias of nats nor", "'nats-2.11'"),
    "broker version with letters": ("broker: nats-2", "broker: «nats-2.1.x", "neither an alias", "nats-2.12.1"),
    "broker is a number": ("broker: nats-2", "broker: «2", "broker must be text", "quote it"),
    "seed is a word": ("seed: 7", "seed: «seven", "seed must be a whole number", ""),
    "seed is negative": ("seed: 7", "seed: «-7", "seed must be a whole number from 0", ""),
    "seed is true": ("seed: 7", "seed: «true", "seed must be a whole number", ""),
    "cluster is a list": (
        "cluster: {nodes: 3, replicas: 3}",
        "cluster: «[3]",
        "cluster must be a mapping, not a list",
        "",
    ),
    "nodes is text": ("nodes: 3", "nodes: «three", "cluster.nodes must be a whole number, not text ('three')", ""),
    "nodes is true": ("nodes: 3", "nodes: «true", "must be a whole number, not true or false ('true')", ""),
    "nodes is a fraction": ("nodes: 3", "nodes: «3.0", "must be a whole number, not a number ('3.0')", ""),
    "nodes quoted": ("nodes: 3", "nodes: «'3'", "must be a whole number, not text", ""),
    "nodes is zero": ("nodes: 3", "nodes: «0", "cluster.nodes must be at least 1, not 0", ""),
    "broker cannot run with": ("nodes: 3", "nodes: «4", "nats-2 does not run with 4 nodes", "known: 1, 3, 5"),
    "too many replicas": ("replicas: 3", "replicas: «5", "5 replicas do not fit on 3 nodes", ""),
    "broker's own rule": ("cluster: {nodes: 3, replicas: 3}", "cluster: «{nodes: 3, replicas: 2}", "no majority", ""),
    "broker option": (
        "replicas: 3",
        "replicas: 3, topic: {storage: «disk}",
        "one of file, memory, not 'disk'",
        "known: file",
    ),
    "other broker's option": (
        "replicas: 3",
        "replicas: 3, topic: {«min_insync_replicas: 2}",
        "unknown key 'min_insync_replicas' in cluster.topic",
        "storage",
    ),
    "quantity below its minimum": (
        "replicas: 3",
        "replicas: 3, topic: {duplicate_window: «1ms}",
        "cluster.topic.duplicate_window must be at least 100ms, not 1ms",
        "",
    ),
    "config is a word": ("replicas: 3", "replicas: 3, config: «fast", "cluster.config must be a mapping", ""),
    "bare number": ("duration: 60s", "duration: «60", "60 has no unit: every quantity carries one", "e.g. 50ms"),
    "wrong unit": ("duration: 60s", "duration: «60sec", "'60sec' is not a duration", ""),
    "unit of another kind": ("duration: 60s", "duration: 60s, payload: «2s", "'2s' is not a size", ""),
    "payload too small": (
        "duration: 60s",
        "duration: 60s, payload: «39B",
        "workload.payload must be at least 40B, not 39B",
        "",
    ),
    "bare rate": ("duration: 60s", "duration: 60s, rate: «500", "workload.rate: 500 has no unit", "2000/s"),
    "negative quantity": ("duration: 60s", "duration: «-60s", "must not be negative", ""),
    "zero duration": ("duration: 60s", "duration: «0s", "workload.duration must be more than 0, not 0s", ""),
    "too long": ("duration: 60s", "duration: «200h", "workload.duration must be at most 168h, not 200h", ""),
    "finer than the base unit": ("duration: 60s", "duration: «0.5ns", "finer than the smallest duration unit", ""),
    "absurd number": ("duration: 60s", f"duration: «{'9' * 400}s", "the number is too large", ""),
    "zero partitions": ("partitions: 4", "partitions: «0", "workload.partitions must be at least 1", ""),
    "zero producers": ("producers: 2", "producers: «0", "workload.producers must be at least 1", ""),
    "absurd worker count": ("consumers: 4", "consumers: «1000000000", "must be at most 256", ""),
    "keys for no producer": ("partitions: 4", "partitions: 4, keys: «1", "2 producers cannot share 1 keys", "keys: 2"),
    "client option": ("partitions: 4", "partitions: 4, consumer: {ack: «nome}", "explicit, none, not 'nome'", "'none'"),
    "list item": (
        "partitions: 4",
        "partitions: 4, consumer: {backoff: [1s, «2]}",
        "workload.consumer.backoff.1: 2 has no unit",
        "50ms",
    ),
    "zone with unknown worker": (
        "partitions: 4",
        "partitions: 4, zones: {far: [c0, «c9]}",
        "unknown worker 'c9'",
        "'c3'",
    ),
    "worker in two zones": (
        "partitions: 4",
        "partitions: 4, zones: {far: [c0], near: [«c0]}",
        "worker c0 is in zone 'far' and in zone 'near'",
        "",
    ),
    "reserved zone": ("partitions: 4", "partitions: 4, zones: {«clients: [c0]}", "'clients' is the one of all", ""),
    "zone name": ("partitions: 4", "partitions: 4, zones: {«Far: [c0]}", "zone 'Far' must be a word", ""),
    "zone named like a node": ("partitions: 4", "partitions: 4, zones: {«n1: [c0]}", "named like a node", ""),
    "empty zone": ("partitions: 4", "partitions: 4, zones: {far: «[]}", "zone 'far' has no workers", "p0, p1"),
    "faults are a mapping": (FAULTS, "faults: «{latency: {}}\n", "faults must be a list", ""),
    "fault is a word": (FAULTS, "faults:\n  - «latency\n", "faults.0 must be a mapping", ""),
    "unknown fault": ("- latency:", "- «latencey:", "unknown fault 'latencey'", "'latency'"),
    "no fault": (
        "- latency: {delay: 50ms}\n    on:",
        "- «on:",
        "faults.0 names no fault",
        "bandwidth, client_block, client_join",
    ),
    "two faults": (
        "    on: {link: client-broker}",
        "    «bandwidth: {rate: 5/s}\n    on: {link: client-broker}",
        "one entry holds one fault, not latency and bandwidth",
        "second entry",
    ),
    "missing option": ("{delay: 50ms}", "«{jitter: 5ms}", "faults.0.latency needs 'delay'", "delay: 50ms"),
    "missing options": ("latency: {delay: 50ms}", "«latency:", "faults.0.latency needs 'delay'", "a duration"),
    "options are a word": ("{delay: 50ms}", "«50ms", "faults.0.latency must be a mapping, not text", "delay"),
    "unknown option": (
        "{delay: 50ms}",
        "{delay: 50ms, «jiter: 5ms}",
        "unknown key 'jiter' in faults.0.latency",
        "'jitter'",
    ),
    "option word": ("{delay: 50ms}", "{delay: 50ms, direction: «dwn}", "one of both, down, up, not 'dwn'", "'down'"),
    "zero option": ("{delay: 50ms}", "{delay: «0ms}", "faults.0.latency.delay must be more than 0", ""),
    "fault's own rule": ("{delay: 50ms}", "«{delay: 50ms, jitter: 60ms}", "the jitter is larger than the delay", ""),
    "missing on": ("    on: {link: client-broker}\n", "", "faults.0 needs 'on'", "Where it acts"),
    "missing at": ("    at: 10s\n", "", "faults.0 needs 'at'", "at: 5s"),
    "missing for": ("    for: 40s\n", "", "faults.0 needs 'for': latency does not end by itself", "for: 5s"),
    "bare at": ("at: 10s", "at: «10", "faults.0.at: 10 has no unit", "50ms"),
    "negative at": ("at: 10s", "at: «-1s", "faults.0.at must not be negative", ""),
    "zero for": ("for: 40s", "for: «0s", "faults.0.for must be more than 0", ""),
    "for where it ends itself": (
        LATENCY,
        "  - restart:\n    on: {node: n1}\n",
        "restart ends by itself: 'for' is not written",
        "leave 'for' out",
    ),
    "fault outlasts the workload": ("for: 40s", "for: «51s", "latency from 10s to 61s outlasts the workload's 60s", ""),
    "self-ending fault outlasts": (
        LATENCY + "    at: 10s\n    for: 40s",
        "  - «restart:\n    on: {node: broker}\n    at: 50s",
        "restart from 50s to 65s at worst outlasts the workload's 60s",
        "start it earlier",
    ),
    "target is a word": ("{link: client-broker}", "«client-broker", "faults.0.on must be a mapping", "node"),
    "empty target": ("{link: client-broker}", "«{}", "names no link: latency acts on a link", "{link: client-broker}"),
    "wrong kind of target": ("{link: client-broker}", "{«node: n1}", "latency acts on a link, not on a node", "link:"),
    "two targets": ("{link: client-broker}", "{link: client-broker, «worker: c0}", "names link and worker", ""),
    "unknown target key": (
        "{link: client-broker}",
        "{«lnk: client-broker}",
        "unknown key 'lnk' in faults.0.on",
        "'link'",
    ),
    "unknown link": ("{link: client-broker}", "{link: «clients->n4}", "unknown link 'clients->n4'", "'clients->n"),
    "unknown node": (LATENCY, "  - kill:\n    on: {node: «n9}\n", "unknown node 'n9'", "'n3'"),
    "unknown worker": (LATENCY, "  - client_kill:\n    on: {worker: «c7}\n", "unknown worker 'c7'", "'c3'"),
    "unknown zone": ("{link: client-broker}", "{link: client-broker, zone: «far}", "unknown zone 'far'", "clients"),
    "zone of a peer link": (
        "{link: client-broker}",
        "{link: broker-broker, zone: «clients}",
        "zones belong to clients",
        "",
    ),
    "zone of one link": ("{link: client-broker}", "{link: n1->n2, zone: «clients}", "'zone' narrows a group", ""),
    "zone of a node": (LATENCY, "  - kill:\n    on: {node: broker, zone: «clients}\n", "zones belong to clients", ""),
    "mode": ("{link: client-broker}", "{link: client-broker, mode: «al}", "one of all, one, random, leader", "'all'"),
    "mode of one node": (
        LATENCY,
        "  - kill:\n    on: {node: n1, mode: «leader}\n",
        "'mode' narrows a group",
        "'mode' out",
    ),
    "leader of workers": (
        LATENCY,
        "  - client_kill:\n    on: {worker: consumer, mode: «leader}\n",
        "workers have no leader",
        "all, one, random",
    ),
    "coordinator of workers": (
        LATENCY,
        "  - client_kill:\n    on: {worker: consumer, mode: «coordinator}\n",
        "workers have no coordinator",
        "known: all, one, random",
    ),
    "coordinator without groups": (
        "{link: client-broker}",
        "{link: client-broker, mode: «coordinator}",
        "mode coordinator: nats-2 does not have consumer groups",
        "known: kafka",
    ),
    "mode coordinator misspelt": (
        "{link: client-broker}",
        "{link: client-broker, mode: «cordinator}",
        "not 'cordinator'",
        "'coordinator'",
    ),
    "partition without leaders": (
        "{link: client-broker}",
        "{link: client-broker, mode: leader, partition: «1}",
        "partition: nats-2 does not give each partition a leader",
        "known: kafka",
    ),
    "partition without mode": (
        "{link: client-broker}",
        "{link: client-broker, partition: «1}",
        "'partition' does not go with mode all",
        "mode: leader",
    ),
    "partition of one node": (
        LATENCY,
        "  - kill:\n    on: {node: n1, partition: «0}\n",
        "'partition' narrows a group, but n1 is one node",
        "leave 'partition' out",
    ),
    "partition misspelt": (
        "{link: client-broker}",
        "{link: client-broker, mode: leader, «partitions: 1}",
        "unknown key 'partitions' in faults.0.on",
        "'partition'",
    ),
    "unknown partition": (
        BASE[BASE.index("broker: nats-2") : BASE.index("    at:")],
        (
            "broker: kafka-4\nworkload: {duration: 60s, partitions: 4}\nfaults:\n  - latency: {delay: 50ms}\n"
            "    on: {link: client-broker, mode: leader, partition: «4}\n"
        ),
        "unknown partition 4",
        "known: 0 to 3",
    ),
    "fault the broker cannot": (
        BASE[BASE.index("  - latency") : BASE.index("expect")],
        "  - «add_partitions: {count: 2}\n    at: 10s\n",
        "add_partitions: nats-2 does not add partitions to a topic in use",
        "known: kafka",
    ),
    "on where there is one topic": (
        BASE[BASE.index("broker: nats-2") : BASE.index("expect")],
        (
            "broker: kafka-4\nworkload: {duration: 60s}\nfaults:\n  - add_partitions: {count: 2}\n"
            "    on: «{node: broker}\n    at: 10s\n"
        ),
        "add_partitions acts on the topic: 'on' is not written",
        "leave 'on' out",
    ),
    "fault misspelt": (
        LATENCY,
        "  - «client_blok:\n    on: {worker: c0}\n",
        "unknown fault 'client_blok'",
        "'client_block'",
    ),
    "handler of a producer": (
        LATENCY,
        "  - client_block:\n    on: {worker: «p0}\n",
        "p0 has no handler",
        "{worker: consumer}",
    ),
    "handler of producers": (
        LATENCY,
        "  - client_block:\n    on: {worker: «producer}\n",
        "producer has no handler",
        "{worker: consumer}",
    ),
    "fault on who is not there yet": (
        BASE[BASE.index("  - latency") : BASE.index("expect")],
        (
            "  - client_kill:\n    on: {worker: consumer}\n    at: 5s\n    for: 1s\n"
            "  - client_join:\n    on: {worker: c1}\n    at: «9s\n"
        ),
        "client_kill-1 acts on c1 before client_join-2 has started it",
        "not before 11s",
    ),
    "joins twice": (
        BASE[BASE.index("  - latency") : BASE.index("expect")],
        "  - client_join:\n    on: {worker: c1}\n    at: 5s\n  - client_join:\n    on: {worker: c1}\n    at: «9s\n",
        "c1 joins twice: by client_join-1 and client_join-2",
        "a worker joins once",
    ),
    "no consumer at first": (
        BASE[BASE.index("  - latency") : BASE.index("expect")],
        "  - client_join:\n    on: «{worker: consumer}\n    at: 5s\n",
        "every consumer would join later",
        "{worker: c1}",
    ),
    "no peers": (
        "cluster: {nodes: 3, replicas: 3}\n"
        + BASE[BASE.index("workload") : BASE.index("    on:")]
        + "    on: {link: client-broker}",
        (
            "cluster: {nodes: 1}\nworkload: {duration: 60s}\nfaults:\n"
            "  - latency: {delay: 1ms}\n    on: {link: «broker-broker}"
        ),
        "there is no broker-broker link with 1 node",
        "",
    ),
    "at and when": (
        "    at: 10s\n",
        "    at: 10s\n    when: «{group: stable, within: 5s}\n",
        "both 'at' and 'when'",
        "leave",
    ),
    "when is a word": ("at: 10s", "when: «stable", "faults.0.when must be a mapping", "e.g. {group: …"),
    "when names no state": (
        "at: 10s",
        "when: «{within: 5s}",
        "faults.0.when names no state",
        "one of group, leader_of",
    ),
    "when names two states": (
        "at: 10s",
        'when: {backlog: "> 1", «processed: "> 2", within: 5s}',
        "waits for one state, not for backlog and processed",
        "keep one",
    ),
    "when misspelt": ("at: 10s", "when: {«grup: stable, within: 5s}", "unknown key 'grup' in faults.0.when", "'group'"),
    "when without within": ("at: 10s", "when: «{processed: '> 2'}", "faults.0.when needs 'within'", "within: 50ms"),
    "when within nothing": (
        "at: 10s",
        "when: {processed: '> 2', within: «0s}",
        "faults.0.when.within must be more than 0",
        "",
    ),
    "group without groups": (
        "at: 10s",
        "when: {group: «stable, within: 5s}",
        "when group: nats-2 does not have consumer groups",
        "known: kafka",
    ),
    "group state misspelt": (
        TO_AT,
        KAFKA_UNTIL + "    when: {group: «preparing, within: 5s}\n",
        "faults.0.when.group must be one of preparing_rebalance",
        "'preparing_rebalance'",
    ),
    "group state of another protocol": (
        TO_AT,
        KAFKA_UNTIL + "    when: {group: «reconciling, within: 5s}\n",
        "a group of this protocol is never reconciling",
        "known: preparing_rebalance",
    ),
    "leader_of where there is one for all": (
        "at: 10s",
        "when: {leader_of: «1, within: 5s}",
        "leader_of: nats-2 does not give each partition a leader of its own",
        "or leader_of: 0",
    ),
    "leader_of a partition too many": (
        TO_AT,
        KAFKA_UNTIL + "    when: {leader_of: «4, within: 5s}\n",
        "unknown partition 4",
        "known: 0 to 3",
    ),
    "leader_of is an unknown node": (
        "at: 10s",
        "when: {leader_of: 0, is: «n4, within: 5s}",
        "unknown node 'n4'",
        "",
    ),
    "leader_of is misspelt": ("at: 10s", "when: {leader_of: 0, is: «move, within: 5s}", "'move'", "'moved'"),
    "is without leader_of": (
        "at: 10s",
        "when: {processed: '> 2', «is: n1, within: 5s}",
        "'is' goes with leader_of, not with processed",
        "leave 'is' out",
    ),
    "comparison without a sign": (
        "at: 10s",
        "when: {backlog: «'1000', within: 5s}",
        "faults.0.when.backlog: '1000' is not a comparison",
        '"> 1000"',
    ),
    "comparison that is a number": (
        "at: 10s",
        "when: {backlog: «1000, within: 5s}",
        "faults.0.when.backlog must be text, not a whole number",
        "",
    ),
    "after no fault": (
        "    for: 40s\n",
        SECOND + "    when: {after: «latency-2, within: 55s}\n    for: 2s\n",
        "unknown fault id 'latency-2'",
        "'latency-1'",
    ),
    "after itself": (
        "at: 10s",
        "when: {after: «latency-1, within: 5s}",
        "a fault cannot wait for itself: latency-1 after latency-1",
        "at: 5s",
    ),
    "after in a circle": (
        "    at: 10s\n    for: 40s\n",
        (
            "    when: {after: «kill-2, within: 20s}\n    for: 2s\n  - kill: {}\n    on: {node: n1}\n"
            "    when: {after: latency-1, within: 20s}\n    for: 2s\n"
        ),
        "latency-1 after kill-2 after latency-1",
        "give one of them a time",
    ),
    "after, but within too little": (
        "    for: 40s\n",
        SECOND + "    when: «{after: latency-1, within: 49s}\n    for: 2s\n",
        "latency-1 may last until 50s, past the 49s allowed",
        "within: 50s or more",
    ),
    "when outlasts the workload": (
        "    at: 10s\n    for: 40s\n",
        "    when: {processed: '> 5', delay: 1s, within: 20s}\n    for: «40s\n",
        "latency from 21s to 61s at worst outlasts the workload's 60s",
        "start it earlier",
    ),
    "when may overlap": (
        "    for: 40s\n",
        (
            "    for: 40s\n  - latency: {delay: 9ms}\n    on: {link: clients->n2}\n"
            "    when: «{processed: '> 5', within: 12s}\n    for: 5s\n"
        ),
        "latency-2 may overlap latency-1 on clients->n2 from 10s to 17s",
        "one fault of a kind at a time",
    ),
    "id that is no word": ("at: 10s", "id: «Slow!\n    at: 10s", "id 'Slow!' must be a word", ""),
    "id twice": (
        "    for: 40s\n",
        SECOND + "    id: «latency-1\n    at: 1s\n    for: 2s\n",
        "two faults have the id 'latency-1'",
        "take another word",
    ),
    "overlap": (
        "    for: 40s\n",
        "    for: 40s\n  - latency: {delay: 9ms}\n    on: {link: clients->n2}\n    at: «49s\n    for: 5s\n",
        "latency-2 overlaps latency-1 on clients->n2 from 49s to 50s",
        "one fault of a kind at a time",
    ),
    "possible overlap": (
        "    for: 40s\n",
        (
            "    for: 40s\n"
            "  - latency: {delay: 9ms}\n    on: {link: client-broker, mode: random}\n    at: «10s\n    for: 1s\n"
        ),
        "latency-2 may overlap latency-1 on clients->n1, clients->n2, clients->n3 from 10s to 11s",
        "",
    ),
    "limits of cores": (LATENCY, "  - cpu: {limit: «0.01cores}\n    on: {node: n1}\n", "at least 0.05cores", ""),
    "plain number as text": (
        LATENCY,
        "  - cpu: {limit: 1core, weight: «x}\n    on: {node: n1}\n",
        "must be a number",
        "",
    ),
    "true or false": (LATENCY, "  - kill: {again: «yes}\n    on: {node: n1}\n", "true or false, not text ('yes')", ""),
    "expect is a list": ("expect:\n  loss: {messages_max: 0}", "expect: «[loss]", "expect must be a mapping", "loss"),
    "expect without a value": ("expect:\n  loss: {messages_max: 0}", "«expect:", "expect must be a mapping", "loss"),
    "expect is empty": ("expect:\n  loss: {messages_max: 0}", "expect: «{}", "at least one check", "order"),
    "unknown check": ("  loss:", "  «los:", "unknown check 'los'", "'loss'"),
    "unknown metric": (
        "messages_max: 0",
        "«message_max: 0",
        "unknown key 'message_max' in expect.loss",
        "'messages_max'",
    ),
    "ratio without unit": ("loss: {messages_max: 0}", "duplicates: {ratio_max: «0.1}", "0.1 has no unit", "0.1%"),
    "ratio above one": ("loss: {messages_max: 0}", "duplicates: {ratio_max: «101%}", "at most 100%", ""),
    "missing limit": ("loss: {messages_max: 0}", "latency: «{during: run}", "expect.latency needs 'p99_max'", "50ms"),
    "every limit off": (
        "loss: {messages_max: 0}",
        "stall: «{pause_max: off, collateral_max: off}",
        "every limit of stall is off, so it would judge nothing",
        "leave the check out",
    ),
    "a check off that does not count by itself": (
        "loss: {messages_max: 0}",
        "order: {}\n  loss: «off",
        "loss counts only where expect names it, so leave it out",
        "stall",
    ),
    "nothing but off": (
        "expect:\n  loss: {messages_max: 0}",
        "expect:\n  «stall: off",
        "expect must name at least one check that is not off",
        "",
    ),
    "must_fail of what is off": (
        "expect:",
        "must_fail: [«stall]\nexpect:\n  stall: off",
        "must_fail names 'stall', which expect switches off",
        "",
    ),
    "off where there is always a limit": (
        "loss: {messages_max: 0}",
        "loss: {messages_max: «off}",
        "expect.loss.messages_max must be a whole number",
        "",
    ),
    "must_fail of the unexpected": (
        "expect:",
        "must_fail: [«order]\nexpect:",
        "names 'order', which expect does not",
        "loss",
    ),
    "must_fail twice": ("expect:", "must_fail: [loss, «loss]\nexpect:", "must_fail names 'loss' twice", ""),
    "must_fail is a word": ("expect:", "must_fail: «loss\nexpect:", "must_fail must be a list", "write [loss]"),
    "attempts": ("expect:", "attempts: {runs: 3, at_least: «4}\nexpect:", "4 is more than the 3 runs", ""),
    "attempts without runs": ("expect:", "attempts: «{at_least: 4}\nexpect:", "attempts needs 'runs'", "Number of"),
    "no attempts at all": (
        "expect:",
        "attempts: {runs: «0, at_least: 1}\nexpect:",
        "attempts.runs must be at least 1",
        "",
    ),
    "matrix is a list": (
        "seed: 7",
        "matrix: «[a]",
        "matrix must be a mapping",
        "e.g. matrix: {broker: [nats-2, kafka-4]}",
    ),
    "matrix is empty": (
        "seed: 7",
        "matrix: «{}",
        "matrix must be a mapping",
        "e.g. matrix: {broker: [nats-2, kafka-4]}",
    ),
    "matrix path": ("seed: 7", "matrix: {«workloads.rate: [1/s]}", "cannot vary 'workloads.rate'", "'workload'"),
    "matrix of titles": ("seed: 7", "matrix: {«title: [a, b]}", "cannot vary 'title'", "known: attempts"),
    "matrix values": ("seed: 7", "matrix: {workload.rate: «5/s}", "must be a list of at least one value", "[5/s]"),
    "matrix without values": ("seed: 7", "matrix: {workload.rate: «[]}", "must be a list of at least one", ""),
    "matrix value twice": ("seed: 7", "matrix: {seed: [1, «1]}", "matrix.seed has the value 1 twice", ""),
    "matrix with an empty step": ("seed: 7", "matrix: {«workload..rate: [1/s]}", "has an empty step", ""),
    "matrix index": ("seed: 7", "matrix: {«faults.1.at: [1s]}", "no position '1' in the list", "positions 0 to 0"),
    "matrix below a word": ("seed: 7", "matrix: {«broker.version: [1]}", "nothing lies below 'nats-2'", ""),
    "matrix key": ("seed: 7", "matrix: {«workload.rat: [1/s]}", "unknown key 'rat' in workload", "'rate'"),
    "matrix value": ("seed: 7", "matrix: {workload.rate: [1/s, «5]}", "workload.rate: 5 has no unit", "2000/s"),
    "matrix broker": ("broker: nats-2", "matrix: {broker: [nats-2, «kafka-9]}", "neither an alias of kafka", "kafka-4"),
    "matrix too large": (
        "seed: 7",
        f"matrix: «{{seed: {list(range(30))}, workload.keys: {list(range(2, 32))}}}",
        "the matrix has 900 variants, more than 500",
        "",
    ),
    "merge key": ("seed: 7", "seed: 7\nx: &a {nodes: 3}", "", ""),
    "custom tag": ("seed: 7", "seed: «!new 7", "tag !new is not supported", "plain data"),
    "python tag": ("seed: 7", "seed: «!!python/name:os.system x", "tag !!python/name:os.system", ""),
    "key that is no word": ("seed: 7", "seed: 7\n«1: 2", "a key must be a word", "quote it"),
    "key that is a list": ("seed: 7", "seed: 7\n? «[a]\n: 2", "a key must be a word", ""),
    "infinite number": ("replicas: 3", "replicas: 3, config: {x: «.inf}", "'.inf' is not a finite number", ""),
    "number of many digits": ("replicas: 3", f"replicas: 3, config: {{x: «{'9' * 99}}}", "99 digits is too large", ""),
    "octal of YAML 1.1": ("nodes: 3", "nodes: «0o9", "", ""),
}
SPECIAL = {
    # Cases whose place cannot be marked inside the text that changes.
    "missing broker": (BASE.replace("broker: nats-2\n", ""), 1, 1, "the scenario needs 'broker'", "nats-2"),
    "missing on": (BASE.replace(CASES["missing on"][0], ""), 10, 5, "faults.0 needs 'on'", "Where it acts"),
    "missing at": (BASE.replace(CASES["missing at"][0], ""), 10, 5, "faults.0 needs 'at'", "at: 5s"),
    "missing for": (BASE.replace(CASES["missing for"][0], ""), 10, 5, "faults.0 needs 'for'", "for: 5s"),
    "for where it ends itself": (
        BASE.replace(*CASES["for where it ends itself"][:2]),
        13,
        10,
        "restart ends by itself",
        "leave 'for' out",
    ),
    "merge key": (BASE.replace("{nodes: 3,", "{<<: {}, nodes: 3,"), 7, 11, "merge keys ('<<') are not part", "repeat"),
    "octal of YAML 1.1": (BASE.replace("nodes: 3", "nodes: 0o9"), 7, 18, "must be a whole number", ""),
}


def _marked(old: str, new: str) -> tuple[str, int, int]:
    """Return (text, line, column) of the base scenario with one change, at its mark."""
    assert old in BASE, old
    text = BASE.replace(old, new, 1)
    before = text[: text.index("«")]
    return text.replace("«", ""), before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def cases() -> dict[str, tuple[str, int, int, str, str]]:
    """Return name → (text, line, column, message fragment, hint fragment) of every mistake."""
    marks = {name: (*_marked(*case[:2]), *case[2:]) for name, case in CASES.items() if name not in SPECIAL}
    return marks | SPECIAL
