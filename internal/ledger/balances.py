"""The balance of every account, in shards, so that writers seldom wait for each other.

Changed in the transaction that appends the entries, so that no balance needs a scan of them. A
guarded account, which must not fall below zero, has a single shard.
"""

from collections.abc import Callable, Iterable, Mapping

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import ids
from internal.ledger import rules
from internal.ledger.messages import Account

ACCOUNT_BALANCES = sa.Table(
    "account_balances",
    db.METADATA,
    columns.number("account_key", primary_key=True),
    columns.number("shard", primary_key=True),
    columns.number("debit_minor", default=0),
    columns.number("credit_minor", default=0),
)

SHARDS = 16
"""Rows of an account: as many transactions can change it without waiting for each other."""

_KEY = ("account_key", "shard")
_DELTA = bulk.shape_of(ACCOUNT_BALANCES, *_KEY, "debit_minor", "credit_minor")
_ADDED = tuple((name, f"t.{name} + {{w.{name}}}") for name in ("debit_minor", "credit_minor"))
_MISSING = "the balance of an account is missing"


def shard_of(merchant_id: str, order_id: str) -> int:
    """Return the shard for a transaction that begins with this order.

    It is the number of the order's partition key where there are 16 keys. One instance of a stage
    receives a key at a time, so instances that work at the same time use different shards; with
    more keys they seldom meet.
    """
    return int(ids.shard_of(merchant_id, order_id, SHARDS))


def open_shards(connection: sa.Connection, accounts: Mapping[int, Account]) -> None:
    """Insert the balances of new accounts, which are zero."""
    rows = [
        (key, shard)
        for key, account in accounts.items()
        for shard in range(1 if account.ref.kind in rules.GUARDED else SHARDS)
    ]
    bulk.insert_deferred(connection, ACCOUNT_BALANCES, _KEY, rows)


def add(
    connection: sa.Connection,
    accounts: Mapping[int, Account],
    amounts: Iterable[tuple[int, int]],
    shard: int,
    when_missing: Callable[[], None],
) -> None:
    """Add (account_key, amount) to the balances; the rows stay locked until the end.

    Raises:
        Conflict: a balance is missing; `when_missing` was called.
    """
    sums: dict[int, list[int]] = {}
    for key, amount_minor in amounts:
        sums.setdefault(key, [0, 0])[amount_minor < 0] += abs(amount_minor)
    rows = [
        (key, 0 if accounts[key].ref.kind in rules.GUARDED else shard, *sums[key])
        for key in sorted(sums)
    ]
    guard = bulk.Guard(conflict=_MISSING, missed=when_missing)
    bulk.update_deferred(connection, ACCOUNT_BALANCES, _DELTA, _KEY, _ADDED, rows, guard)
