"""The facts of an order, as they stand on the topics and in the order log.

Fields are only ever added, with a default: yesterday's messages stay readable. Facts are in the
past tense. Amounts are minor units of the order's currency, instants microseconds since the epoch.
"""

from enum import StrEnum

import msgspec

from internal.payments.messages import Captured, Tender
from internal.pricing.messages import Discount, TaxBucket, WantedLine


class OrderPlaced(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """A merchant's order, answered OK.

    `body_hash` tells a retry from another order under the same id.
    """

    merchant_id: str
    order_id: str
    store_id: str
    currency: str
    lines: tuple[WantedLine, ...]
    tenders: tuple[Tender, ...]
    body_hash: str
    placed_at_us: int
    discount: Discount | None = None
    terminal_id: str = ""
    note: str = ""
    trace_id: str = ""


class CancelRequested(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """A merchant wants an order undone. `request_id` makes a retry harmless."""

    merchant_id: str
    order_id: str
    request_id: str
    requested_at_us: int
    reason: str = ""
    trace_id: str = ""


class StockLine(msgspec.Struct, frozen=True):
    """So many of a product, for stock."""

    sku: str
    quantity: int


class OrderAccepted(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """Priced, its stock reserved. Every tender has its amount now; together they are the total."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int
    currency: str
    lines: tuple[StockLine, ...]
    taxes: tuple[TaxBucket, ...]
    tenders: tuple[Tender, ...]
    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    discount_net_minor: int = 0
    """The discount without the tax inside it, for the ledger."""
    trace_id: str = ""


class OrderPaid(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """All tenders are captured."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int
    currency: str
    lines: tuple[StockLine, ...]
    taxes: tuple[TaxBucket, ...]
    captured: tuple[Captured, ...]
    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    discount_net_minor: int = 0
    trace_id: str = ""


class OrderFinalized(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """The sale is in the books and has its receipt number."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int
    currency: str
    total_minor: int
    receipt_no: int
    trace_id: str = ""


class OrderRejected(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """A business refusal; whatever the order held is released."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int
    stage: str
    reason: str
    """UPPER_SNAKE."""
    explanation: str
    trace_id: str = ""


class OrderCancelled(msgspec.Struct, frozen=True, omit_defaults=True, tag=True):
    """Undone on the merchant's wish before any money moved; its stock is released."""

    order_key: int
    merchant_id: str
    order_id: str
    store_id: str
    version: int
    at_us: int
    placed_at_us: int
    request_id: str
    reason: str = ""
    trace_id: str = ""


Fact = (
    OrderPlaced
    | CancelRequested
    | OrderAccepted
    | OrderPaid
    | OrderFinalized
    | OrderRejected
    | OrderCancelled
)


class LogStage(StrEnum):
    """Who wrote a row of the order log."""

    INTAKE = "intake"
    ORDER = "order_processing"
    PAYMENT = "payment_processing"
    FINALIZATION = "finalization"
    CANCEL = "cancel"


PLACED_EVENT = "placed"
ACCEPTED_EVENT = "accepted"
PAID_EVENT = "paid"
"""The events that the stages claim, by the fact that they take."""


class RejectReason(StrEnum):
    """Refusals of the order and payment stages; those of pricing are in its own messages."""

    OUT_OF_STOCK = "OUT_OF_STOCK"
    NOT_STOCKED = "NOT_STOCKED"
    TENDERS_DO_NOT_COVER_TOTAL = "TENDERS_DO_NOT_COVER_TOTAL"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    GATEWAY_UNAVAILABLE = "GATEWAY_UNAVAILABLE"
