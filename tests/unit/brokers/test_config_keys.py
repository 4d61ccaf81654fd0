"""Keys of ``cluster.config`` that are the harness's own, or reach outside the run: refused where they are written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.commands.cli import _run_guarded, cli
from harness.errors import ExitCode, ScenarioError
from harness.scenario.expand import variants
from harness.scenario.load import load_text
from harness.session.program import reproduce_command
from harness.session.selection import needs_trust, replan, select
from harness.session.vocabulary import vocabulary

OWN = [
    ("nats-2", "store_dir: x"),
    ("nats-2", "jetstream: {store_dir: x}"),
    ("nats-2", "jetstream: {Store_Dir: x}"),
    ("nats-2", "jetstream: {storedir: x}"),
    ("nats-2", "jetstream: {store: x}"),
    ("nats-2", "listen: '0.0.0.0:4222'"),
    ("nats-2", "PORT: 4222"),
    ("nats-2", "http: '0.0.0.0:8222'"),
    ("nats-2", "https_port: 8222"),
    ("nats-2", "monitor_port: 8222"),
    ("nats-2", "server_name: mine"),
    ("nats-2", "cluster: {listen: '0.0.0.0:6222'}"),
    ("nats-2", "cluster: {routes: ['nats-route://127.0.0.1:1']}"),
    ("nats-2", "cluster: {name: mine}"),
    ("kafka-4", "log.dirs: /tmp/x"),
    ("kafka-4", "log: {dirs: /tmp/x}"),
    ("kafka-4", "log.dir: /tmp/x"),
    ("kafka-4", "metadata.log.dir: /tmp/x"),
    ("kafka-4", "listeners: 'PLAINTEXT://0.0.0.0:9092'"),
    ("kafka-4", "advertised.listeners: 'PLAINTEXT://0.0.0.0:9092'"),
    ("kafka-4", "advertised.host.name: other"),
    ("kafka-4", "controller.quorum.voters: '1@other:1'"),
    ("kafka-4", "controller.quorum.bootstrap.servers: 'other:1'"),
    ("kafka-4", "listener.security.protocol.map: 'PEER:SSL'"),
    ("kafka-4", "node.id: 7"),
    ("kafka-4", "process.roles: broker"),
    ("rocketmq-5", "storePathRootDir: /tmp/x"),
    ("rocketmq-5", "storePathCommitLog: /tmp/x"),
    ("rocketmq-5", "storePathEpochFile: /tmp/x"),
    ("rocketmq-5", "listenPort: 10911"),
    ("rocketmq-5", "haListenPort: 10912"),
    ("rocketmq-5", "namesrvAddr: 'other:9876'"),
    ("rocketmq-5", "brokerIP1: other"),
    ("rocketmq-5", "bindAddress: 0.0.0.0"),
    ("rocketmq-5", "brokerRole: SLAVE"),
]
OUTSIDE = [
    ("nats-2", "pid_file: x"),
    ("nats-2", "Pid_File: x"),
    ("nats-2", "pidfile: x"),
    ("nats-2", "log_file: x"),
    ("nats-2", "logfile: x"),
    ("nats-2", "ports_file_dir: x"),
    ("nats-2", "include: other.conf"),
    ("nats-2", "syslog: true"),
    ("nats-2", "remote_syslog: 'udp://other:514'"),
    ("nats-2", "leafnodes: {listen: '0.0.0.0:17422'}"),
    ("nats-2", "leaf: {remotes: [{url: 'nats://other'}]}"),
    ("nats-2", "gateway: {name: a}"),
    ("nats-2", "websocket: {port: 8080}"),
    ("nats-2", "mqtt: {port: 1883}"),
    ("nats-2", "prof_port: 6060"),
    ("nats-2", "tls: {cert_file: x}"),
    ("nats-2", "resolver: {type: full, dir: x}"),
    ("nats-2", "operator: x.jwt"),
    ("nats-2", "ocsp_cache: {type: local, local_store: x}"),
    ("nats-2", "jetstream: {tpm: {keys_file: x}}"),
    ("kafka-4", "metric.reporters: a.B"),
    ("kafka-4", "kafka.metrics.reporters: a.B"),
    ("kafka-4", "authorizer.class.name: a.B"),
    ("kafka-4", "principal.builder.class: a.B"),
    ("kafka-4", "replica.selector.class: a.B"),
    ("kafka-4", "security.providers: a.B"),
    ("kafka-4", "config.providers: file"),
    ("kafka-4", "config.providers.file.class: a.B"),
    ("kafka-4", "ssl.keystore.location: /etc/x"),
    ("kafka-4", "listener.name.peer.ssl.keystore.location: /etc/x"),
    ("kafka-4", "sasl.oauthbearer.token.endpoint.url: 'http://other'"),
    ("kafka-4", "remote.log.storage.manager.class.path: /tmp/x.jar"),
    ("kafka-4", "rsm.config.dir: /tmp/x"),
    ("kafka-4", "group.consumer.assignors: a.B"),
    ("rocketmq-5", "messageStorePlugIn: a.B"),
    ("rocketmq-5", "authenticationProvider: a.B"),
    ("rocketmq-5", "tieredBackendServiceProvider: a.B"),
    ("rocketmq-5", "metricsExporterType: PROM"),
    ("rocketmq-5", "metricsPromExporterHost: 0.0.0.0"),
    ("rocketmq-5", "fetchNamesrvAddrByAddressServer: true"),
    ("rocketmq-5", "controllerAddr: 'other:1'"),
    ("rocketmq-5", "dLegerPeers: n0-other:1"),
    ("rocketmq-5", "readOnlyCommitLogStorePaths: /tmp/x"),
    ("rocketmq-5", "authConfigPath: /tmp/x"),
]
FREE = [
    ("nats-2", "jetstream: {max_file_store: 4194304, sync_interval: always, store_cipher: aes}"),
    ("nats-2", "cluster: {pool_size: 3, compression: s2_fast}"),
    ("nats-2", "accounts: {store_dir: {users: [{user: listen}]}}"),
    ("nats-2", "max_payload: 2097152"),
    ("kafka-4", "broker.session.timeout.ms: 3000"),
    ("kafka-4", "log.segment.bytes: 1048576"),
    ("kafka-4", "log.cleaner.backoff.ms: 200"),
    ("kafka-4", "offsets.topic.replication.factor: 1"),
    ("rocketmq-5", "transientStorePoolEnable: true"),
    ("rocketmq-5", "fileReservedTime: 1"),
    ("rocketmq-5", "flushCommitLogLeastPages: 1000"),
]
FORGED = [
    ("kafka-4", '"log\\\\u002edirs": x'),
    ("kafka-4", '"log.dirs ": x'),
    ("kafka-4", '"log.dirs=x": y'),
    ("kafka-4", '"log.dirs:x": y'),
    ("kafka-4", '"a\\nlog.dirs": x'),
    ("rocketmq-5", '"storePathRootDir=x #": y'),
    ("rocketmq-5", '"\\\\u006cistenPort": 1'),
    ("nats-2", "'a\": 1, \"pid_file': x"),
    ("nats-2", "jetstream: {'a\\': 1}"),
    ("nats-2", "jetstream: {limits: [{'a\"b': 1}]}"),
]


def _text(broker: str, config: str) -> str:
    return f"version: 1\ntitle: T\nbroker: {broker}\ncluster:\n  config:\n    {config}\nexpect: {{loss: {{}}}}\n"


def _problems(broker: str, config: str, *, trusted: bool) -> list[str]:
    try:
        variants(load_text(_text(broker, config), "s.yaml", replace(vocabulary(), trusted=trusted)))
    except ScenarioError as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(("broker", "config"), OWN)
def test_keys_of_the_harness_are_refused_with_their_line_whoever_is_trusted(
    broker: str, config: str, *, trusted: bool
) -> None:
    problems = _problems(broker, config, trusted=trusted)
    assert any("is the harness's own" in problem for problem in problems), problems
    assert all(problem.startswith("s.yaml:6:") for problem in problems), problems


@pytest.mark.parametrize(("broker", "config"), OUTSIDE)
def test_keys_that_reach_outside_the_run_need_trust(broker: str, config: str) -> None:
    problems = _problems(broker, config, trusted=False)
    assert any("reaches outside the run" in problem and "--trust" in problem for problem in problems), problems
    assert all(problem.startswith("s.yaml:6:") for problem in problems), problems
    assert not [problem for problem in _problems(broker, config, trusted=True) if "reaches outside" in problem]


@pytest.mark.parametrize(("broker", "config"), FREE)
def test_other_keys_are_the_scenarios(broker: str, config: str) -> None:
    assert not _problems(broker, config, trusted=False)


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(("broker", "config"), FORGED)
def test_no_key_becomes_another_one_in_the_brokers_file(broker: str, config: str, *, trusted: bool) -> None:
    problems = _problems(broker, config, trusted=trusted)
    assert any("is no key of a configuration" in problem for problem in problems), problems


def test_the_matrix_is_looked_at_too() -> None:
    text = _text("kafka-4", "log.retention.ms: 1") + "matrix: {cluster.config.log.dirs: [/tmp/a, /tmp/b]}\n"
    with pytest.raises(ScenarioError, match=r"s\.yaml:8:10: cluster\.config\.log\.dirs is the harness's own"):
        variants(load_text(text, "s.yaml", vocabulary()))


def test_trust_is_given_by_command_and_repeated_by_the_command_that_reproduces(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(_text("nats-2", "pid_file: x"))
    with pytest.raises(ScenarioError, match="pid_file reaches outside"):
        select([file])
    (item,) = select([file], trusted=True)
    assert needs_trust(item.plan)
    assert reproduce_command(item.plan, "process", item.source).endswith(" --trust")
    assert replan(item.source, item.plan.file, {}, item.plan.seed).digest == item.plan.digest
    file.write_text(_text("nats-2", "max_payload: 2097152"))
    (plain,) = select([file])
    assert not needs_trust(plain.plan)
    assert "--trust" not in reproduce_command(plain.plan, "process", plain.source)


def test_what_is_set_by_a_command_needs_trust_as_what_is_written_does(tmp_path: Path) -> None:
    file, settings = tmp_path / "s.yaml", {"cluster.config.pid_file": "x"}
    file.write_text(_text("nats-2", "max_payload: 2097152"))
    with pytest.raises(ScenarioError, match="pid_file reaches outside"):
        select([file], settings=settings)
    (item,) = select([file], settings=settings, trusted=True)
    command = reproduce_command(item.plan, "process", item.source)
    assert command.endswith(" --set cluster.config.pid_file=x --trust")
    assert replan(item.source, item.plan.file, item.plan.variant, item.plan.seed).digest == item.plan.digest


@pytest.mark.parametrize("command", [["validate"], ["explain"], ["run"], ["suite"], ["suite", "--list"]])
def test_every_command_refuses_it_with_4(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(_text("nats-2", "pid_file: x"))
    words = [*command, str(file)]
    assert _run_guarded(lambda: cli.main(args=words, standalone_mode=False)) == ExitCode.USAGE
    assert f"{file}:6:5: cluster.config.pid_file reaches outside the run" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["validate"], ["explain"], ["suite", "--list"]])
def test_every_command_takes_trust(command: list[str], tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(_text("nats-2", "pid_file: x"))
    done = CliRunner().invoke(cli, [*command, "--trust", str(file)])
    assert done.exit_code == 0, done.output
