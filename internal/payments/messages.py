"""Tenders, attempts and what they add up to.

Frozen values, amounts in minor units. No card numbers, only tokens.
"""

from enum import StrEnum

import msgspec


class TenderKind(StrEnum):
    """How a part of the total is paid."""

    CASH = "CASH"
    CARD = "CARD"


class Tender(msgspec.Struct, frozen=True, omit_defaults=True):
    """A way of paying, as the merchant named it; without an amount it takes what others leave."""

    kind: TenderKind
    amount_minor: int | None = None
    card_token: str = ""


class AttemptKind(StrEnum):
    """What was asked of the gateway."""

    CHARGE = "CHARGE"
    VOID = "VOID"


class AttemptState(StrEnum):
    """What is known of an attempt.

    PENDING was recorded before the call; UNKNOWN waits for the gateway's word.
    """

    PENDING = "PENDING"
    SUCCEEDED = "SUCCEEDED"
    DECLINED = "DECLINED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class Attempt(msgspec.Struct, frozen=True):
    """One try to move money for one tender of an order. `key` is the gateway's idempotency key."""

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
    voids_key: str = ""
    """For a VOID: the key of the charge it takes back."""
    gateway_reference: str = ""
    decline_code: str = ""
    checks: int = 0
    """How often an UNKNOWN was asked about."""


class Captured(msgspec.Struct, frozen=True, omit_defaults=True):
    """Money that is ours: one tender of a paid order."""

    tender_kind: TenderKind
    amount_minor: int
    gateway_reference: str = ""
