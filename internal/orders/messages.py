"""The facts of an order, as they stand on the topics and in the order log.

Fields are only ever added, with a default: yesterday's messages stay readable. Facts are in the
past tense. Amounts are minor units of the order's currency, instants microseconds since the epoch.
No fact has free text of a merchant or a token: these are in its private half.
"""

from enum import StrEnum
from typing import ClassVar, NamedTuple

import msgspec

from internal.kernel import ids
from internal.kernel.states import OrderState
from internal.orders.fact_bases import OrderCommand, RecordedFact
from internal.payments.messages import Captured, OnDecline, Tender
from internal.pricing.messages import Adjustment, TaxBucket, WantedLine
from internal.privacy.messages import NOTHING, Private

CANCELLED_BY_MERCHANT = "CANCELLED_BY_MERCHANT"
"""The reason of a cancelled order: the merchant's own words are not put into metrics."""
HOLD_ENDED = "HOLD_ENDED"
"""The reason of an expired order."""


class Channel(StrEnum):
    """The way in which an order was made: at a till, online, or at a till without a network."""

    TILL = "TILL"
    ONLINE = "ONLINE"
    OFFLINE = "OFFLINE"


class OrderPlaced(OrderCommand, frozen=True, omit_defaults=True, tag=True):
    """A merchant's order, answered OK.

    `body_hash` tells a retry from another order under the same id.
    """

    store_id: str
    currency: str
    lines: tuple[WantedLine, ...]
    tenders: tuple[Tender, ...]
    body_hash: str
    placed_at_us: int
    adjustments: tuple[Adjustment, ...] = ()
    terminal_id: str = ""
    trace_id: str = ""
    sold_at_us: int = 0
    """When the sale happened; 0: when it was placed."""
    channel: Channel = Channel.TILL
    customer_id: str = ""
    shift_id: str = ""
    cashier_id: str = ""
    on_decline: OnDecline = OnDecline.REFUSE
    hold_s: int = 0
    """How long it may stay open; 0: as its store has it."""

    @property
    def sale_at_us(self) -> int:
        """The instant whose business day, prices and taxes apply."""
        return self.sold_at_us or self.placed_at_us

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.placed_at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.placed_at_us

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        refs = [tender.tender_ref for tender in self.tenders]
        return (
            OrderCommand.flaw(self)
            or ids.flaw(store_id=self.store_id, currency=self.currency, body_hash=self.body_hash)
            or ids.flaw_among(refs, "tenders[{}].tender_ref")
            or ids.flaw_of_given(
                terminal_id=self.terminal_id,
                customer_id=self.customer_id,
                shift_id=self.shift_id,
                cashier_id=self.cashier_id,
            )
            or ids.sku_flaw(line.sku for line in self.lines)
            or _pricing_flaw(self.lines, self.adjustments)
            or ("" if len(set(refs)) == len(refs) else "two tenders have one tender_ref")
        )


def _pricing_flaw(lines: tuple[WantedLine, ...], adjustments: tuple[Adjustment, ...]) -> str:
    """Return what is wrong with the optional names in what decides a price."""
    for line in lines:
        flaw = ids.flaw(line_ref=line.line_ref) if line.line_ref else ""
        if flaw or line.adjustments:
            flaw = flaw or _pricing_flaw((), line.adjustments)
        if flaw:
            return flaw
    for it in adjustments:
        flaw = ids.flaw_of_given(code=it.code, reason_code=it.reason_code, allowed_by=it.allowed_by)
        if flaw:
            return flaw
    return ""


class Submission(NamedTuple):
    """An order as its merchant sent it: the fact, and the private half beside it."""

    placed: OrderPlaced
    private: Private = NOTHING

    @property
    def body_hash(self) -> str:
        """Tells a retry from another order; it covers both halves."""
        return self.placed.body_hash


class Requested(OrderCommand, frozen=True, omit_defaults=True):
    """A command about an order, under an id of its merchant's own: see internal/requests.

    `method` is a class's own constant: its name at the API, which is part of the request's key.
    """

    method: ClassVar[str]

    request_id: str
    requested_at_us: int
    body_hash: str = ""
    """Tells a retry from another command under the same id; it covers both halves."""
    trace_id: str = ""
    key_id: str = ""
    """The id of the API key that sent it."""

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.requested_at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.requested_at_us

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        named = {"request_id": self.request_id, "body_hash": self.body_hash}
        named |= {"key_id": self.key_id} if self.key_id else {}
        return OrderCommand.flaw(self) or ids.flaw(**named)


class CancelRequested(Requested, frozen=True, omit_defaults=True, tag=True):
    """A merchant wants an order undone, or never carried out if it is not recorded yet."""

    method = "CancelOrder"


class Asked(NamedTuple):
    """A command as its merchant sent it, with its private half."""

    command: Requested
    private: Private = NOTHING


class AddTender(Requested, frozen=True, omit_defaults=True, tag=True, kw_only=True):
    """A merchant adds a tender to an open order. Its token is in the private half."""

    method = "AddTender"

    currency: str
    tender: Tender

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        named = {"currency": self.currency, "tender_ref": self.tender.tender_ref}
        return Requested.flaw(self) or ids.flaw(**named)


class UpdateOrder(Requested, frozen=True, omit_defaults=True, tag=True, kw_only=True):
    """A merchant replaces the lines of an open order."""

    method = "UpdateOrder"

    currency: str
    lines: tuple[WantedLine, ...]
    adjustments: tuple[Adjustment, ...] = ()
    expected_version: int = 0
    """0: whatever it has."""

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        flaw = Requested.flaw(self) or ids.flaw(currency=self.currency)
        flaw = flaw or ids.sku_flaw(line.sku for line in self.lines)
        return flaw or _pricing_flaw(self.lines, self.adjustments)


class CommandAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The order as a command left it, or found it if it was refused, and a refusal in words."""

    state: OrderState
    version: int
    explanation: str = ""


class StockLine(msgspec.Struct, frozen=True):
    """A quantity of one product, for stock."""

    sku: str
    quantity_milli: int


def _goods_flaw(lines: tuple[StockLine, ...], taxes: tuple[TaxBucket, ...]) -> str:
    codes = [tax.code for tax in taxes]
    return ids.flaw_among(codes, "taxes[{}]") or ids.sku_flaw([line.sku for line in lines])


class OrderAccepted(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """Priced, its stock reserved. Every tender has its amount now; together they are the total.

    One that is kept open may have tenders for less, or none.
    """

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
    business_day: int = 0
    """Of the store, YYYYMMDD."""
    on_decline: OnDecline = OnDecline.REFUSE
    hold_until_us: int = 0
    """When an order that is kept open expires."""

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return RecordedFact.flaw(self) or _goods_flaw(self.lines, self.taxes)


class OrderPaid(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """What is due is captured. Tenders of an open order that brought nothing are left out."""

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
    business_day: int = 0

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return RecordedFact.flaw(self) or _goods_flaw(self.lines, self.taxes)


class OrderFinalized(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """The sale is in the ledger and has its receipt number."""

    currency: str
    total_minor: int
    receipt_no: int
    trace_id: str = ""


class OrderRejected(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """A business refusal; whatever the order held is released."""

    stage: str
    reason: str
    """UPPER_SNAKE."""
    explanation: str
    trace_id: str = ""

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return self.reason


class OrderCancelled(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """Undone at the merchant's request; its stock is released, and what its tenders held, too."""

    request_id: str
    trace_id: str = ""

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return CANCELLED_BY_MERCHANT

    def flaw(self) -> str:
        """See kernel.facts.Fact."""
        return RecordedFact.flaw(self) or ids.flaw(request_id=self.request_id)


class OrderExpired(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """Not paid when its hold ended; its stock is released, and what its tenders held, too."""

    trace_id: str = ""

    @property
    def refusal_code(self) -> str:
        """See kernel.facts.Fact."""
        return HOLD_ENDED


class OrderLeftOpen(RecordedFact, frozen=True, omit_defaults=True, tag=True):
    """An open order waits for its customer: nothing of its payment is under way. Not logged."""

    trace_id: str = ""


class PaymentDue(OrderCommand, frozen=True, omit_defaults=True, tag=True):
    """A payment is to be looked at: its hold has ended, or the gateway is to be asked about it."""

    order_key: int
    at_us: int
    trace_id: str = ""

    @property
    def occurred_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.at_us

    @property
    def started_at_us(self) -> int:
        """See kernel.facts.Fact."""
        return self.at_us


Fact = (
    OrderPlaced
    | CancelRequested
    | AddTender
    | UpdateOrder
    | OrderAccepted
    | OrderPaid
    | OrderFinalized
    | OrderRejected
    | OrderCancelled
    | OrderExpired
    | OrderLeftOpen
    | PaymentDue
)


class LogStage(StrEnum):
    """The part of Souk whose decision a row of the order log records."""

    INTAKE = "intake"
    ORDER = "order_processing"
    PAYMENT = "payment_processing"
    FINALIZATION = "finalization"
    CANCEL = "cancel"


PLACED_EVENT = "placed"
ACCEPTED_EVENT = "accepted"
PAID_EVENT = "paid"
"""The events that the stages claim, by the fact that they take."""
UPDATED_EVENT = "updated:"
"""Begins the event of an OrderAccepted that replaces the one before: the request's id follows."""
CONFLICT_EVENT = "conflict:"
"""Begins the event of another order under an id that is taken; it changes nothing."""
HOLD_EVENT = "hold_ended"
"""What the payment stage claims when an open order ends without a sale."""
HOLD = "hold"
"""The kind of the appointments of open orders; their subject is the order's key as text."""
GIVEN_UP_EVENT = "given_up"
"""What the payment stage claims when the money of a PAID order was returned: it has claimed the
fact that it takes before.
"""


class RejectReason(StrEnum):
    """Refusals of the order and payment stages; those of pricing are in its own messages."""

    OUT_OF_STOCK = "OUT_OF_STOCK"
    NOT_STOCKED = "NOT_STOCKED"
    TENDERS_DO_NOT_COVER_TOTAL = "TENDERS_DO_NOT_COVER_TOTAL"
    TENDER_ABOVE_REST = "TENDER_ABOVE_REST"
    PAYMENT_DECLINED = "PAYMENT_DECLINED"
    GATEWAY_UNAVAILABLE = "GATEWAY_UNAVAILABLE"
    GIVEN_UP_BY_OPERATOR = "GIVEN_UP_BY_OPERATOR"
