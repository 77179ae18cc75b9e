"""The kinds of orders that runs are made of, what each is meant to come to, how they are mixed."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from internal.kernel.states import OrderState
from internal.orders.messages import RejectReason
from internal.pricing.messages import RefusalReason


class Kind(StrEnum):
    """What is special about an order."""

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


class Meant(NamedTuple):
    """What an order should come to."""

    ends: frozenset[str]
    """FINALIZED, or reasons of a refusal; for those that the door refuses, the door's reasons."""
    is_slow: bool = False
    """It waits for the gateway on purpose: no part of any speed."""


def _meant(*ends: str, is_slow: bool = False) -> Meant:
    return Meant(frozenset(ends), is_slow)


SOLD = OrderState.FINALIZED

MEANT: dict[Kind, Meant] = {
    Kind.ORDINARY: _meant(SOLD),
    Kind.AGAIN: _meant(SOLD),
    Kind.REUSED: _meant("ORDER_ID_REUSED"),
    Kind.INVALID: _meant("INVALID_ARGUMENT", "INVALID_MONEY", "CARD_NUMBER_REFUSED"),
    Kind.DECLINED: _meant(RejectReason.PAYMENT_DECLINED),
    Kind.SPLIT_DECLINED: _meant(RejectReason.PAYMENT_DECLINED),
    Kind.LOST_ANSWER: _meant(SOLD, is_slow=True),
    Kind.TIMEOUT: _meant(SOLD, is_slow=True),
    Kind.AWAY_ONCE: _meant(SOLD, is_slow=True),
    Kind.RANDOM: _meant(SOLD, RejectReason.PAYMENT_DECLINED, is_slow=True),
    Kind.SCARCE: _meant(SOLD, RejectReason.OUT_OF_STOCK),
    Kind.SOLD_OUT: _meant(RejectReason.OUT_OF_STOCK),
    Kind.INACTIVE: _meant(RefusalReason.INACTIVE_SKU),
    Kind.UNKNOWN_SKU: _meant(RefusalReason.UNKNOWN_SKU),
    Kind.UNKNOWN_STORE: _meant(RefusalReason.UNKNOWN_STORE),
    Kind.PRICE_CHANGED: _meant(RefusalReason.PRICE_CHANGED),
    Kind.UNDERPAID: _meant(RejectReason.TENDERS_DO_NOT_COVER_TOTAL),
}

REPEATS = frozenset({Kind.AGAIN, Kind.REUSED})
"""They need an original."""

CARD_TOKENS: dict[Kind, str] = {
    Kind.DECLINED: "tok_declined:insufficient_funds",
    Kind.SPLIT_DECLINED: "tok_declined:lost_card",
    Kind.LOST_ANSWER: "tok_lost_answer",
    Kind.TIMEOUT: "tok_timeout_before",
    Kind.AWAY_ONCE: "tok_away_once",
    Kind.RANDOM: "tok_random",
}
"""What tells the simulated gateway how to behave; any other card is tok_ok."""

Mix = Mapping[Kind, int]
"""How many of a thousand orders are of a kind; the rest is ordinary."""

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
"""Everything, so that any hundred orders show it all."""

DAY_MIX: Mix = {Kind.AGAIN: 20, Kind.DECLINED: 20, Kind.SCARCE: 5, Kind.LOST_ANSWER: 1}
"""A day in the shop: hardly anything goes wrong."""


def is_as_meant(kind: Kind, end: str) -> bool:
    """Tell whether an order of this kind may come to this: long runs sell any shop empty."""
    return end in MEANT[kind].ends or end == RejectReason.OUT_OF_STOCK
