"""What this door has answered OK lately, so that it can speak of orders that are not recorded yet.

Bounded by the backlog limit: what falls out is recorded by then. The database's word always goes
before what is remembered here.
"""

from collections import OrderedDict
from typing import cast

from internal.kernel import ids
from internal.orders import codec
from internal.orders.messages import OrderPlaced


class RecentOrders:
    """Orders by name, oldest first: the hash of each, and all of those not seen recorded yet."""

    def __init__(self, orders_max: int) -> None:
        self._orders_max = orders_max
        self._hashes: OrderedDict[ids.OrderRef, str] = OrderedDict()
        self._facts: dict[ids.OrderRef, bytes] = {}

    def add(self, fact: OrderPlaced) -> None:
        """Remember an order that the broker has."""
        name = ids.OrderRef(fact.merchant_id, fact.order_id)
        self._hashes[name] = fact.body_hash
        self._facts[name] = codec.encode(fact)  # a third of the memory of the fact itself
        if len(self._hashes) > self._orders_max:
            oldest, _ = self._hashes.popitem(last=False)
            self._facts.pop(oldest, None)

    def hash_of(self, name: ids.OrderRef) -> str | None:
        """Return the body's hash of an order answered OK lately."""
        return self._hashes.get(name)

    def unrecorded(self, name: ids.OrderRef) -> OrderPlaced | None:
        """Return an order answered OK lately and not seen recorded yet."""
        data = self._facts.get(name)
        return None if data is None else cast("OrderPlaced", codec.decode(data))

    def saw_recorded(self, name: ids.OrderRef) -> None:
        """Note that an order was found in the database: only its hash is kept."""
        self._facts.pop(name, None)
