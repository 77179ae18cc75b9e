#!/usr/bin/env python3
"""Checks that servers answer, for the healthchecks of containers: exit code 0, or 1 and why.

healthy http://127.0.0.1:8080/admin/v2/brokers/ready
healthy grpc://127.0.0.1:50051/souk.v1.OrderService
"""

import sys
from urllib.parse import urlsplit

import grpc
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_S = 4.0


def problem(url: str) -> str:
    """Return what is wrong with a server; empty when it answers well."""
    return _grpc_problem(url) if urlsplit(url).scheme == "grpc" else _http_problem(url)


def _http_problem(url: str) -> str:
    try:
        answer = httpx.get(url, timeout=ANSWER_S, trust_env=False, follow_redirects=True)
    except httpx.HTTPError as error:
        return f"{url}: {error}"
    return "" if answer.is_success else f"{url}: {answer.status_code}"


def _grpc_problem(url: str) -> str:
    parts = urlsplit(url)
    request = health_pb2.HealthCheckRequest(service=parts.path.strip("/"))
    try:
        with grpc.insecure_channel(parts.netloc) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(request, timeout=ANSWER_S)
    except grpc.RpcError as error:
        return f"{url}: {error.code().name}"
    is_serving = answer.status == health_pb2.HealthCheckResponse.SERVING
    return "" if is_serving else f"{url}: not serving"


if __name__ == "__main__":
    problems = list(filter(None, map(problem, sys.argv[1:])))
    sys.exit("\n".join(problems) or 0)
