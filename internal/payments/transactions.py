"""Every movement of money, for cash as for cards: finance's transaction table. Only appended.

An amount is signed: what came in is positive, what went out is negative. docs/finance.md explains
the columns.
"""

from collections import defaultdict
from collections.abc import Sequence

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.payments.messages import MoneyMovement, MoneyOperation
from internal.payments.outcomes import PaymentRecord

PAYMENT_TRANSACTIONS = sa.Table(
    "payment_transactions",
    db.METADATA,
    columns.number("order_key", primary_key=True),
    columns.number("transaction_no", primary_key=True),
    columns.number("tender_no"),
    columns.number("attempt_no", default=0),
    columns.code("operation"),
    columns.number("amount_minor"),
    columns.code("currency", chars_max=3),
    columns.number("account_key", nullable=True),
    columns.words("reference", 128),
    columns.number("is_external", default=0),
    columns.number("business_day"),
    columns.number("actor_key", nullable=True),
    columns.words("reason", 64),
    columns.optional_ident("request_id"),
    columns.number("at_us"),
    sa.Index("payment_transactions_by_day", "business_day", "order_key"),
    info=columns.APPEND_ONLY,
)


_NEW = (
    "order_key",
    "transaction_no",
    "tender_no",
    "attempt_no",
    "operation",
    "amount_minor",
    "currency",
    "account_key",
    "reference",
    "business_day",
    "at_us",
)
_ORDER = bulk.shape_of(PAYMENT_TRANSACTIONS, "order_key")


def append(connection: sa.Connection, records: Sequence[PaymentRecord], at_us: int) -> None:
    """Append the new movements of orders whose rows are locked.

    Raises:
        IntegrityError: one of the numbers is taken.
    """
    rows = [
        (
            of.order_key,
            number,
            it.tender_no,
            it.attempt_no,
            it.operation,
            it.amount_minor,
            of.currency,
            of.account_key(it.tender_no),
            it.reference,
            of.business_day,
            at_us,
        )
        for of in records
        for number, it in enumerate(of.outcome.moved, start=of.moved_before + 1)
    ]
    bulk.insert_deferred(connection, PAYMENT_TRANSACTIONS, _NEW, rows)


def query(order_keys: Sequence[int]) -> bulk.Query:
    """Return the query of all movements of these orders; `movements_in` reads its answer."""
    sql = (
        "SELECT t.order_key, t.tender_no, t.attempt_no, t.operation, t.amount_minor, t.reference"
        " FROM {w} CROSS JOIN payment_transactions t ON t.order_key = {w.order_key}"
        " ORDER BY t.order_key, t.transaction_no"
    )
    return bulk.Query(_ORDER, sql, [(key,) for key in order_keys])


def movements_in(rows: Sequence[bulk.Row]) -> dict[int, tuple[MoneyMovement, ...]]:
    """Return the movements in the rows of `query`, by order."""
    found: defaultdict[int, list[MoneyMovement]] = defaultdict(list)
    for order_key, tender_no, attempt_no, operation, amount_minor, reference in rows:
        what = MoneyOperation(operation)
        movement = MoneyMovement(tender_no, attempt_no, what, amount_minor, reference)
        found[order_key].append(movement)
    return {key: tuple(movements) for key, movements in found.items()}
