"""Tenders, payment attempts, movements of money and captured amounts.

Values are frozen, amounts are in minor units. Cards appear as tokens only, never as numbers.
"""

from enum import StrEnum

import msgspec


class TenderKind(StrEnum):
    """The way in which a part of the total is paid; `tenders` has a row for each."""

    CASH = "CASH"
    CARD = "CARD"


class OnDecline(StrEnum):
    """What becomes of an order if one of its tenders is declined."""

    REFUSE = "REFUSE"
    """It ends."""
    KEEP_OPEN = "KEEP_OPEN"
    """It stays open, with what its other tenders hold, until its hold ends."""


class Ending(StrEnum):
    """Why an open order is to end without a sale; the reason of its appointment."""

    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    GIVEN_UP = "GIVEN_UP"


class Tender(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the payment; its place in the order, from 1, is its `tender_no`.

    As the merchant sent it, it may have no amount: then it takes the rest. An accepted one has its
    amount, its change and its rounding. Its token is among the order's private values.
    """

    kind: TenderKind
    tender_ref: str = ""
    """The merchant's own name for it, unique within the order."""
    amount_minor: int | None = None
    """The part of the order's total that it settles, without the tip."""
    given_minor: int = 0
    """Cash that was handed over; 0: exactly what is due."""
    tip_minor: int = 0
    """A voluntary tip on top of the amount: no part of the total, not taxed."""
    change_minor: int = 0
    rounding_minor: int = 0
    """Cash rounding: paid less due, so negative if the customer pays less."""

    @property
    def due_minor(self) -> int:
        """Return what it is to bring: its amount, its tip and its rounding."""
        return (self.amount_minor or 0) + self.tip_minor + self.rounding_minor


class Operation(StrEnum):
    """A request to the gateway."""

    SALE = "SALE"
    """Take the money at once."""
    VOID = "VOID"
    """Undo a sale, whether or not its answer arrived."""


class AttemptState(StrEnum):
    """The known result of an attempt.

    PENDING is recorded before the call; UNKNOWN waits for an answer of the gateway.
    """

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    DIFFERENT = "DIFFERENT"
    """The gateway took another amount or currency than was asked for: an operator decides."""


class Attempt(msgspec.Struct, frozen=True):
    """One request to move money for one tender. `key` is the idempotency key for the gateway."""

    order_key: int
    attempt_no: int
    """From 1, in the order in which they were recorded."""
    operation: Operation
    tender_no: int
    asked_minor: int
    currency: str
    key: str
    state: AttemptState
    card_token: str = ""
    """Filled in for a call to the gateway, and recorded nowhere."""
    parent_no: int = 0
    """For a VOID: the attempt that it undoes."""
    parent_key: str = ""
    """The key of that attempt; its row is where it is recorded."""
    answered_minor: int = 0
    answered_currency: str = ""
    """What the gateway said that it moved; nothing before its answer."""
    gateway_reference: str = ""
    decline_code: str = ""
    tries: int = 0
    """Calls so far that brought no answer; the number selects the next delay."""
    updated_at_us: int = 0
    """When its row last changed; the delay begins there. 0: it is not recorded yet."""


class MoneyOperation(StrEnum):
    """What a movement of money was for. The movements of a tender add up to what it holds."""

    SALE = "SALE"
    """For the goods: of cash all that was handed over, before rounding and without the tip."""
    TIP = "TIP"
    CHANGE = "CHANGE"
    """Cash that was handed back at once."""
    ROUNDING = "ROUNDING"
    """What cash rounding added to the sale, or took off it."""
    VOID = "VOID"
    """All of it went back."""


class MoneyMovement(msgspec.Struct, frozen=True):
    """A movement of a tender's money; what came in is positive, what went out is negative."""

    tender_no: int
    attempt_no: int
    """The attempt that moved it; 0: no gateway was involved."""
    operation: MoneyOperation
    amount_minor: int
    reference: str = ""
    """The gateway's reference."""

    @property
    def identity(self) -> tuple[int, int, MoneyOperation]:
        """Return what tells it from every other movement of its order."""
        return self.tender_no, self.attempt_no, self.operation


class Captured(msgspec.Struct, frozen=True, omit_defaults=True):
    """The captured money of one tender of a paid order, tip and rounding included."""

    tender_kind: TenderKind
    amount_minor: int
    gateway_reference: str = ""
    tip_minor: int = 0
    rounding_minor: int = 0
