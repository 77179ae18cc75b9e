"""Page tokens: where a listing goes on, and for which filters. Opaque to clients, but not secret.

A token gives access to nothing: the merchant always comes from the API key.
"""

import base64
import binascii
from typing import Annotated

import msgspec

from internal.api.orders import from_wire
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.views.order_list import Filter, Page
from internal.wire.souk.v1 import order_pb2, order_service_pb2

ORDERS_DEFAULT = 50

_Position = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Token(msgspec.Struct, frozen=True, array_like=True):
    placed_at_us: _Position
    order_key: _Position
    filters: str


_decoder = msgspec.json.Decoder(_Token)


def filter_of(request: order_service_pb2.ListOrdersRequest) -> Filter:
    """Return the filter of a validated request."""
    return Filter(
        states=tuple(_state(number) for number in request.states),
        store_id=request.store_id,
        placed_from_us=from_wire.instant_us(request.placed_after)
        if request.HasField("placed_after")
        else None,
        placed_before_us=from_wire.instant_us(request.placed_before)
        if request.HasField("placed_before")
        else None,
    )


def token_of(page: Page, wanted: Filter) -> str:
    """Return the token of the page that begins below this position."""
    token = _Token(page.placed_at_us, page.order_key, _digest(wanted))
    return base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()


def page_of(token: str, wanted: Filter) -> Page | None:
    """Return where a token points to; None if it is not a token of this listing."""
    try:
        read = _decoder.decode(base64.urlsafe_b64decode(token.encode()))
    except (msgspec.MsgspecError, binascii.Error, UnicodeDecodeError):
        return None
    if read.filters != _digest(wanted):
        return None
    return Page(read.placed_at_us, read.order_key)


def _state(number: order_pb2.OrderState) -> OrderState:
    return OrderState(order_pb2.OrderState.Name(number).removeprefix("ORDER_STATE_"))


def _digest(wanted: Filter) -> str:
    return ids.digest(msgspec.json.encode(wanted))[:16]
