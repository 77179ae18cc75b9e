"""The orders that messages are about, as the books have them: a message only says which it is.

What a message says of amounts, lines and tenders is not believed: the order log has it, and a
message may have been damaged, written by hand, or be about an order of another database.
"""

from collections.abc import Iterable, Sequence
from typing import TypeVar

import sqlalchemy as sa

from internal.kernel import errors
from internal.orders import codec, messages, store

F = TypeVar("F", messages.OrderAccepted, messages.OrderPaid)


def lock(
    connection: sa.Connection, facts: Iterable[messages.OrderAccepted | messages.OrderPaid]
) -> dict[int, store.OrderSnapshot]:
    """Return the orders that `facts` are about, and hold their rows until the transaction ends.

    Facts of one kind.

    Raises:
        Poison: an order_key that nobody has, or another merchant's order.
    """
    said = list(facts)
    wanted = {(fact.order_key, fact.merchant_id, fact.order_id) for fact in said}
    claims = {(fact.order_key, *_WRITTEN[type(fact)]) for fact in said}
    orders = store.lock_with_digest(connection, sorted(claims))
    known = {(o.order_key, o.merchant_id, o.order_id) for o in orders.values()}
    for order_key, merchant_id, order_id in sorted(wanted - known):
        what = f"the order {order_id} of {merchant_id} is not recorded under the key {order_key}"
        raise errors.Poison("UNKNOWN_ORDER", what)
    return orders


def facts_of(
    connection: sa.Connection,
    orders: Sequence[store.OrderSnapshot],
    said: Iterable[messages.Fact],
    kind: type[F],
) -> dict[int, F]:
    """Return the fact of this kind that stands in the log of each order.

    What messages `said` saves reading it where its digest is that of the log. `orders` as `lock`
    gave them.

    Raises:
        Poison: an order without it.
    """
    stage, event = _WRITTEN[kind]
    digests = {order.order_key: order.digest for order in orders}
    found = {
        fact.order_key: fact
        for fact in said
        if isinstance(fact, kind) and digests.get(fact.order_key) == codec.digest(fact)
    }
    claims = [(order_key, stage, event) for order_key in digests if order_key not in found]
    return found | _from_log(connection, claims, kind)


def _from_log(
    connection: sa.Connection, claims: Sequence[store.Claim], kind: type[F]
) -> dict[int, F]:
    logged = store.find_claims(connection, claims)
    found = {}
    for claim in claims:
        _, fact = logged.get(claim, (0, None))
        if not isinstance(fact, kind):
            raise errors.Poison("NOT_IN_THE_LOG", f"the order {claim[0]} has no {kind.__name__}")
        found[claim[0]] = fact
    return found


_WRITTEN: dict[type, tuple[str, str]] = {
    messages.OrderAccepted: (messages.LogStage.ORDER, messages.PLACED_EVENT),
    messages.OrderPaid: (messages.LogStage.PAYMENT, messages.ACCEPTED_EVENT),
}
"""Who wrote the fact, for which event."""
