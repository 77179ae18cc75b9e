"""Stock keys, levels, demands and movements. Quantities are thousandths of a unit."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from internal.kernel import ids


class StockKey(msgspec.Struct, frozen=True, order=True):
    """A product at a location, of a lot if it has lots. A store is a location of the same id.

    Every transaction locks stock rows sorted by these fields, so that they cannot deadlock.
    """

    merchant_id: str
    location_id: str
    sku: str
    lot: str = ""


class StockLevel(msgspec.Struct, frozen=True):
    """The quantity at a location, and how much of it is reserved for orders.

    What is on hand may be negative: a count, a write-off or a sale that has happened is a fact.
    """

    on_hand_milli: int
    reserved_milli: int

    @property
    def available_milli(self) -> int:
        """What can still be reserved; negative if more is promised than there is."""
        return self.on_hand_milli - self.reserved_milli


class Demand(msgspec.Struct, frozen=True):
    """The quantities, {sku: thousandths}, that one order needs from a location."""

    merchant_id: str
    location_id: str
    quantities_milli: dict[str, int]


class Exchange(NamedTuple):
    """The stock that some orders reserve, and the stock that they release."""

    reserved: Sequence[Demand] = ()
    released: Sequence[Demand] = ()


NO_EXCHANGE = Exchange()


class Shortage(msgspec.Struct, frozen=True):
    """Why a demand cannot be met; nothing is available (None) of a product without a stock row."""

    sku: str
    wanted_milli: int
    available_milli: int | None


class Reason(StrEnum):
    """Why on_hand changed. Every change of it has a movement."""

    COUNT = "COUNT"
    RECEIPT = "RECEIPT"
    SALE = "SALE"
    WRITE_OFF = "WRITE_OFF"


class SourceKind(StrEnum):
    """What a movement comes from; its key says which one."""

    ORDER = "ORDER"
    DOCUMENT = "DOCUMENT"
    OPENING = "OPENING"
    """The first stock of a new shop."""


class Movement(msgspec.Struct, frozen=True, kw_only=True):
    """One change of on_hand. Its source and its number there name it within its business day."""

    business_day: int
    """YYYYMMDD."""
    source_kind: SourceKind
    source_key: int
    movement_no: int
    key: StockKey
    reason: Reason
    quantity_milli: int
    """What came; negative for what went."""
    happened_at_us: int
    recorded_at_us: int
    actor_key: int | None = None
    unit_cost_scaled: int | None = None
    """The cost of one unit in minor units is this / 10 ** unit_cost_scale."""
    unit_cost_scale: int | None = None


class StockChanged(msgspec.Struct, frozen=True, omit_defaults=True, tag=True, kw_only=True):
    """What is on hand of a product has changed by a document, such as a delivery or a count."""

    merchant_id: str
    location_id: str
    sku: str
    lot: str = ""
    document_id: str
    reason: Reason
    quantity_milli: int
    """What came; negative for what went."""
    on_hand_milli: int
    """What there is now, and what of it is reserved."""
    reserved_milli: int
    happened_at_us: int
    at_us: int
    trace_id: str = ""

    @property
    def subject_kind(self) -> str:
        """See kernel.facts.Fact."""
        return "stock"

    @property
    def key(self) -> str:
        """See kernel.facts.Fact."""
        return "/".join(filter(None, (self.location_id, self.sku, self.lot)))

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.happened_at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.happened_at_us

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return ""

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        named = {"merchant_id": self.merchant_id, "location_id": self.location_id}
        return ids.flaw(**named, document_id=self.document_id) or ids.sku_flaw([self.sku])
