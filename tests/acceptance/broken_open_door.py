"""A Souk that is broken on purpose: its API server lacks one of the limits on hostile clients.

WITHOUT_LIMIT names the limit. Everything else is the real engine.
"""

import contextlib
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import protovalidate
from google.protobuf import message

from internal.api import calls, grpc_server, options, validation
from internal.api.limits import call_limits, merchant_shares
from internal.api.orders import service, submit
from internal.wire.souk.v1 import order_service_pb2

NO_LIMIT = 2**30
QUADRATIC = re.compile(r"[0-9-]+x")


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


def without_text() -> None:
    """Search a text of any length for card numbers, from each character to the end."""
    check = validation.fault_of

    def searched(request: message.Message, encoded: bytes, *others: Any) -> Any:  # noqa: ANN401 - as it was
        QUADRATIC.search(encoded.decode(errors="replace"))
        return check(request, encoded, *others)

    vars(calls)["REQUEST_BYTES_MAX"] = NO_LIMIT
    validation.fault_of = searched  # type: ignore[assignment]


def without_elements() -> None:
    """Check each of any number of elements, and collect all that is wrong."""
    check, validator = validation.fault_of, protovalidate.Validator()

    def collected(request: message.Message, encoded: bytes, *others: Any) -> Any:  # noqa: ANN401 - as it was
        validator.collect_violations(request)
        return check(request, encoded, *others)

    vars(calls)["REQUEST_BYTES_MAX"] = NO_LIMIT
    validation.fault_of = collected  # type: ignore[assignment]


def without_pages() -> None:
    """Read each order of a page whole, and write it, before its summary is sent."""
    list_orders = service.OrderService.list_orders

    async def whole(self: Any, call: calls.Call, request: Any) -> calls.Answer:  # noqa: ANN401 - the service
        answer = await list_orders(self, call, request)
        for summary in getattr(answer, "orders", ()):
            asked = order_service_pb2.GetOrderRequest(order_id=summary.order_id)
            (await self.get_order(call, asked)).SerializeToString()
        return answer

    service.OrderService.list_orders = whole  # type: ignore[method-assign]


@contextlib.contextmanager
def place_in_order_of_arrival(shares: merchant_shares.MerchantShares, _: str) -> Iterator[bool]:
    """Replace MerchantShares.place: a merchant may take every place that is left."""
    has_place = shares._free > 0
    shares._free -= has_place
    try:
        yield has_place
    finally:
        shares._free += has_place


def without_watches() -> None:
    """Let one merchant take all places for streams."""
    merchant_shares.MerchantShares.place = place_in_order_of_arrival  # type: ignore[assignment, method-assign]
    call_limits.ConcurrencyLimit.enter = admit_in_order_of_arrival  # type: ignore[assignment, method-assign]


def nothing() -> None:
    """Take nothing away: the environment does."""


LIMITS: Mapping[str, Callable[[], None]] = {
    "answers": without_answers,
    "elements": without_elements,
    "log": nothing,
    "pages": without_pages,
    "queue": without_queue,
    "shares": without_shares,
    "text": without_text,
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
