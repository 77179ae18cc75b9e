"""The axes of an order, and the legal moves on each; docs/states.md draws them.

Other modules compare the members of these enums, never strings. The charge has no moves of its own:
payments/charges.py derives it from the amounts of the order's tenders.
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
    EXPIRED = "EXPIRED"


class ChargeState(StrEnum):
    """How much of the money is known to be charged."""

    NONE = "NONE"
    """No money was asked for: not yet, or because nothing is to be paid."""
    PENDING = "PENDING"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    """The customer must act first."""
    UNKNOWN = "UNKNOWN"
    PARTLY_AUTHORIZED = "PARTLY_AUTHORIZED"
    AUTHORIZED = "AUTHORIZED"
    PARTLY_CAPTURED = "PARTLY_CAPTURED"
    FULL = "FULL"
    """What is due is captured."""
    OVERCHARGED = "OVERCHARGED"
    OUTSTANDING = "OUTSTANDING"
    """The customer owes the rest: a bank transfer or an invoice."""
    DECLINED = "DECLINED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"
    PARTLY_REFUNDED = "PARTLY_REFUNDED"
    REFUNDED = "REFUNDED"
    DISPUTED = "DISPUTED"


CHARGE_COMPLETE = frozenset({ChargeState.NONE, ChargeState.FULL})
"""The charge states in which a PAID order can be finalized; NONE if nothing was to be paid. A PAID
order in any other is given up, and its money is being returned.
"""


class StockState(StrEnum):
    """The state of the order's stock."""

    NONE = "NONE"
    RESERVED = "RESERVED"
    COMMITTED = "COMMITTED"
    RELEASED = "RELEASED"


class ReturnState(StrEnum):
    """How much of the order came back."""

    NONE = "NONE"
    PARTLY = "PARTLY"
    FULLY = "FULLY"


ORDER_MOVES: dict[OrderState, frozenset[OrderState]] = {
    OrderState.PLACED: frozenset({OrderState.ACCEPTED, OrderState.REJECTED, OrderState.CANCELLED}),
    OrderState.ACCEPTED: frozenset(
        {OrderState.PAID, OrderState.REJECTED, OrderState.CANCELLED, OrderState.EXPIRED}
    ),
    OrderState.PAID: frozenset({OrderState.FINALIZED, OrderState.REJECTED}),
    OrderState.FINALIZED: frozenset(),
    OrderState.REJECTED: frozenset(),
    OrderState.CANCELLED: frozenset(),
    OrderState.EXPIRED: frozenset(),
}
"""PLACED -> CANCELLED if the cancel request came before the order; PAID -> REJECTED only if an
operator gives the order up.

Source: the transitions of Saleor and Medusa, cut to what a point of sale needs.
"""

STOCK_MOVES: dict[StockState, frozenset[StockState]] = {
    StockState.NONE: frozenset({StockState.RESERVED}),
    StockState.RESERVED: frozenset({StockState.COMMITTED, StockState.RELEASED}),
    StockState.COMMITTED: frozenset(),
    StockState.RELEASED: frozenset(),
}

RETURN_MOVES: dict[ReturnState, frozenset[ReturnState]] = {
    ReturnState.NONE: frozenset({ReturnState.PARTLY, ReturnState.FULLY}),
    ReturnState.PARTLY: frozenset({ReturnState.FULLY}),
    ReturnState.FULLY: frozenset(),
}
"""Derived from the documents of an order's returns."""

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
