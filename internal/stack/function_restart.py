"""Restarts functions that failed during the start of the broker.

A standalone starts its functions before the service that keeps their packages: after each start of
the broker each function fails and is not retried. Source: apache/pulsar #16502, tested with 4.0.8.
Functions that were stopped on purpose stay stopped.
"""

from collections.abc import Iterator
from typing import Any

import httpx

from internal.kernel import errors
from internal.stack import patience

NO_PACKAGE = ("503 Service Unavailable", "Package Management Service is not enabled")
"""The errors in the status of such an instance."""
PATIENCE_S = 90.0
"""How long the same functions may go on failing."""
ANSWER_S = 30.0
"""A restart is answered once all instances have stopped and started."""


def restart_failed(address: str) -> None:
    """Restart all functions that could not be started.

    Args:
        address: of the admin API of a broker that is ready.

    Raises:
        BusAway: it does not answer, or a function fails again and again.
    """
    problems: list[str] = []

    def is_done() -> bool:
        problems.clear()
        try:
            for name in _failed(client):
                problems.append(name)
                client.post(f"/admin/v3/functions/{name}/restart").raise_for_status()
        except httpx.HTTPError as error:
            problems.append(repr(error))
        return not problems

    with httpx.Client(base_url=address, trust_env=False, timeout=ANSWER_S) as client:
        if not patience.until(is_done, lambda: tuple(problems), PATIENCE_S):
            raise errors.BusAway(f"functions do not start again: {', '.join(problems)}")


def _failed(client: httpx.Client) -> Iterator[str]:
    for tenant in _get(client, "/admin/v2/tenants"):
        for namespace in _get(client, f"/admin/v2/namespaces/{tenant}"):
            for function in _get(client, f"/admin/v3/functions/{namespace}"):
                name = f"{namespace}/{function}"
                status = _get(client, f"/admin/v3/functions/{name}/status")
                if any(_has_failed(each["status"]) for each in status["instances"]):
                    yield name


def _has_failed(status: dict[str, Any]) -> bool:
    """Tell whether an instance found no package; an instance that is starting has other errors."""
    said = status.get("error") or ""
    return not status["running"] and any(words in said for words in NO_PACKAGE)


def _get(client: httpx.Client, path: str) -> Any:  # noqa: ANN401 - JSON
    return client.get(path).raise_for_status().json()
