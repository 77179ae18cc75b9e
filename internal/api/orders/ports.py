"""The ports of the order service to the rest of Souk. The host passes in the implementations."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from internal.infra import bus
from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.pricing.messages import PricedOrder, PriceRequest, Refusal
from internal.requests.messages import Request, RequestKey
from internal.views.order import OrderView
from internal.views.order_list import Filter, Listing, Page


class Messages(bus.Publisher, Protocol):
    """The broker, as far as the service uses it: publish, and tail topics."""

    async def tail(
        self, topics: Sequence[str], wants: bus.Wants = bus.everything
    ) -> bus.Subscription:
        """See bus.Bus."""
        ...


class RecordedOrder(msgspec.Struct, frozen=True):
    """A recorded order, as far as a retry or a command needs it."""

    body_hash: str
    state: OrderState
    version: int


class RecordedOrders(Protocol):
    """Knows which orders the order stage has recorded."""

    async def find(self, refs: Sequence[ids.OrderRef]) -> dict[ids.OrderRef, RecordedOrder]:
        """Return those of `refs` that are recorded, in one read.

        Raises:
            DatabaseAway: the orders cannot be read now.
        """
        ...


class CommandRef(NamedTuple):
    """Names a merchant's command about an order."""

    merchant_id: str
    order_id: str
    method: str
    request_id: str

    @property
    def order(self) -> ids.OrderRef:
        """The order."""
        return ids.OrderRef(self.merchant_id, self.order_id)

    @property
    def request(self) -> RequestKey:
        """The key under which the command is recorded."""
        return RequestKey(self.merchant_id, self.method, self.request_id)


class KnownCommand(msgspec.Struct, frozen=True):
    """What is recorded of a command and of its order."""

    order: RecordedOrder | None = None
    request: Request | None = None


class OrderViews(Protocol):
    """Reads orders for their merchants, as they are recorded."""

    async def get_many(self, refs: Sequence[ids.OrderRef]) -> list[OrderView]:
        """Return full views of those of `refs` that are recorded, in one read.

        Raises:
            DatabaseAway: the orders cannot be read now.
        """
        ...

    async def find_commands(self, refs: Sequence[CommandRef]) -> dict[CommandRef, KnownCommand]:
        """Return what is recorded of each of these commands, in one read.

        An order is never read later than its command: a command that has ended its order is there.

        Raises:
            DatabaseAway: they cannot be read now.
        """
        ...

    async def count_waiting(self, merchant_id: str, most: int) -> int:
        """Count a merchant's commands that wait for their orders, up to `most`.

        Raises:
            DatabaseAway: they cannot be counted now.
        """
        ...

    async def list_page(
        self, merchant_id: str, wanted: Filter, page: Page | None, orders_max: int
    ) -> Listing:
        """Return up to `orders_max` of a merchant's orders, newest first, from below `page` on.

        A page may hold fewer, or none, and still say where the next one begins.

        Raises:
            DatabaseAway: the orders cannot be read now.
        """
        ...


class Quoter(Protocol):
    """Prices an order that is not placed, by the rules that price orders."""

    async def quote(self, request: PriceRequest) -> PricedOrder | Refusal:
        """Return what it would cost, or why it cannot be priced. Records nothing.

        Raises:
            DatabaseAway: the catalogue cannot be read now.
        """
        ...


class Backlog(Protocol):
    """Knows how far the stages are behind."""

    def orders(self) -> int:
        """Return about how many placed orders wait for any stage. Costs next to nothing."""
        ...

    def unrecorded(self) -> int:
        """Return about how many of them are not recorded yet. Costs next to nothing."""
        ...
