"""Ledger accounts: rows of a declared kind, per merchant and store, made when first used.

Must not change a balance: see balances.py.
"""

from collections.abc import Mapping

import sqlalchemy as sa

from internal.infra import bulk, columns, db
from internal.kernel import errors
from internal.ledger import balances, rules
from internal.ledger.messages import Account

ACCOUNTS = sa.Table(
    "accounts",
    db.METADATA,
    columns.number("account_key", primary_key=True),
    columns.ident("merchant_id"),
    columns.optional_ident("store_id"),
    columns.code("kind"),
    columns.code("name", chars_max=96, default=""),
    columns.code("unit", chars_max=8),
    columns.words("external_number", 64),
    columns.number("is_guarded", default=0),
    columns.number("sealed_debit_minor", default=0),
    columns.number("sealed_credit_minor", default=0),
    columns.number("created_at_us"),
    sa.UniqueConstraint("merchant_id", "store_id", "kind", "name", "unit", name="accounts_by_name"),
)

_KEY = bulk.shape_of(ACCOUNTS, "account_key")
_IDENTITY = ("merchant_id", "store_id", "kind", "name", "unit")
_NEW = ("account_key", *_IDENTITY, "is_guarded", "created_at_us")


class KnownAccounts:
    """The keys of accounts that a process knows to be in its database: these need no query.

    A transaction that was rolled back may leave a key here that is not in the database. Its next
    use finds no balance to change, and `forget` has all keys looked up again.
    """

    def __init__(self) -> None:
        self._keys: set[int] = set()

    def require(
        self, connection: sa.Connection, accounts: Mapping[int, Account], at_us: int
    ) -> None:
        """Make those of the accounts, by key, that do not exist.

        Raises:
            Conflict: another instance made one of them; repeat the whole transaction.
            Poison: two accounts have one key.
        """
        unknown = {key: it for key, it in accounts.items() if key not in self._keys}
        if unknown:
            _open(connection, unknown, at_us)
            self._keys.update(unknown)

    def forget(self) -> None:
        """Look up every account again when it is next used."""
        self._keys.clear()


def _open(connection: sa.Connection, accounts: Mapping[int, Account], at_us: int) -> None:
    found = _find(connection, accounts)
    for key, identity in found.items():
        if identity != _identity(accounts[key]):
            what = f"{accounts[key]} and {identity} have the key {key}"
            raise errors.Poison("ACCOUNT_KEY_TAKEN", what)
    new = {key: accounts[key] for key in sorted(accounts.keys() - found.keys())}
    rows: list[bulk.Values] = [
        (key, *_identity(it), int(it.ref.kind in rules.GUARDED), at_us) for key, it in new.items()
    ]
    conflict = "another instance opened an account at the same time"
    bulk.insert_deferred(connection, ACCOUNTS, _NEW, rows, conflict)
    balances.open_shards(connection, new)


def _find(connection: sa.Connection, accounts: Mapping[int, Account]) -> dict[int, tuple[str, ...]]:
    """Return those that exist: what identifies them, by key."""
    names = ", ".join(f"t.{name}" for name in ("account_key", *_IDENTITY))
    query = f"SELECT {names} FROM {{w}} CROSS JOIN accounts t ON t.account_key = {{w.account_key}}"  # noqa: S608 - our own names
    rows = bulk.select(connection, _KEY, query, [(key,) for key in accounts])
    return {row[0]: tuple(row[1:]) for row in rows}


def _identity(account: Account) -> tuple[str, ...]:
    of = account.ref
    return account.merchant_id, of.store_id, str(of.kind), of.name, account.unit
