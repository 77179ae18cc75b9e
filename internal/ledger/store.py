"""The SQL of the ledger: it appends transactions and reads balances, nothing else."""

from collections.abc import Sequence

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.ledger import accounts, balances, rules
from internal.ledger.messages import Account, AccountKind, AccountRef, Balance, Transaction

LEDGER_ENTRIES = sa.Table(
    "ledger_entries",
    db.METADATA,
    columns.number("business_day", primary_key=True),
    columns.code("source_kind", primary_key=True, chars_max=16),
    columns.number("source_key", primary_key=True),
    columns.number("transaction_no", primary_key=True),
    columns.number("entry_no", primary_key=True),
    columns.number("account_key"),
    columns.number("amount_minor"),
    columns.number("recorded_at_us"),
    columns.words("corrects", 96),
    columns.number("is_supplement", default=0),
    columns.given_once("journal_no"),
    sa.Index("ledger_entries_by_account", "account_key", "business_day"),
    info=columns.APPEND_ONLY,
)

_NEW = (
    "business_day",
    "source_kind",
    "source_key",
    "transaction_no",
    "entry_no",
    "account_key",
    "amount_minor",
    "recorded_at_us",
)


def append(
    connection: sa.Connection,
    transactions: Sequence[Transaction],
    known: accounts.KnownAccounts,
    shard: int,
) -> None:
    """Append transactions, and change the balances with them.

    Args:
        connection: in a transaction.
        transactions: each of them balanced.
        known: the accounts that this process knows.
        shard: the shard of the balances that is changed, see balances.shard_of.

    Raises:
        IntegrityError: the ledger already has one of them.
        Conflict: another instance opened one of the accounts; repeat the whole transaction.
    """
    used: dict[int, Account] = {}
    rows = []
    for it in transactions:
        source = (it.business_day, it.source_kind, it.source_key, it.transaction_no)
        for number, posting in enumerate(it.postings, start=1):
            account = Account(it.merchant_id, posting.account, it.currency)
            key = rules.key_of(account)
            used[key] = account
            rows.append((*source, number, key, posting.amount_minor, it.at_us))
    if not rows:
        return
    known.require(connection, used, transactions[0].at_us)
    bulk.insert_deferred(connection, LEDGER_ENTRIES, _NEW, rows)
    amounts = ((row[5], row[6]) for row in rows)
    balances.add(connection, used, amounts, shard, known.forget)


def find_balances(connection: sa.Connection, merchant_id: str = "") -> list[Balance]:
    """Return the balance of every account of one merchant, or of all merchants.

    Reads the rows of the balances only, however many entries there are.
    """
    a, b = accounts.ACCOUNTS.c, balances.ACCOUNT_BALANCES.c
    identity = (a.merchant_id, a.kind, a.store_id, a.name, a.unit)
    query = (
        sa.select(*identity, sa.func.sum(b.debit_minor), sa.func.sum(b.credit_minor))
        .join_from(accounts.ACCOUNTS, balances.ACCOUNT_BALANCES, a.account_key == b.account_key)
        .group_by(*identity)
        .order_by(*identity)
    )
    if merchant_id:
        query = query.where(a.merchant_id == merchant_id)
    return [
        Balance(
            merchant_id=merchant_id,
            account=rules.label(AccountRef(AccountKind(kind), store_id, name)),
            currency=unit,
            debit_minor=int(debit),
            credit_minor=int(credit),
        )
        for merchant_id, kind, store_id, name, unit, debit, credit in connection.execute(query)
    ]


def newest_day(connection: sa.Connection, merchant_id: str, store_id: str) -> int | None:
    """Return the newest business day with an entry of a store; None if it has none."""
    a, e = accounts.ACCOUNTS.c, LEDGER_ENTRIES.c
    of_account = (
        sa.select(sa.func.max(e.business_day)).where(e.account_key == a.account_key)
    ).scalar_subquery()
    query = sa.select(sa.func.max(of_account)).where(
        a.merchant_id == merchant_id, a.store_id == store_id
    )
    found: int | None = connection.execute(query).scalar()
    return found
