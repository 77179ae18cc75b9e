"""I4, and I3 as far as the ledger is concerned: entries balance, and belong to sales as they were.

The balances of the accounts are compared with the entries, in sums since the last seal. Writes
nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import sqlalchemy as sa

from internal.checks import findings
from internal.checks.scope import EVERYTHING, NOT_SEALED, OF_ORDER, Scope
from internal.ledger import rules
from internal.ledger import store as ledger_store
from internal.ledger.messages import AccountKind
from internal.orders import store as orders_store

_RECEIVING = ", ".join(f"'{kind}'" for kind in sorted(rules.RECEIVING))

_RECEIVED = f"SUM(CASE WHEN a.kind IN ({_RECEIVING}) THEN e.amount_minor ELSE 0 END)"


def _credited(kind: AccountKind) -> str:
    """Return the SQL of what the entries `e` credit to their accounts `a` of this kind."""
    return f"SUM(CASE WHEN a.kind = '{kind}' THEN -e.amount_minor ELSE 0 END)"


_SALE_BOOKED = findings.Rule(
    "I3",
    "a finalized order is booked once: what was received, its tax, its tip and its rounding",
    f"""
    SELECT merchant_id, order_id, total, tax, tip, rounding,
      received, tax_booked, tip_booked, rounding_booked
    FROM (
      SELECT o.order_key, MIN(o.merchant_id) AS merchant_id, MIN(o.order_id) AS order_id,
        MIN(o.total_minor) AS total, MIN(o.tax_minor) AS tax, MIN(o.tip_minor) AS tip,
        MIN(o.cash_rounding_minor) AS rounding, COALESCE({_RECEIVED}, 0) AS received,
        COALESCE({_credited(AccountKind.TAX)}, 0) AS tax_booked,
        COALESCE({_credited(AccountKind.TIPS)}, 0) AS tip_booked,
        COALESCE({_credited(AccountKind.ROUNDING)}, 0) AS rounding_booked
      FROM orders o
        LEFT JOIN ledger_entries e ON e.business_day = o.business_day
          AND e.source_kind = '{rules.SALE}' AND e.source_key = o.order_key
        LEFT JOIN accounts a ON a.account_key = e.account_key
      WHERE o.order_key > :after AND o.order_key <= :upto AND o.state = :order_finalized
      GROUP BY o.order_key
    ) AS q
    WHERE received <> total + tip + rounding OR tax_booked <> tax
       OR tip_booked <> tip OR rounding_booked <> rounding
    """,  # noqa: S608 - names of our own
    findings.by_order(orders_store.ORDERS),
)
_BALANCED_EACH = findings.Rule(
    "I4",
    "debits equal credits in every transaction, of one merchant and currency",
    """
    SELECT e.business_day, e.source_kind, e.source_key, e.transaction_no,
      SUM(e.amount_minor) AS difference
    FROM ledger_entries e LEFT JOIN accounts a ON a.account_key = e.account_key
    WHERE e.business_day > :after AND e.business_day <= :upto
    GROUP BY e.business_day, e.source_kind, e.source_key, e.transaction_no
    HAVING SUM(e.amount_minor) <> 0
        OR MIN(a.unit) <> MAX(a.unit) OR MIN(a.merchant_id) <> MAX(a.merchant_id)
    """,
    findings.by_day(ledger_store.LEDGER_ENTRIES),
)
_NOT_NOTHING = findings.Rule(
    "I4",
    "an entry is a debit or a credit of an account that exists, of more than nothing",
    """
    SELECT e.business_day, e.source_kind, e.source_key, e.entry_no, e.account_key, e.amount_minor
    FROM ledger_entries e LEFT JOIN accounts a ON a.account_key = e.account_key
    WHERE e.business_day > :after AND e.business_day <= :upto
      AND (e.amount_minor = 0 OR a.account_key IS NULL)
    """,
    findings.by_day(ledger_store.LEDGER_ENTRIES),
)
_ENTRIES_HAVE_ORDERS = findings.Rule(
    "I4",
    "a sale's entry belongs to a finalized order of that merchant, currency and business day",
    f"""
    SELECT e.business_day, e.source_key AS order_key, e.entry_no, o.state
    FROM ledger_entries e
      LEFT JOIN accounts a ON a.account_key = e.account_key
      LEFT JOIN orders o ON o.order_key = e.source_key
    WHERE e.business_day > :after AND e.business_day <= :upto AND e.source_kind = '{rules.SALE}'
      AND (o.order_key IS NULL OR o.state <> :order_finalized
        OR o.business_day <> e.business_day
        OR o.merchant_id <> a.merchant_id OR o.currency <> a.unit)
    """,  # noqa: S608 - a name of our own
    findings.by_day(ledger_store.LEDGER_ENTRIES),
)
_BALANCED_WHOLE = findings.Rule(
    "I4",
    "debits equal credits, per merchant and currency",
    """
    SELECT a.merchant_id, a.unit AS currency, SUM(b.debit_minor - b.credit_minor) AS difference
    FROM accounts a JOIN account_balances b ON b.account_key = a.account_key
    GROUP BY a.merchant_id, a.unit HAVING SUM(b.debit_minor - b.credit_minor) <> 0
    """,
)
RULES = (_SALE_BOOKED, _BALANCED_EACH, _NOT_NOTHING, _ENTRIES_HAVE_ORDERS, _BALANCED_WHOLE)
BALANCES_AGREE = "the balance of an account is the sum of its entries"


class Sums(NamedTuple):
    """What was booked on an account."""

    debit_minor: int = 0
    credit_minor: int = 0

    def plus(self, other: "Sums") -> "Sums":
        """Add up."""
        return Sums(self.debit_minor + other.debit_minor, self.credit_minor + other.credit_minor)


def check(connection: sa.Connection, scope: Scope = EVERYTHING) -> list[findings.Finding]:
    """Return the broken rules about the ledger."""
    found = findings.evaluate(connection, RULES, scope)
    return found + _balances(connection, scope)


def _balances(connection: sa.Connection, scope: Scope) -> list[findings.Finding]:
    """Compare the balances of all accounts with the sums of their entries."""
    broken = findings.Collector("I4")
    balances = dict(_by_account(connection, _BALANCES, {}))
    booked = booked_since(connection, scope)
    if not scope.is_everything:
        for key, sums in _by_account(connection, _SEALED, {}):
            booked[key] = booked.get(key, Sums()).plus(sums)
    for key in sorted(balances.keys() | booked.keys()):
        is_, should = balances.get(key, Sums()), booked.get(key, Sums())
        if is_ != should:
            example = findings.show(
                account_key=key,
                debit=is_.debit_minor,
                debits=should.debit_minor,
                credit=is_.credit_minor,
                credits=should.credit_minor,
            )
            broken.add(BALANCES_AGREE, example)
    return broken.findings()


def booked_since(connection: sa.Connection, scope: Scope) -> dict[int, Sums]:
    """Return what was booked on each account since the seal, day by day and late."""
    debits: Counter[int] = Counter()
    credited: Counter[int] = Counter()
    windows = [({"day": day}, _OF_DAY) for day in days_after(connection, scope.sealed_day)]
    if not scope.is_everything:
        windows.append((scope.parameters, _LATE))
    for parameters, query in windows:
        for key, sums in _by_account(connection, query, parameters):
            debits[key] += sums.debit_minor
            credited[key] += sums.credit_minor
    return {key: Sums(debits[key], credited[key]) for key in debits}


def days_after(connection: sa.Connection, day: int) -> Iterator[int]:
    """Yield the business days with entries, by a look into the key for each of them."""
    query = sa.text("SELECT MIN(business_day) FROM ledger_entries WHERE business_day > :day")
    while (found := connection.execute(query, {"day": day}).scalar()) is not None:
        yield found
        day = found


def _by_account(
    connection: sa.Connection, query: sa.TextClause, parameters: Mapping[str, int]
) -> Iterator[tuple[int, Sums]]:
    for key, debit_minor, credit_minor in connection.execute(query, parameters):
        yield key, Sums(int(debit_minor), int(credit_minor))


_AMOUNTS = """
    SUM(CASE WHEN e.amount_minor > 0 THEN e.amount_minor ELSE 0 END),
    SUM(CASE WHEN e.amount_minor < 0 THEN -e.amount_minor ELSE 0 END)
"""
_OF_DAY = sa.text(
    f"SELECT e.account_key, {_AMOUNTS} FROM ledger_entries e WHERE e.business_day = :day"  # noqa: S608 - our own
    " GROUP BY e.account_key"
)
_LATE = sa.text(
    f"""
    SELECT e.account_key + 0, {_AMOUNTS}
    FROM orders o CROSS JOIN ledger_entries e ON e.business_day = o.business_day
      AND e.source_kind = '{rules.SALE}' AND e.{OF_ORDER}
    WHERE o.order_key > :after AND o.business_day <= :sealed_day AND {NOT_SEALED}
    GROUP BY e.account_key + 0
    """  # noqa: S608 - our own
)
"""Grouped by an expression: SQLite would walk through the whole index of the accounts."""
_BALANCES = sa.text(
    "SELECT account_key, SUM(debit_minor), SUM(credit_minor) FROM account_balances"
    " GROUP BY account_key"
)
_SEALED = sa.text("SELECT account_key, sealed_debit_minor, sealed_credit_minor FROM accounts")
