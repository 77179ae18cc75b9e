"""What this door has answered OK lately, so that it can speak of orders that are not recorded yet.

Bounded by the backlog limit: what falls out is recorded by then. The database's word always goes
before what is remembered here.
"""

from collections import OrderedDict
from typing import cast

from internal.intake import ports
from internal.orders import codec
from internal.orders.messages import OrderPlaced


class RecentOrders:
    """Orders by name, oldest first; kept as JSON, which takes a third of the memory."""

    def __init__(self, orders_max: int) -> None:
        self._orders_max = orders_max
        self._facts: OrderedDict[ports.OrderName, bytes] = OrderedDict()

    def add(self, fact: OrderPlaced) -> None:
        """Remember an order that the broker has."""
        self._facts[fact.merchant_id, fact.order_id] = codec.encode(fact)
        if len(self._facts) > self._orders_max:
            self._facts.popitem(last=False)

    def get(self, name: ports.OrderName) -> OrderPlaced | None:
        """Return an order answered OK lately and not known to be recorded."""
        data = self._facts.get(name)
        return None if data is None else cast("OrderPlaced", codec.decode(data))

    def forget(self, name: ports.OrderName) -> None:
        """Drop an order that was found in the database."""
        self._facts.pop(name, None)

    def __len__(self) -> int:
        """Count the orders remembered."""
        return len(self._facts)
