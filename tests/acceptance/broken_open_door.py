"""A Souk that is broken on purpose: its API server lacks one of the limits on hostile clients.

WITHOUT_LIMIT names the limit. Everything else is the real engine.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from internal.api import grpc_server, options
from internal.api.limits import call_limits
from internal.api.orders import submit

NO_LIMIT = 2**30


def admit_in_order_of_arrival(limit: call_limits.ConcurrencyLimit, connection: str) -> bool:
    """Replace ConcurrencyLimit.enter: a full server is full for everybody."""
    limit.open_calls += 1
    limit._calls_of[connection] += 1
    return limit.open_calls <= limit.calls_max


def without_shares() -> None:
    """Let a few connections take all places, for as long as they like."""
    call_limits.ConcurrencyLimit.enter = admit_in_order_of_arrival  # type: ignore[assignment, method-assign]
    _change_limits({"request_s": 3_600.0, "connection_calls_max": 1_000})


def without_queue() -> None:
    """Leave the length of the library's queue as it is by default."""
    grpc_server.PENDING_CALLS_MAX = 1_000


def without_answers() -> None:
    """Keep any number of large answers, each made in one go."""
    _change_limits({"unread_bytes_max": NO_LIMIT})
    submit.YIELD_EVERY_ORDERS = NO_LIMIT


def without_watches() -> None:
    """Let one merchant take all places for streams."""
    call_limits.ConcurrencyLimit.enter = admit_in_order_of_arrival  # type: ignore[assignment, method-assign]


def nothing() -> None:
    """Take nothing away: the environment does."""


LIMITS: Mapping[str, Callable[[], None]] = {
    "answers": without_answers,
    "elements": nothing,
    "log": nothing,
    "pages": nothing,
    "queue": without_queue,
    "shares": without_shares,
    "text": nothing,
    "watches": without_watches,
}


def _change_limits(changes: Mapping[str, Any]) -> None:
    """Change the limits of the server and of what runs its calls."""
    make = options.Limits

    def changed(**given: object) -> options.Limits:
        return make(**{**given, **changes})

    options.Limits = changed  # type: ignore[misc,assignment]


if __name__ == "__main__":
    from internal.host import command

    LIMITS[os.environ["WITHOUT_LIMIT"]]()
    sys.exit(command.main(sys.argv[1:], Path(__file__)))
