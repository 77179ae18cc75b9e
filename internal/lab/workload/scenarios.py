"""The kinds of orders in a run, the expected end of each, and how they are mixed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from internal.kernel.states import OrderState
from internal.orders.messages import RejectReason
from internal.pricing.messages import RefusalReason


class Kind(StrEnum):
    """The special feature of an order."""

    ORDINARY = "ordinary"
    AGAIN = "sent again"
    REUSED = "another order under a used id"
    INVALID = "invalid"
    DECLINED = "card declined"
    SPLIT_DECLINED = "cash and a declined card"
    LOST_ANSWER = "gateway's answer lost"
    TIMEOUT = "gateway not reached in time"
    AWAY_ONCE = "gateway away at first"
    RANDOM = "gateway's mood"
    SCARCE = "runs out"
    SOLD_OUT = "more than there is"
    INACTIVE = "no longer sold"
    UNKNOWN_SKU = "no such product"
    UNKNOWN_STORE = "no such store"
    PRICE_CHANGED = "another price shown"
    UNDERPAID = "tenders do not cover it"
    OPEN = "left open, changed, paid later"


class Expectation(NamedTuple):
    """How an order should end."""

    ends: frozenset[str]
    """FINALIZED or rejection reasons; for orders that the API server refuses, its reasons."""
    is_slow: bool = False
    """It waits for the gateway on purpose, so it is left out of all speeds."""


def _expect(*ends: str, is_slow: bool = False) -> Expectation:
    return Expectation(frozenset(ends), is_slow)


SOLD = OrderState.FINALIZED

EXPECTED: dict[Kind, Expectation] = {
    Kind.ORDINARY: _expect(SOLD),
    Kind.AGAIN: _expect(SOLD),
    Kind.REUSED: _expect("ORDER_ID_REUSED"),
    Kind.INVALID: _expect("INVALID_ARGUMENT", "INVALID_MONEY", "CARD_NUMBER_REFUSED"),
    Kind.DECLINED: _expect(RejectReason.PAYMENT_DECLINED),
    Kind.SPLIT_DECLINED: _expect(RejectReason.PAYMENT_DECLINED),
    Kind.LOST_ANSWER: _expect(SOLD, is_slow=True),
    Kind.TIMEOUT: _expect(SOLD, is_slow=True),
    Kind.AWAY_ONCE: _expect(SOLD, is_slow=True),
    Kind.RANDOM: _expect(SOLD, RejectReason.PAYMENT_DECLINED, is_slow=True),
    Kind.SCARCE: _expect(SOLD, RejectReason.OUT_OF_STOCK),
    Kind.SOLD_OUT: _expect(RejectReason.OUT_OF_STOCK),
    Kind.INACTIVE: _expect(RefusalReason.INACTIVE_SKU),
    Kind.UNKNOWN_SKU: _expect(RefusalReason.UNKNOWN_SKU),
    Kind.UNKNOWN_STORE: _expect(RefusalReason.UNKNOWN_STORE),
    Kind.PRICE_CHANGED: _expect(RefusalReason.PRICE_CHANGED),
    Kind.UNDERPAID: _expect(RejectReason.TENDERS_DO_NOT_COVER_TOTAL),
    Kind.OPEN: _expect(SOLD, OrderState.EXPIRED),
}

REPEATS = frozenset({Kind.AGAIN, Kind.REUSED})
"""Kinds that need an original order."""

CARD_TOKENS: dict[Kind, str] = {
    Kind.DECLINED: "tok_declined:insufficient_funds",
    Kind.SPLIT_DECLINED: "tok_declined:lost_card",
    Kind.LOST_ANSWER: "tok_lost_answer",
    Kind.TIMEOUT: "tok_timeout_before",
    Kind.AWAY_ONCE: "tok_away_once",
    Kind.RANDOM: "tok_random",
}
"""The tokens that tell the simulated gateway how to behave; any other card is tok_ok."""

Mix = Mapping[Kind, int]
"""Orders of each kind per thousand; all others are ordinary."""

DEMO_MIX: Mix = {
    Kind.AGAIN: 60,
    Kind.DECLINED: 40,
    Kind.INVALID: 30,
    Kind.SCARCE: 30,
    Kind.SPLIT_DECLINED: 20,
    Kind.REUSED: 15,
    Kind.RANDOM: 14,
    Kind.SOLD_OUT: 10,
    Kind.INACTIVE: 10,
    Kind.UNKNOWN_SKU: 10,
    Kind.PRICE_CHANGED: 10,
    Kind.UNDERPAID: 10,
    Kind.LOST_ANSWER: 8,
    Kind.UNKNOWN_STORE: 5,
    Kind.TIMEOUT: 4,
    Kind.AWAY_ONCE: 4,
}
"""Every kind that one request makes, so that any hundred orders show them all."""

DAY_MIX: Mix = {Kind.AGAIN: 20, Kind.DECLINED: 20, Kind.SCARCE: 5, Kind.LOST_ANSWER: 1}
"""An ordinary day: hardly anything goes wrong."""


def is_expected(kind: Kind, end: str) -> bool:
    """Tell whether an order of this kind may end so: in long runs any product may sell out."""
    return end in EXPECTED[kind].ends or end == RejectReason.OUT_OF_STOCK
