"""The configuration differs from the distribution's where it should, and nowhere else."""

from pathlib import Path

import pytest
import yaml

from internal.kernel import errors
from internal.stack import broker_conf, layout, ports

OF = layout.Folder(Path("/somewhere/stack"))
PORTS = ports.Ports(pulsar=1_111, admin=2_222, bookie=3_333, mysql=4_444)

ORIGINAL = """\
### --- General --- ###
# brokerServicePort=6650
brokerServicePort=6650
webServicePort = 8080

bindAddress=0.0.0.0
bindAddresses=
managedLedgerDefaultAckQuorum=1"""


def test_known_names_change_in_place_and_others_come_last() -> None:
    text = broker_conf.with_properties(ORIGINAL, {"bindAddress": "127.0.0.1", "new": "1"})
    assert text.splitlines() == [
        "### --- General --- ###",
        "# brokerServicePort=6650",
        "brokerServicePort=6650",
        "webServicePort = 8080",
        "",
        "bindAddress=127.0.0.1",
        "bindAddresses=",
        "managedLedgerDefaultAckQuorum=1",
        "new=1",
    ]
    assert text.endswith("\n")


def test_yaml_keeps_other_values() -> None:
    text = broker_conf.with_keys("a: 1\nb:\n  c: 2\n", {"a": 3, "d": {"e": "f"}})
    assert yaml.safe_load(text) == {"a": 3, "b": {"c": 2}, "d": {"e": "f"}}


def test_yaml_that_is_not_a_mapping_is_refused() -> None:
    with pytest.raises(errors.Misconfigured):
        broker_conf.with_keys("just words", {})


def test_broker_listens_on_loopback_at_the_ports_of_the_stack() -> None:
    found = broker_conf.standalone(OF, PORTS)
    assert (found["brokerServicePort"], found["webServicePort"]) == ("1111", "2222")
    assert found["bindAddress"] == found["advertisedAddress"] == "127.0.0.1"
    assert found["listeningInterface"] == "lo"


def test_worker_finds_this_stacks_broker() -> None:
    found = broker_conf.worker(OF, PORTS)
    assert found["pulsarServiceUrl"] == "pulsar://127.0.0.1:1111"
    assert found["pulsarWebServiceUrl"] == "http://127.0.0.1:2222"
    assert found["instanceLivenessCheckFreqMs"] == 3_000


def test_every_path_is_within_the_folder() -> None:
    values = [*broker_conf.standalone(OF, PORTS).values(), *_texts(broker_conf.worker(OF, PORTS))]
    paths = [value for value in values if value.startswith("/")]
    assert len(paths) >= 4
    assert all(Path(path).is_relative_to(OF.root) for path in paths)


def _texts(values: dict[str, object]) -> list[str]:
    inner = [v for value in values.values() if isinstance(value, dict) for v in _texts(value)]
    return [value for value in values.values() if isinstance(value, str)] + inner


def test_a_receipt_means_on_the_disk() -> None:
    assert broker_conf.standalone(OF, PORTS)["journalSyncData"] == "true"


def test_every_setting_has_a_reason_and_stands_once() -> None:
    for table in (broker_conf.JAVA, broker_conf.STANDALONE, broker_conf.WORKER):
        assert all(line.why for line in table)
        assert len({line.name for line in table}) == len(table)


def test_every_flag_reaches_java() -> None:
    flags = broker_conf.memory_and_collector()
    given = f"{flags['PULSAR_MEM']} {flags['PULSAR_GC']}".split()
    assert sorted(given) == sorted(line.name + line.value for line in broker_conf.JAVA)
