"""What stock tells other rooms. Quantities are whole units of a product in one store."""

from enum import StrEnum

import msgspec


class StockKey(msgspec.Struct, frozen=True, order=True):
    """A product in a store.

    Sorted by these fields, stock rows are locked in the same order by everybody.
    """

    merchant_id: str
    store_id: str
    sku: str


class StockLevel(msgspec.Struct, frozen=True):
    """What is there and what of it is promised."""

    on_hand: int
    reserved: int

    @property
    def available(self) -> int:
        """What can still be promised."""
        return self.on_hand - self.reserved


class Demand(msgspec.Struct, frozen=True):
    """What one order wants of a store's stock: {sku: quantity}."""

    merchant_id: str
    store_id: str
    quantities: dict[str, int]


class Shortage(msgspec.Struct, frozen=True):
    """Why a demand cannot be met. `available=None`: the store does not stock the product at all."""

    sku: str
    wanted: int
    available: int | None


class MovementKind(StrEnum):
    """Why stock changed. Every change of on_hand has a movement row."""

    COUNT = "COUNT"
    RECEIPT = "RECEIPT"
    SALE = "SALE"
    ADJUSTMENT = "ADJUSTMENT"


class Movement(msgspec.Struct, frozen=True):
    """One change of on_hand; `order_key` for a sale."""

    key: StockKey
    kind: MovementKind
    quantity: int
    at_us: int
    order_key: int | None = None
