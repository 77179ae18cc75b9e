"""An instance checks itself as the functions worker does, and only while that one lives."""

import os
from collections.abc import Iterator
from concurrent import futures

import grpc
import pytest

from internal.pipeline import health_checks

PATIENCE_S = 5.0


class ControlPort(grpc.GenericRpcHandler):  # type: ignore[misc] # grpc ships no types
    """Counts the checks that come, as the runtime's control port notes the latest."""

    def __init__(self) -> None:
        self.checks = 0

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """Return what answers a call; None for any other method."""
        if details.method != health_checks.METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        del context
        self.checks += 1
        return request


@pytest.fixture
def served() -> Iterator[tuple[ControlPort, int]]:
    """A control port, and its number."""
    control = ControlPort()
    server = grpc.server(futures.ThreadPoolExecutor(1), handlers=[control])
    port = server.add_insecure_port(f"{health_checks.HOST}:0")
    server.start()
    yield control, port
    server.stop(None).wait()


def test_a_check_reaches_the_control_port(served: tuple[ControlPort, int]) -> None:
    control, port = served
    assert health_checks.ask(port, PATIENCE_S)
    assert control.checks == 1


def test_a_port_that_is_not_open_yet_is_no_failure() -> None:
    assert not health_checks.ask(1, PATIENCE_S)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["--port", "5"], None),
        (["--port", "5", "--expected_healthcheck_interval", "-1"], None),
        (["--expected_healthcheck_interval", "3"], None),
        (["x", "--port", "5", "--expected_healthcheck_interval", "3"], (5, 3)),
    ],
)
def test_the_command_line_says_where_and_how_often(
    arguments: list[str], expected: tuple[int, int] | None
) -> None:
    assert health_checks.wanted(arguments) == expected


def test_only_a_functions_worker_is_a_parent_to_rely_on() -> None:
    """An orphan's new parent never ends, so it must not keep the orphan alive."""
    assert not health_checks.is_worker(os.getppid())
    assert not health_checks.is_worker(1)
    assert not health_checks.is_worker(2**22 + 1)
