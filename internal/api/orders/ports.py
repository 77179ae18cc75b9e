"""What the door needs from the rest of the house. Whoever starts it hands in implementations."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from internal.infra import bus
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.pricing.messages import PricedOrder, PriceRequest, Refusal
from internal.views.order import Filter, OrderView, Page


class Messages(bus.Publisher, Protocol):
    """What the door does with the broker: publish, and listen in."""

    async def tail(self, topics: Sequence[str]) -> bus.Subscription:
        """See bus.Bus."""
        ...


class Authenticator(Protocol):
    """Knows API keys."""

    async def merchant_of(self, key: str) -> str | None:
        """Return the merchant that holds this key; None for a wrong, unknown or revoked one.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        ...


class Known(msgspec.Struct, frozen=True):
    """A recorded order, as far as a retry needs it."""

    body_hash: str
    state: OrderState
    version: int


class RecordedOrders(Protocol):
    """Knows which orders the order stage has recorded."""

    async def find(self, names: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, Known]:
        """Return those of `names` that are recorded, in one read.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        ...


class OrderViews(Protocol):
    """Tells merchants about their orders, as the database has them."""

    async def get_many(self, names: Sequence[ids.OrderRef]) -> list[OrderView]:
        """Return all about those of `names` that are recorded, in one read.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        ...

    async def list_page(
        self, merchant_id: str, wanted: Filter, page: Page | None, orders_max: int
    ) -> list[OrderView]:
        """Return up to `orders_max` of a merchant's orders, newest first, from below `page` on.

        Raises:
            DatabaseAway: it cannot be told now.
        """
        ...


class Quoter(Protocol):
    """Prices what is not an order, by the rules that price orders."""

    async def quote(self, request: PriceRequest) -> PricedOrder | Refusal:
        """Return what it would cost, or why it cannot be priced. Leaves no trace.

        Raises:
            DatabaseAway: the catalogue cannot be read now.
        """
        ...


class Backlog(Protocol):
    """Knows how far the stages are behind."""

    def orders(self) -> int:
        """Return about how many orders are placed and not recorded yet. Costs next to nothing."""
        ...
