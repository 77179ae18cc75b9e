"""The part of the database that a check covers: all of it, or what may have changed since a seal.

A seal covers the orders of the business days up to its own that were recorded by then. All of them
have ended, so that nothing about them changes any more. An order that arrives after the seal is
checked, whatever its day.
"""

from typing import Any

import msgspec


class Scope(msgspec.Struct, frozen=True):
    """What is checked: orders with keys above `after` and what belongs to them."""

    after: int = 0
    """No order with a key up to this one is left out of the seal."""
    sealed_day: int = -1
    sealed_upto: int = 0
    """The largest order key when the day was sealed."""
    moving: frozenset[str] = frozenset()
    """Keys of charges that changed at the gateway while the database was read: left out."""

    @property
    def is_everything(self) -> bool:
        """Tell whether nothing is left out."""
        return self.sealed_day < 0

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the query parameters `:after`, `:sealed_day`, `:sealed_upto` and `:is_sealed`."""
        return {
            "after": self.after,
            "sealed_day": self.sealed_day,
            "sealed_upto": self.sealed_upto,
            "is_sealed": int(not self.is_everything),
        }


EVERYTHING = Scope()
OF_ORDER = "source_key = o.order_key + 0"
"""SQL: whether an entry or a movement has an order `o` as its source, in a join that begins with a
range of orders. Without the sum SQLite looks into the key for that range instead of the one order.
"""
NOT_SEALED = "(o.business_day > :sealed_day OR o.order_key > :sealed_upto)"
"""SQL: whether the seal leaves an order `o` out. Sums since the seal count only these orders."""
