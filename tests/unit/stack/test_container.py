"""Pulsar in a container is configured like the stack's, except for the addresses."""

from pathlib import Path

import pytest
import yaml

from internal.kernel import errors
from internal.stack import broker_conf, container, layout, ports

STANDALONE = "advertisedAddress=\nbindAddress=0.0.0.0\njournalSyncData=false\n"
WORKER = "workerId: standalone\ninstanceLivenessCheckFreqMs: 30000\n"
ENVIRONMENT = """\
PULSAR_MEM=${PULSAR_MEM:-"-Xmx2g"}
if [ -z "$PULSAR_GC" ]; then PULSAR_GC="-XX:+UseZGC"; fi
if [ -z "$PULSAR_GC_LOG" ]; then PULSAR_GC_LOG=-Xlog:async; fi
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "standalone.conf").write_text(STANDALONE)
    (conf / "functions_worker.yml").write_text(WORKER)
    (conf / "pulsar_env.sh").write_text(ENVIRONMENT)
    return tmp_path


def test_it_advertises_its_name(home: Path) -> None:
    container.configure(home)
    lines = (home / "conf" / "standalone.conf").read_text().splitlines()
    assert "advertisedAddress=pulsar" in lines
    assert "bindAddress=0.0.0.0" in lines


def test_it_differs_from_the_stack_only_in_places() -> None:
    of = layout.Folder(Path("/somewhere/stack"))
    chosen = ports.Ports(pulsar=1_111, admin=2_222, bookie=3_333, mysql=4_444)
    here, there = container.standalone(Path("/pulsar")), broker_conf.standalone(of, chosen)
    same = {line.name for line in broker_conf.STANDALONE} - container.LOOPBACK_ONLY
    assert {name: here[name] for name in same} == {name: there[name] for name in same}
    assert set(here) - same == {"advertisedAddress", "STORAGE_PATH"}
    worker, stack_worker = container.worker(Path("/pulsar")), broker_conf.worker(of, chosen)
    for line in broker_conf.WORKER:
        assert worker[line.name] == stack_worker[line.name]


def test_dead_instances_are_noticed_soon(home: Path) -> None:
    container.configure(home)
    worker = yaml.safe_load((home / "conf" / "functions_worker.yml").read_text())
    assert worker["instanceLivenessCheckFreqMs"] == broker_conf.LIVENESS_CHECK_MS
    assert worker["workerId"] == "standalone"


def test_the_environment_wins_over_our_defaults(home: Path) -> None:
    container.configure(home)
    text = (home / "conf" / "pulsar_env.sh").read_text()
    assert text.endswith(ENVIRONMENT)
    assert 'PULSAR_MEM="${PULSAR_MEM:--Xms512m' in text


def test_unknown_variable_is_found() -> None:
    with pytest.raises(errors.Misconfigured, match="PULSAR_GC"):
        container.with_defaults("PULSAR_MEM=1\n", {"PULSAR_MEM": "", "PULSAR_GC": ""})
