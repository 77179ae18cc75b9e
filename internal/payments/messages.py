"""Tenders, payment attempts and captured amounts.

Values are frozen, amounts are in minor units. Cards appear as tokens only, never as numbers.
"""

from enum import StrEnum

import msgspec


class TenderKind(StrEnum):
    """The way in which a part of the total is paid; `tenders` has a row for each."""

    CASH = "CASH"
    CARD = "CARD"


class Tender(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of the payment, as the merchant sent it; without an amount it takes the rest.

    Its token is among the order's private values, under `tender_ref`.
    """

    kind: TenderKind
    amount_minor: int | None = None
    tender_ref: str = ""
    """Its name within the order."""


class AttemptKind(StrEnum):
    """The request that was sent to the gateway."""

    CHARGE = "CHARGE"
    VOID = "VOID"


class AttemptState(StrEnum):
    """The known result of an attempt.

    PENDING is recorded before the call; UNKNOWN waits for an answer of the gateway.
    """

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class Attempt(msgspec.Struct, frozen=True):
    """One request to move money for one tender. `key` is the idempotency key for the gateway."""

    order_key: int
    attempt_no: int
    """From 1, in the order in which they were recorded."""
    kind: AttemptKind
    tender_no: int
    """Index into the order's tenders, from 0."""
    tender_kind: TenderKind
    amount_minor: int
    currency: str
    key: str
    state: AttemptState
    card_token: str = ""
    """Filled in for a call to the gateway, and recorded nowhere."""
    voids_key: str = ""
    """For a VOID: the key of the charge that it reverses."""
    gateway_reference: str = ""
    decline_code: str = ""
    checks: int = 0
    """Calls so far that brought no answer; the number selects the next delay."""
    updated_at_us: int = 0
    """When its row last changed; the delay begins there. 0: it is not recorded yet."""


class Captured(msgspec.Struct, frozen=True, omit_defaults=True):
    """The captured money of one tender of a paid order."""

    tender_kind: TenderKind
    amount_minor: int
    gateway_reference: str = ""
