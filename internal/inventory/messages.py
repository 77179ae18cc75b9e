"""Stock keys, levels, demands and movements. A quantity is whole units of a product in a store."""

from enum import StrEnum

import msgspec


class StockKey(msgspec.Struct, frozen=True, order=True):
    """A product in a store.

    Every transaction locks stock rows sorted by these fields, so that they cannot deadlock.
    """

    merchant_id: str
    store_id: str
    sku: str


class StockLevel(msgspec.Struct, frozen=True):
    """The units in a store, and how many of them are reserved for orders."""

    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """Units that can still be reserved."""
        return self.on_hand - self.reserved


class Demand(msgspec.Struct, frozen=True):
    """The quantities, {sku: quantity}, that one order needs from a store."""

    merchant_id: str
    store_id: str
    quantities: dict[str, int]


class Shortage(msgspec.Struct, frozen=True):
    """Why a demand cannot be met; `available` is None if the store does not stock the product."""

    sku: str
    wanted: int
    available: int | None


class MovementKind(StrEnum):
    """The reason of a movement. Every change of on_hand has a movement row."""

    COUNT = "COUNT"
    RECEIPT = "RECEIPT"
    SALE = "SALE"
    ADJUSTMENT = "ADJUSTMENT"


class Movement(msgspec.Struct, frozen=True):
    """One change of on_hand. A sale has an `order_key`."""

    key: StockKey
    kind: MovementKind
    quantity: int
    at_us: int
    order_key: int | None = None
