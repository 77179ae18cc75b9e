"""Processes are found by their ports, and by the details that the functions worker passes."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from internal.infra import settings
from internal.lab import engine_process
from internal.lab.bench import cost
from internal.lab.bench.full import process_costs

pytestmark = pytest.mark.skipif(not process_costs.PROC.is_dir(), reason="there is no /proc here")

OPTIONS = settings.PulsarSettings(tenant="bench-test", namespace="here")


def instance(**details: str) -> "subprocess.Popen[bytes]":
    """Start something that looks like an instance of a function."""
    said = ", ".join(f'"{name}": "{value}"' for name, value in details.items())
    waiting = "import sys; sys.stdin.read()"
    words = ["python_instance_main.py", "--function_details", f"'{{{said}}}'"]
    return subprocess.Popen([sys.executable, "-c", waiting, *words], stdin=subprocess.PIPE)


@pytest.fixture
def instances() -> Iterator[dict[str, int]]:
    """Processes of three functions, one of them another namespace's."""
    ours = {"tenant": OPTIONS.tenant, "namespace": OPTIONS.namespace}
    started = {
        "first": instance(name="order_processing", **ours),
        "second": instance(name="order_processing", **ours),
        "other": instance(name="order_processing", tenant=OPTIONS.tenant, namespace="there"),
    }
    yield {name: process.pid for name, process in started.items()}
    for process in started.values():
        process.communicate()


def test_instances_are_known_by_their_details_and_their_broker(instances: dict[str, int]) -> None:
    with socket.create_server((engine_process.HOST, 0)) as broker:
        port = broker.getsockname()[1]
        pulsar = OPTIONS.model_copy(update={"admin_url": f"http://{engine_process.HOST}:{port}"})
        engine = process_costs.Processes(settings.load(pulsar=pulsar), os.getpid())
        found = engine.instances()
        costs = engine.costs()
    assert set(found) == {"order_processing"}
    assert set(found["order_processing"]) == {instances["first"], instances["second"]}
    assert set(costs) == set(process_costs.PARTS)
    assert costs["order_processing"].rss_mb > 0
    assert costs["finalization"] == cost.NOTHING
    assert costs[process_costs.BROKER].rss_mb == pytest.approx(
        costs[process_costs.CLIENT].rss_mb, rel=0.1
    )


def test_listener_is_found_while_it_listens() -> None:
    with socket.create_server((engine_process.HOST, 0)) as server:
        port = server.getsockname()[1]
        assert process_costs.listener(port) == os.getpid()
    assert process_costs.listener(port) is None
