"""The three axes of an order and the legal moves on the first.

Other modules compare the members of these enums, never strings.

order:  PLACED -> ACCEPTED -> PAID -> FINALIZED; PLACED or ACCEPTED -> REJECTED or CANCELLED; PAID
        -> REJECTED only if an operator gives the order up
charge: NONE -> PENDING -> FULL, or PENDING -> DECLINED / VOIDED; UNKNOWN waits for the gateway; of
        a PAID order that is given up FULL -> PENDING -> VOIDED
stock:  NONE -> RESERVED -> COMMITTED, or RESERVED -> RELEASED
"""

from enum import StrEnum
from itertools import pairwise


class OrderState(StrEnum):
    """The state of an order."""

    PLACED = "PLACED"
    ACCEPTED = "ACCEPTED"
    PAID = "PAID"
    FINALIZED = "FINALIZED"
    REJECTED = "REJECTED"
    CANCELLED = "CANCELLED"


class ChargeState(StrEnum):
    """How much of the money is known to be charged."""

    NONE = "NONE"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    FULL = "FULL"
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"


class StockState(StrEnum):
    """The state of the order's stock."""

    NONE = "NONE"
    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"


ORDER_MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PLACED: frozenset({OrderState.ACCEPTED, OrderState.REJECTED, OrderState.CANCELLED}),
    OrderState.ACCEPTED: frozenset({OrderState.PAID, OrderState.REJECTED, OrderState.CANCELLED}),
    OrderState.PAID: frozenset({OrderState.FINALIZED, OrderState.REJECTED}),
    OrderState.FINALIZED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.CANCELLED: frozenset(),
}
"""Source: the transitions of Saleor and Medusa, cut to what a point of sale needs."""

ORDER_TERMINAL = frozenset(state for state, moves in ORDER_MOVES.items() if not moves)


def may_move(before: OrderState, after: OrderState) -> bool:
    """Tell whether an order may go from `before` to `after` in one step."""
    return after in ORDER_MOVES[before]


def is_terminal(state: OrderState) -> bool:
    """Tell whether `state` is final."""
    return state in ORDER_TERMINAL


def is_legal_history(states: list[OrderState]) -> bool:
    """Tell whether `states` is a path of the table, from PLACED on."""
    if not states or states[0] is not OrderState.PLACED:
        return False
    return all(may_move(before, after) for before, after in pairwise(states))
