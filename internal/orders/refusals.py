"""Why an order ended without a sale: a code for machines, and a sentence for people.

The sentence is of Souk's own making and names products and amounts, never a person.
"""

from collections.abc import Iterable
from typing import NamedTuple

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.orders import tables

EXPLANATION_CHARS_MAX = 500

ORDER_REFUSALS = sa.Table(
    "order_refusals",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.code("reason", chars_max=64),
    columns.words("explanation", EXPLANATION_CHARS_MAX),
)


WITH_ORDERS = tables.ORDERS.outerjoin(
    ORDER_REFUSALS, ORDER_REFUSALS.c.order_key == tables.ORDERS.c.order_key
)
"""All orders, each with why it ended, if it did."""
REASON = sa.func.coalesce(ORDER_REFUSALS.c.reason, "").label("reason")


class Refused(NamedTuple):
    """An order, and why it ended; its reason is empty if it did not."""

    order_key: int
    reason: str
    explanation: str


def add(connection: sa.Connection, orders: Iterable[Refused]) -> None:
    """Record why these orders ended; those without a reason are left out."""
    rows = [
        (it.order_key, it.reason, it.explanation[:EXPLANATION_CHARS_MAX])
        for it in orders
        if it.reason
    ]
    bulk.insert_deferred(connection, ORDER_REFUSALS, tuple(ORDER_REFUSALS.c.keys()), rows)
