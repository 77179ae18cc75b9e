"""The orders that messages are about, as the database has them: a message only says which it is.

The amounts, lines and tenders in a message are not trusted: the order log has them, and a message
may be damaged, written by hand, or about an order of another database.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from internal.kernel import errors, facts
from internal.orders import changes, messages, store

F = TypeVar("F", messages.OrderAccepted, messages.OrderPaid)


Claim = messages.OrderAccepted | messages.OrderPaid | messages.PaymentDue


class Claimed(NamedTuple):
    """A fact as a message claims it, with the bytes that it came as."""

    fact: Claim
    raw: bytes | msgspec.Raw


def lock(connection: sa.Connection, claimed: Iterable[Claim]) -> dict[int, store.OrderSnapshot]:
    """Return the orders that facts are about that a stage takes, and lock their rows.

    Raises:
        Poison: an order_key that does not exist, or belongs to another merchant's order.
    """
    found = list(claimed)
    wanted = {(fact.order_key, fact.merchant_id, fact.order_id) for fact in found}
    claims = {(fact.order_key, *_WRITTEN[type(fact)]) for fact in found}
    orders = store.lock_with_digest(connection, sorted(claims))
    known = {(o.order_key, o.merchant_id, o.order_id) for o in orders.values()}
    for order_key, merchant_id, order_id in sorted(wanted - known):
        what = f"the order {order_id} of {merchant_id} is not recorded under the key {order_key}"
        raise errors.Poison("UNKNOWN_ORDER", what)
    return orders


def facts_of(
    connection: sa.Connection,
    orders: Sequence[store.OrderSnapshot],
    claimed: Iterable[Claimed],
    kind: type[F],
) -> dict[int, F]:
    """Return the fact of this kind that stands in the log of each order.

    A claimed fact whose bytes have the digest of the log is that fact: it is not read again. Only
    that of an order that is kept open may have been replaced: its newest one is read.

    Raises:
        Poison: an order without such a fact.
    """
    stage, event = _WRITTEN[kind]
    digests = {order.order_key: order.digest for order in orders}
    is_replaced = kind is messages.OrderAccepted
    kept_open = [order.order_key for order in orders if is_replaced and order.is_kept_open]
    newest = changes.newest_accepted(connection, kept_open) if kept_open else {}
    found = {
        fact.order_key: fact
        for fact, raw in claimed
        if isinstance(fact, kind) and digests.get(fact.order_key) == facts.digest(raw)
    }
    known = found.keys() | newest.keys()
    claims = [(order_key, stage, event) for order_key in digests if order_key not in known]
    logged = store.find_claims(connection, claims)
    read = {claim[0]: fact for claim, (_, fact) in logged.items()} | newest
    for order_key in digests:
        fact = read.get(order_key, found.get(order_key))
        if not isinstance(fact, kind):
            raise errors.Poison("NOT_IN_THE_LOG", f"the order {order_key} has no {kind.__name__}")
        found[order_key] = fact
    return found


_WRITTEN: dict[type, tuple[str, str]] = {
    messages.OrderAccepted: (messages.LogStage.ORDER, messages.PLACED_EVENT),
    messages.PaymentDue: (messages.LogStage.ORDER, messages.PLACED_EVENT),
    messages.OrderPaid: (messages.LogStage.PAYMENT, messages.ACCEPTED_EVENT),
}
"""Which stage logs the fact, for which event; of an appointment, the fact that is needed for it."""
