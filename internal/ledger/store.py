"""The SQL of the ledger: it appends transactions and adds up balances, nothing else."""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.ledger.messages import Balance, Transaction

LEDGER_ENTRIES = sa.Table(
    "ledger_entries",
    db.METADATA,
    columns.code("source_kind", primary_key=True, chars_max=16),
    columns.number("source_key", primary_key=True),
    columns.number("entry_no", primary_key=True),
    columns.ident("merchant_id"),
    columns.code("account", chars_max=96),
    columns.code("currency", chars_max=3),
    columns.number("debit_minor"),
    columns.number("credit_minor"),
    columns.number("at_us"),
    info=columns.APPEND_ONLY,
)

_COLUMNS = tuple(LEDGER_ENTRIES.c.keys())


def append(connection: sa.Connection, transactions: Sequence[Transaction]) -> None:
    """Append transactions.

    Raises:
        IntegrityError: the ledger already has one of them.
    """
    rows = [
        (
            t.source_kind,
            t.source_key,
            number,
            t.merchant_id,
            posting.account,
            t.currency,
            posting.debit_minor,
            posting.credit_minor,
            t.at_us,
        )
        for t in transactions
        for number, posting in enumerate(t.postings, start=1)
    ]
    bulk.insert_deferred(connection, LEDGER_ENTRIES, _COLUMNS, rows)


def balances(connection: sa.Connection, merchant_id: str = "") -> list[Balance]:
    """Return the balance of every account of one merchant, or of all merchants."""
    entries = LEDGER_ENTRIES.c
    group = (entries.merchant_id, entries.account, entries.currency)
    query = sa.select(*group, sa.func.sum(entries.debit_minor), sa.func.sum(entries.credit_minor))
    if merchant_id:
        query = query.where(entries.merchant_id == merchant_id)
    rows = connection.execute(query.group_by(*group).order_by(*group))
    return [
        Balance(
            merchant_id=merchant_id,
            account=account,
            currency=currency,
            debit_minor=int(debit),
            credit_minor=int(credit),
        )
        for merchant_id, account, currency, debit, credit in rows
    ]
