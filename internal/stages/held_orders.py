"""Orders that only a dead letter still belongs to: an operator drives them on, or gives them up.

Such an order is open and has no deadline, because its stage has put it aside with the letter. Each
function is a part of the transaction that closes the letter, so no order is left behind. Must not
close letters itself.
"""

from collections.abc import Sequence
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from internal.auth import audit_log
from internal.kernel import errors, ids
from internal.orders import changes, deadlines, messages, store
from internal.pricing.messages import Refusal
from internal.stages import order_processing, payment_processing

NAMED_MAX = 5
"""Orders that an error names; the others are counted."""


class Choice(StrEnum):
    """An operator's choice for the orders of letters that are dropped."""

    DRIVE_ON = "drive-on"
    """The next stage gets the last recorded fact again, and goes on where it was."""
    REJECT = "reject"
    """The stock is released, all money is returned, and the order ends REJECTED."""


class Decision(msgspec.Struct, frozen=True):
    """An operator's decision, with its time and reason."""

    choice: Choice | None
    """None: the operator knows of no order that needs one."""
    actor: str
    reason: str
    at_us: int


class Result(msgspec.Struct, frozen=True):
    """What became of the orders, by name."""

    driven_on: tuple[ids.OrderRef, ...] = ()
    rejected: tuple[ids.OrderRef, ...] = ()
    """They have come to their end."""
    returning: tuple[ids.OrderRef, ...] = ()
    """The payment stage returns their money, and rejects them then."""
    not_recorded: tuple[ids.OrderRef, ...] = ()
    facts: tuple[messages.Fact, ...] = ()
    """To be published once the transaction has committed, for callers that wait."""


def find(connection: sa.Connection, orders: Sequence[ids.OrderRef]) -> list[store.OrderSnapshot]:
    """Return those of the orders that are open and have no deadline, and lock their rows."""
    keys = sorted(order.order_key for order in store.find(connection, orders).values())
    if not keys:
        return []
    locked = store.lock(connection, keys)
    missing = deadlines.missing(connection, keys)
    return [order for key, order in locked.items() if key in missing]


def decide(
    decision: Decision,
    connection: sa.Connection,
    orders: Sequence[ids.OrderRef],
    placed: Sequence[messages.OrderPlaced],
) -> Result:
    """Do with the orders of letters what an operator has decided. Orders that go on are left alone.

    Args:
        decision: the operator's.
        connection: in the transaction that closes the letters.
        orders: the orders that the letters are about.
        placed: those of them that the letters hold. One that is not recorded is recorded as
            REJECTED if the operator rejects: its merchant was answered OK and may wait for its end.

    Raises:
        OrdersHeldUp: an order would be left behind, and nothing was chosen.
        Conflict: repeat the whole transaction.
    """
    recorded = store.find(connection, orders)
    unknown = sorted({ref for ref in orders if ref not in recorded})
    held = find(connection, orders)
    if held and decision.choice is None:
        raise _held_up(held)
    audit_log.log(connection, [_action(order, decision) for order in held])
    if decision.choice is not Choice.REJECT:
        refs = tuple(map(_ref, held))
        deadlines.give_back(connection, refs, decision.at_us)
        return Result(driven_on=refs, not_recorded=tuple(unknown))
    new = {_ref(order): order for order in placed if _ref(order) not in recorded}
    refused = order_processing.refuse(connection, list(new.values()), _REFUSAL, decision.at_us)
    facts = payment_processing.give_up(connection, _with_facts(connection, held), decision.at_us)
    return Result(
        rejected=(*(_ref(order) for order in held if order.order_key in facts), *new),
        returning=tuple(_ref(order) for order in held if order.order_key not in facts),
        not_recorded=tuple(ref for ref in unknown if ref not in new),
        facts=(*facts.values(), *refused),
    )


_REFUSAL = Refusal(
    messages.RejectReason.GIVEN_UP_BY_OPERATOR,
    "an operator has given the order up; nothing was reserved or charged",
)


_ACTIONS = {Choice.DRIVE_ON: "ORDER_DRIVEN_ON", Choice.REJECT: "ORDER_GIVEN_UP"}


def _action(order: store.OrderSnapshot, decision: Decision) -> audit_log.Action:
    return audit_log.Action(
        at_us=decision.at_us,
        actor=decision.actor,
        action=_ACTIONS[decision.choice or Choice.DRIVE_ON],
        merchant_id=order.merchant_id,
        order_id=order.order_id,
        subject=order.version,
        detail=f"{order.state}, money {order.charge_state}",
        reason=decision.reason,
    )


def _ref(order: store.OrderSnapshot | messages.OrderPlaced) -> ids.OrderRef:
    return ids.OrderRef(order.merchant_id, order.order_id)


def _held_up(held: Sequence[store.OrderSnapshot]) -> errors.OrdersHeldUp:
    named = ", ".join(f"{it.merchant_id}/{it.order_id} {it.state}" for it in held[:NAMED_MAX])
    more = f" and {len(held) - NAMED_MAX} more" if len(held) > NAMED_MAX else ""
    what = (
        f"nothing but these letters belongs to {named}{more}: say drive-on to have the next stage"
        " go on with them, or reject to release their stock, return their money and refuse them"
    )
    return errors.OrdersHeldUp([("--then", what)])


def _with_facts(
    connection: sa.Connection, held: Sequence[store.OrderSnapshot]
) -> list[tuple[messages.OrderAccepted, store.OrderSnapshot]]:
    """Return each order with its OrderAccepted, which has its tenders and its stock.

    Raises:
        Poison: an order has none, or one that cannot be read.
    """
    logged = changes.newest_accepted(connection, [order.order_key for order in held])
    pairs = []
    for order in held:
        fact = logged.get(order.order_key)
        if fact is None:
            what = f"the log of the order {order.order_id} has no OrderAccepted"
            raise errors.Poison("NOT_IN_THE_LOG", what)
        pairs.append((fact, order))
    return pairs
