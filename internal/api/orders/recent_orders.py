"""The orders answered OK lately, so that the API can tell of orders that are not recorded yet.

Bounded by the backlog limit: an order that falls out is recorded by then. The database takes
precedence over what is kept here.
"""

from collections import OrderedDict
from typing import cast

from internal.kernel import ids
from internal.orders import codec
from internal.orders.messages import OrderPlaced


class RecentOrders:
    """The body hash of each order, oldest first, and the fact of each not seen recorded yet."""

    def __init__(self, orders_max: int) -> None:
        self._orders_max = orders_max
        self._hashes: OrderedDict[ids.OrderRef, str] = OrderedDict()
        self._facts: dict[ids.OrderRef, bytes] = {}

    def add(self, fact: OrderPlaced) -> None:
        """Keep an order that the broker has."""
        ref = ids.OrderRef(fact.merchant_id, fact.order_id)
        self._hashes[ref] = fact.body_hash
        self._facts[ref] = codec.encode(fact)  # a third of the memory of the fact itself
        if len(self._hashes) > self._orders_max:
            oldest, _ = self._hashes.popitem(last=False)
            self._facts.pop(oldest, None)

    def hash_of(self, ref: ids.OrderRef) -> str | None:
        """Return the body hash of an order answered OK lately."""
        return self._hashes.get(ref)

    def unrecorded(self, ref: ids.OrderRef) -> OrderPlaced | None:
        """Return an order answered OK lately and not seen recorded yet."""
        data = self._facts.get(ref)
        return None if data is None else cast("OrderPlaced", codec.decode(data))

    def saw_recorded(self, ref: ids.OrderRef) -> None:
        """Note that an order was found in the database; only its hash is kept from now on."""
        self._facts.pop(ref, None)
