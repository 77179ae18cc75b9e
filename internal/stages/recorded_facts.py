"""The orders that messages are about, as the database has them: a message only says which it is.

The amounts, lines and tenders in a message are not trusted: the order log has them, and a message
may be damaged, written by hand, or about an order of another database.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from internal.kernel import errors, facts
from internal.orders import messages, store

F = TypeVar("F", messages.OrderAccepted, messages.OrderPaid)


Claim = messages.OrderAccepted | messages.OrderPaid | messages.HoldEnded


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

    A claimed fact whose bytes have the digest of the log is that fact: it is not read again.
    `orders` as `lock` returned them.

    Raises:
        Poison: an order without such a fact.
    """
    stage, event = _WRITTEN[kind]
    digests = {order.order_key: order.digest for order in orders}
    found = {
        fact.order_key: fact
        for fact, raw in claimed
        if isinstance(fact, kind) and digests.get(fact.order_key) == facts.digest(raw)
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
    messages.HoldEnded: (messages.LogStage.ORDER, messages.PLACED_EVENT),
    messages.OrderPaid: (messages.LogStage.PAYMENT, messages.ACCEPTED_EVENT),
}
"""Which stage logs the fact, for which event; of an appointment, the fact that is needed for it."""
