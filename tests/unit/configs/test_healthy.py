"""cmd/healthy.py tells well from ill, over HTTP and gRPC, of real servers."""

import asyncio
import http.server
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

COMMAND = Path(__file__).resolve().parents[3] / "cmd" / "healthy.py"
SERVICE = "souk.v1.OrderService"


class Answers(http.server.BaseHTTPRequestHandler):
    """200 for /ready, 503 for everything else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def ask(*urls: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, str(COMMAND), *urls]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)


def test_all_well(web: str) -> None:
    done = ask(f"{web}/ready", f"{web}/ready")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_one_that_is_not_ready(web: str) -> None:
    done = ask(f"{web}/ready", f"{web}/else")
    assert done.returncode == 1
    assert done.stderr == f"{web}/else: 503\n"


def test_nobody_there() -> None:
    assert ask("http://127.0.0.1:1/").returncode == 1
    assert "UNAVAILABLE" in ask(f"grpc://127.0.0.1:1/{SERVICE}").stderr


async def test_a_door_that_opens_and_closes() -> None:
    server, servicer = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    url = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}/{SERVICE}"
    await server.start()
    said = []
    for status in ("SERVING", "NOT_SERVING"):
        await servicer.set(SERVICE, getattr(health_pb2.HealthCheckResponse, status))
        said.append((await asyncio.to_thread(ask, url)).stderr)
    await server.stop(None)
    assert said == ["", f"{url}: not serving\n"]
