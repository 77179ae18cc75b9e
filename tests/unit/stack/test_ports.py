"""The ports of a stack."""

import socket
from pathlib import Path

import pytest

from internal.kernel import errors
from internal.stack import ports


def test_free_ports_differ_and_are_free() -> None:
    found = ports.resolved(ports.FREE)
    assert len(set(found.named().values())) == len(found.named())
    ports.refuse_taken(found, found.named())


def test_named_ports_stay_and_the_others_are_chosen() -> None:
    found = ports.resolved(ports.Ports(pulsar=16_650, admin=0, bookie=0, mysql=13_306))
    assert (found.pulsar, found.mysql) == (16_650, 13_306)
    assert len(set(found.named().values())) == len(found.named())


def test_two_parts_cannot_share_a_port() -> None:
    with pytest.raises(errors.Misconfigured, match=r"share a port: .*8080 \(mysql\)"):
        ports.resolved(ports.Ports(mysql=8_080))


def test_taken_port_is_named_with_the_option_to_change_it() -> None:
    with socket.create_server((ports.HOST, 0)) as other:
        wanted = ports.Ports(mysql=other.getsockname()[1])
        with pytest.raises(errors.Misconfigured, match=r"\(mysql\).* --mysql-port 0"):
            ports.refuse_taken(wanted, ["mysql"])


def test_ports_are_remembered(tmp_path: Path) -> None:
    file = tmp_path / "new" / "ports.json"
    assert ports.recalled(file) is None
    ports.remember(file, ports.Ports(mysql=4_711))
    assert ports.recalled(file) == ports.Ports(mysql=4_711)


@pytest.mark.parametrize("text", ["", "{", '{"mysql":"x"}', '{"zookeeper":2181}'])
def test_file_that_cannot_be_understood_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "ports.json"
    file.write_text(text)
    with pytest.raises(errors.Misconfigured, match=r"ports\.json"):
        ports.recalled(file)
